"""Every field of every resource that takes a text, found in the models: a new field is among them.

Each comes with a body in which it holds `MARK`, to be replaced by what is tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import attrs
import orjson
from pydantic import ValidationError

from nizam.model.base import Body
from nizam.model.resource import Resource

MARK = "MARK-93a1"
URL = "https://example.com/orders"
SOME_ID = "01937a5e-0000-7000-8000-000000000001"

ORDINARY = (
    "Acme",
    "1001",
    "+12025550101",
    "*11",
    "1",
    "USER_BUSY",
    "NORMAL_CLEARING",
    "ivr/ivr-welcome.wav",
    "192.0.2.10",
    "192.0.2.0/24",
    "acme.example.test",
    URL,
    "09:00",
    "17:00",
    "2026-12-24",
    "2026-12-24T10:00:00Z",
    "Europe/Berlin",
    "DE",
    "en",
    "acme",
    "ada@example.test",
    "PCMU,PCMA",
    "a-password-of-some-length",
    "X-Header",
    "hangup",
    "bye",
    "welcome",
    "705",
    "a" * 64,
    "/etc/freeswitch/tls",
    "call.ended",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "mon",
    SOME_ID,
)
"""What fields take; of these, the first that one does."""

_BRANCHES = {"AllOf", "AnyOf", "NotOf"}

# What stands in the place of a part whose shape its schema alone does not tell.
_WHOLE: Mapping[str, tuple[dict[str, Any], ...]] = {
    "Destination": (
        {"type": "external", "number": MARK},
        {"type": "hangup", "cause": MARK},
        {"type": "play", "sound": MARK},
        {"type": "play", "sound": "a.wav", "then": {"type": "play", "sound": MARK}},
        {"type": MARK},
        {"type": "extension", "id": MARK},
    ),
    "CalendarDay": ({"month": 12, "day": 25, "label": MARK}, {"date": MARK}),
    "TimeLeaf": (
        {"type": "time", "time_condition_id": MARK},
        {"type": "time", "calendar_id": MARK},
        {"type": "time", "rules": [{"from": MARK, "to": "17:00"}], "time_zone": "UTC"},
        {"type": "time", "rules": [{"weekdays": ["mon"]}], "time_zone": MARK},
    ),
    "Rule": (
        {"from": MARK, "to": "17:00"},
        {"from": "09:00", "to": MARK},
        {"dates": {"from": MARK, "to": "2027-01-01"}},
        {"dates": {"from": "2026-01-01", "to": MARK}},
    ),
    "Member": ({"number": MARK}, {"extension_id": MARK}),
    "SetCallerIdAction": (
        {"type": "set_caller_id", "name": MARK},
        {"type": "set_caller_id", "number": MARK},
    ),
}

_SIMPLE: Mapping[str, dict[str, Any]] = {
    "Destination": {"type": "hangup"},
    "AllOf": {"all": [{"type": "anonymous"}]},
    "AnyOf": {"any": [{"type": "anonymous"}]},
    "NotOf": {"not": {"type": "anonymous"}},
}
"""Something ordinary, for what would hold itself."""

# What an object must be besides, for some of its fields to have a meaning.
_KINDS: Mapping[str, tuple[dict[str, Any], ...]] = {
    "feature_code": (
        {"feature": "echo"},
        {"feature": "speed_dial", "destination": {"type": "hangup"}},
        {"feature": "night_mode", "time_condition_id": SOME_ID},
        {"feature": "park"},
        {"feature": "page", "members": [{"extension_id": SOME_ID}]},
    ),
    "gateway": ({}, {"register": True, "username": "acme", "password": "secret"}),
    "time_condition": ({}, {"calendar_id": SOME_ID}),
}


@attrs.frozen
class TextField:
    """A field, as a JSON Pointer without positions, and a body of its resource with it."""

    resource: Resource
    path: str
    body: dict[str, Any]

    def holding(self, value: Any) -> dict[str, Any]:
        """The body with `value` in the field."""
        found: dict[str, Any] = _put(self.body, value)
        return found

    def accepts(self, value: Any) -> Body | None:
        """The body as it would be saved; None if it is refused."""
        try:
            raw = orjson.dumps(self.holding(value))
        except orjson.JSONEncodeError:  # half of a surrogate pair is no JSON
            return None
        try:
            return self.resource.body.model_validate_json(raw, strict=True)
        except ValidationError:
            return None


def text_fields(resource: Resource) -> list[TextField]:
    """Every text field of the resource; an AssertionError names those that hold no text at all."""
    fields = [
        TextField(resource, path, _arranged(resource, _merged({**resource.example, **kind}, body)))
        for path, body in _marked(_writable(resource), _definitions(resource), "", ())
        for kind in _KINDS.get(resource.name, ({},))
    ]
    usable = [it for it in fields if any(it.accepts(each) is not None for each in ORDINARY)]
    # The same field may be reached in several shapes, of which one must do.
    missing = {it.path for it in fields} - {it.path for it in usable}
    hint = "add what they take to ORDINARY, or the object that has them to _KINDS"
    assert not missing, f"{resource.name}: nothing fits into {sorted(missing)}; {hint}"
    return list({it.path: it for it in usable}.values())


def _arranged(resource: Resource, body: dict[str, Any]) -> dict[str, Any]:
    """The body with its nodes made a graph, if it has some: they lead to one that hangs up."""
    if resource.name != "call_flow" or not _is_marked(body["nodes"]):
        return body
    nodes = [_leading_on(it) for it in body["nodes"]]
    nodes[0].setdefault("id", "first")
    leads_on = any(name.endswith("next") for name in str(nodes).split("'"))
    more = [{"id": "bye", "type": "hangup"}] if leads_on else []
    return {**body, "start": nodes[0]["id"], "nodes": [*nodes, *more]}


def _leading_on(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: "bye" if name.endswith("next") and it != MARK else _leading_on(it)
            for name, it in value.items()
        }
    return [_leading_on(it) for it in value] if isinstance(value, list) else value


def _writable(resource: Resource) -> dict[str, Any]:
    """The schema without what only NIZAM writes."""
    schema = _schema(resource)
    own = {k: it for k, it in schema["properties"].items() if k not in resource.read_only}
    return {**schema, "properties": own}


@cache
def _schemas(name: str) -> dict[str, Any]:
    from nizam.model.registry import resource

    return resource(name).body.model_json_schema(by_alias=True)


def _schema(resource: Resource) -> dict[str, Any]:
    return _schemas(resource.name)


def _definitions(resource: Resource) -> dict[str, Any]:
    found: dict[str, Any] = _schema(resource).get("$defs", {})
    return found


def _marked(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], path: str, inside: tuple[str, ...]
) -> Iterator[tuple[str, Any]]:
    """(path, value with one MARK) for each text below this schema, which is `inside` of others."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in _WHOLE:
            for whole in _WHOLE[name]:
                yield f"{path}/{_marked_field(whole)}", whole
            return
        if name in inside or (name in _BRANCHES and _BRANCHES & set(inside)):
            return
        schema = definitions[name]
        inside = (*inside, name)
    for key in ("anyOf", "oneOf", "allOf"):
        for side in schema.get(key, ()):
            yield from _marked(side, definitions, path, inside)
    if schema.get("type") == "string" and not ({"enum", "const"} & schema.keys()):
        yield path, MARK
    elif schema.get("type") == "array" and "items" in schema:
        for inner, value in _marked(schema["items"], definitions, path, inside):
            yield inner, [value]
    elif schema.get("type") == "object":
        properties: Mapping[str, Any] = schema.get("properties", {})
        needed = {
            name: URL if name == "url" else _ordinary(properties[name], definitions)
            for name in schema.get("required", ())
        }
        for name, each in properties.items():
            for inner, value in _marked(each, definitions, f"{path}/{name}", inside):
                yield inner, {**needed, name: value}


