"""Examples: of what is answered for a resource, and of anything that has a schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from nizam.http.openapi.beside import BESIDE, NOT_ALWAYS
from nizam.http.openapi.walk import Schema, is_null, resolved
from nizam.model.resource import Resource

ID = "01937a5e-0000-7000-8000-00000000000a"
TENANT_ID = "01937a5e-0000-7000-8000-0000000000ff"
TIME = "2026-11-28T09:30:00.000000Z"
_BY_FORMAT = {"uuid": ID, "date-time": TIME, "date": "2026-11-28"}
_BY_TYPE: Mapping[str, Any] = {"boolean": False, "number": 0.0, "null": None}


def answered(resource: Resource) -> dict[str, Any]:
    """The declared example, as it is answered once it is stored."""
    body = resource.body.model_validate(resource.example)
    values = resource.public(body)
    for name in resource.read_only:
        field = resource.body.model_fields[name]
        values[name] = field.get_default(call_default_factory=True)
    beside = {
        name: sample(it, {})
        for name, it in BESIDE.get(resource.name, {}).items()
        if name not in NOT_ALWAYS
    }
    found = {
        "id": ID,
        **({"tenant_id": TENANT_ID} if resource.scope == "tenant" else {}),
        **resource.derived(values),
        **beside,
        "version": 1,
        "created_at": TIME,
        "updated_at": TIME,
    }
    as_json: dict[str, Any] = orjson.loads(orjson.dumps(found))
    return as_json


def sample(schema: Mapping[str, Any], schemas: Mapping[str, Schema]) -> Any:
    """A value that the schema takes: its own example if it has one, otherwise the plainest.

    Raises ValueError for text of a certain form without an example.
    """
    for found in (schema, resolved(schema, schemas)):
        for key in ("examples", "enum"):
            if key in found:
                return found[key][0]
        for key in ("const", "default"):
            if key in found:
                return found[key]
    schema = resolved(schema, schemas)
    for union in ("oneOf", "anyOf"):
        if union in schema:
            return sample(next(it for it in schema[union] if not is_null(it)), schemas)
    return _of_type(schema, schemas)


def _of_type(schema: Mapping[str, Any], schemas: Mapping[str, Schema]) -> Any:
    types = schema.get("type", "object")
    kind = "null" if "null" in types and types != "null" else types
    match kind:
        case "object":
            required = schema.get("required", ())
            properties = schema.get("properties", {})
            return {name: sample(properties[name], schemas) for name in required}
        case "array":
            return [sample(schema["items"], schemas)] if "items" in schema else []
        case "string":
            if "pattern" in schema:
                raise ValueError(f"text that fits {schema['pattern']} needs an example")
            return _BY_FORMAT.get(schema.get("format", ""), "text")
        case "integer":
            return schema.get("minimum", 1)
    return _BY_TYPE[str(kind)]
