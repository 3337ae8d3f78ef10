"""<resource>.created, .updated and .deleted, of each resource, made of its declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nizam.http.event_schemas.parts import Told, Types, data
from nizam.http.openapi.beside import BESIDE
from nizam.http.openapi.resource_schemas import resource_schemas, schema_name
from nizam.http.openapi.walk import Schema, Schemas, changed, name_of
from nizam.http.schema_parts import array, text
from nizam.model.registry import resources
from nizam.model.resource import Resource
from nizam.store.stored import is_sensitive

DEFS = "#/$defs/"
_BLANKED = "Blanked out: `***` where it is set."


def resource_types() -> Types:
    """Three types for each resource."""
    found: dict[str, Told] = {}
    for name, it in resources().items():
        a = f"{'An' if name[0] in 'aeiou' else 'A'} {name.replace('_', ' ')}"
        shown = _shown(it)
        of = {"object": {**shown, "description": "As it is now, without its secrets."}}
        names = array(text("A field."), "Which fields have changed.")
        last = {"object": {**shown, "description": "As it was, without its secrets."}}
        found[f"{name}.created"] = Told(f"{a} was made.", data(of))
        found[f"{name}.updated"] = Told(f"{a} was changed.", data({**of, "changed": names}))
        found[f"{name}.deleted"] = Told(f"{a} was removed.", data(last))
    return found


def _shown(resource: Resource) -> Schema:
    """The object, with the parts that it needs in `$defs` of its own."""
    schemas = resource_schemas(resource)
    name = schema_name(resource)
    whole = schemas[name]
    beside = BESIDE.get(resource.name, {})
    generated = {it.field for it in resource.secrets}
    properties = {
        key: it
        for key, it in whole["properties"].items()
        if key not in beside and key not in generated
    }
    schema = {
        "type": "object",
        "required": [key for key in whole["required"] if key in properties],
        "properties": properties,
    }
    parts = _parts(schema, schemas)
    found = _blanked(schema)
    return {**found, "$defs": {key: _blanked(it) for key, it in parts.items()}} if parts else found


def _parts(schema: Mapping[str, Any], schemas: Schemas) -> Schemas:
    """Every schema that it refers to, directly or not."""
    found: Schemas = {}
    waiting: list[Mapping[str, Any]] = [schema]

    def look(it: Schema) -> Schema:
        name = name_of(it)
        if name is not None and name not in found:
            found[name] = schemas[name]
            waiting.append(schemas[name])
        return it

    while waiting:
        changed(dict(waiting.pop()), look)
    return found


def _blanked(schema: Schema) -> Schema:
    """With what events blank out, and references into `$defs`."""

    def change(it: Schema) -> Schema:
        name = name_of(it)
        if name is not None:
            return {**it, "$ref": f"{DEFS}{name}"}
        properties = it.get("properties")
        if isinstance(properties, dict):
            it = {**it, "properties": {key: _member(key, of) for key, of in properties.items()}}
        return {key: of for key, of in it.items() if key not in ("readOnly", "writeOnly")}

    return changed(schema, change)


def _member(name: str, schema: Schema) -> Schema:
    return {"description": _BLANKED} if is_sensitive(name) else schema