def _ordinary(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """Something that fits the schema."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in _SIMPLE:
            return _SIMPLE[name]
        return _ordinary(definitions[name], definitions)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return _ordinary(schema[key][0], definitions)
    kind = schema.get("type")
    if kind == "string":
        return _ordinary_text(schema)
    if kind == "array":
        least = schema.get("minItems", 0)
        return [_ordinary(schema["items"], definitions) for _ in range(least)]
    if kind == "object":
        properties = schema.get("properties", {})
        return {
            name: _ordinary(properties[name], definitions) for name in schema.get("required", ())
        }
    return {"integer": schema.get("minimum", 1), "number": 1.5, "boolean": True}.get(str(kind))


def _ordinary_text(schema: Mapping[str, Any]) -> str:
    formats = {"uuid": SOME_ID, "date": "2026-12-24", "date-time": "2026-12-24T10:00:00Z"}
    if schema.get("format") in formats:
        return formats[schema["format"]]
    pattern = re.compile(schema.get("pattern", ""))
    return next(
        it
        for it in ORDINARY
        if pattern.search(it)
        and schema.get("minLength", 0) <= len(it) <= schema.get("maxLength", 999)
    )


def _marked_field(whole: Any) -> str:
    name, value = next((name, it) for name, it in whole.items() if _is_marked(it))
    if isinstance(value, list):
        value = value[0]
    return f"{name}/{_marked_field(value)}" if isinstance(value, dict) else str(name)


def _merged(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        given = {
            name: _merged(base.get(name), value)
            for name, value in over.items()
            if name not in base or _is_marked(value)
        }
        same = base.get("type") == over.get("type") and not {"all", "any", "not"} & base.keys()
        return {**base, **given} if same else over
    return over


def _is_marked(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_is_marked(it) for it in value.values())
    return any(_is_marked(it) for it in value) if isinstance(value, list) else value == MARK


def _put(value: Any, attack: Any) -> Any:
    if value == MARK:
        return attack
    if isinstance(value, dict):
        return {name: _put(inner, attack) for name, inner in value.items()}
    return [_put(it, attack) for it in value] if isinstance(value, list) else value
