"""The schemas of a declared resource: what is answered, what POST and PUT take, what PATCH takes.

What answers and requests have in common are its fields. In an answer all of them are there, and
there may be more in a later version; a request may leave out what has a default, and has nothing
that does not exist.
"""

from __future__ import annotations

from typing import Any

from nizam.http.openapi.beside import BESIDE, NOT_ALWAYS
from nizam.http.openapi.examples import answered
from nizam.http.openapi.models import definitions
from nizam.http.openapi.walk import (
    Schema,
    Schemas,
    changed,
    is_null,
    name_of,
    nullable,
    ref,
    renamed,
    resolved,
)
from nizam.model.resource import Resource, Secret

_ID: Schema = {"type": "string", "format": "uuid", "readOnly": True}
_TIME: Schema = {"type": "string", "format": "date-time", "readOnly": True}
_SHOWN_ONCE = "Shown in the answer that made it, and never again but by reveal."
_PARTS = "Members to be merged into the present one, as RFC 7396 says."


def schema_name(resource: Resource) -> str:
    """The name of a resource's schema: RingGroup."""
    return resource.body.__name__


def resource_schemas(resource: Resource) -> Schemas:
    """All of them by name: Extension, ExtensionInput, ExtensionPatch, and those of their parts."""
    body, inner = definitions(resource.body)
    name = schema_name(resource)
    found = {name: _answer(resource, _answers(body))}
    found |= {part: _answers(it) for part, it in _without_secrets(resource, body, inner).items()}
    of_requests = {part: f"{part}Input" for part in inner}
    found |= {of_requests[part]: renamed(it, of_requests) for part, it in inner.items()}
    written = _written(resource, body)
    found[f"{name}Input"] = renamed(written, of_requests)
    patches: Schemas = {}
    _patch(name, written, inner, patches)
    found |= {part: renamed(it, of_requests) for part, it in patches.items()}
    found[f"{name}Patch"]["description"] = (
        f"Changes to {name}: a JSON Merge Patch (RFC 7396). null restores the default."
    )
    return found


# -- answers ---------------------------------------------------------------------------------------


def _answers(schema: Schema) -> Schema:
    """The schema as it is answered: every member is there, and later versions may have more."""

    def change(it: Schema) -> Schema:
        if "properties" not in it:
            return {key: value for key, value in it.items() if key != "default"}
        kept = {key: it[key] for key in it if key not in ("additionalProperties", "default")}
        return {**kept, "required": list(it["properties"])}

    return changed(schema, change)


def _answer(resource: Resource, body: Schema) -> Schema:
    name = schema_name(resource)
    owner = {"tenant_id": {**_ID, "description": "The tenant that it belongs to."}}
    secrets = {it.field: it for it in resource.secrets}
    beside = BESIDE.get(resource.name, {})
    properties = {
        "id": {**_ID, "description": "Its id, a UUIDv7."},
        **(owner if resource.scope == "tenant" else {}),
        **{key: it for key, it in body["properties"].items() if key not in secrets},
        **{key: {**it, "readOnly": True} for key, it in beside.items()},
        "version": {
            "type": "integer",
            "minimum": 1,
            "readOnly": True,
            "description": "Counts its changes; the ETag is made of it.",
        },
        "created_at": {**_TIME, "description": "When it was made."},
        "updated_at": {**_TIME, "description": "When it was last changed."},
    }
    for key in resource.read_only:
        properties[key] = {**properties[key], "readOnly": True}
    required = [key for key in properties if key not in NOT_ALWAYS]
    for key, secret in secrets.items():
        if secret.generate is not None:
            properties[key] = {"type": "string", "readOnly": True, "description": _SHOWN_ONCE}
    return {
        "type": "object",
        "description": body.get("description", f"A {name}."),
        "required": required,
        "properties": properties,
        "examples": [answered(resource)],
    }


def _without_secrets(resource: Resource, body: Schema, inner: Schemas) -> Schemas:
    """The parts without the members that are secrets, which no answer shows."""
    found = dict(inner)
    for secret in resource.secrets:
        outer, _, field = secret.field.partition(".")
        part = name_of(body["properties"][outer]) if field else None
        if part is not None:
            properties = {key: it for key, it in found[part]["properties"].items() if key != field}
            found[part] = {**found[part], "properties": properties}
    return found


# -- requests --------------------------------------------------------------------------------------


def _written(resource: Resource, body: Schema) -> Schema:
    """What a client may write."""
    secrets: dict[str, Secret] = {it.field: it for it in resource.secrets}
    properties: dict[str, Any] = {}
    for key, it in body["properties"].items():
        if key in resource.read_only:
            continue
        properties[key] = {**it, "writeOnly": True} if key in secrets else it
    return {**body, "properties": properties, "examples": [resource.example]}


def _patch(name: str, written: Schema, inner: Schemas, into: Schemas) -> str:
    """Put the merge patch of `written` and those of its parts into `into`; its name."""
    patch = f"{name}Patch"
    required = written.get("required", ())
    properties = {}
    for key, it in written["properties"].items():
        changes = _changes(it, inner, into)
        kept = {name: value for name, value in changes.items() if name != "default"}
        properties[key] = kept if key in required else nullable(kept)
    leave_out = ("required", "properties", "examples")
    into[patch] = {key: it for key, it in written.items() if key not in leave_out} | {
        "properties": properties
    }
    return patch


def _changes(schema: Schema, inner: Schemas, into: Schemas) -> Schema:
    """What changes a member: an object is merged, everything else is replaced."""
    name = name_of(schema)
    if name is not None:
        target = resolved(schema, inner)
        beside = {key: it for key, it in schema.items() if key != "$ref"}
        if "properties" in target:
            return {**ref(_patch(name, dict(target), inner, into)), **beside}
        merged = {"type": "object", "description": _PARTS}
        return {"anyOf": [ref(name), merged], **beside}
    if "anyOf" in schema:
        sides: list[Schema] = []
        for side in schema["anyOf"]:
            given = _changes(side, inner, into)
            sides += [given] if is_null(side) or list(given) != ["anyOf"] else given["anyOf"]
        return {**schema, "anyOf": sides}
    return schema
