"""Destinations in the document: one schema for each type, told apart by `type`."""

from __future__ import annotations

from typing import Any

from nizam.http.openapi.walk import Schema, Schemas, ref
from nizam.model.destination import EITHER, REQUIRED, Destination, destination_types

_NAME = Destination.__name__


def with_destinations(schemas: Schemas) -> Schemas:
    """`schemas` with the flat schema of destinations, if it is there, split by type."""
    flat = schemas.get(_NAME)
    if flat is None:
        return schemas
    names = {it: f"{_camel(it)}{_NAME}" for it in sorted(destination_types())}
    union: Schema = {
        "description": flat["description"],
        "oneOf": [ref(it) for it in names.values()],
        "discriminator": {
            "propertyName": "type",
            "mapping": {kind: ref(name)["$ref"] for kind, name in names.items()},
        },
    }
    return {
        **schemas,
        _NAME: union,
        **{name: _of_type(kind, flat) for kind, name in names.items()},
    }


def _of_type(kind: str, flat: Schema) -> Schema:
    takes = destination_types()[kind]
    required = REQUIRED.get(kind, takes)
    properties: dict[str, Any] = {}
    for name, it in flat["properties"].items():
        if name == "type":
            properties[name] = {"type": "string", "const": kind}
        elif name not in takes:
            properties[name] = {"type": "null"}
        elif name in required:
            given = next(side for side in it["anyOf"] if side.get("type") != "null")
            properties[name] = {**given, "description": it["description"]}
        else:
            properties[name] = it
    found: Schema = {
        "type": "object",
        "required": ["type", *sorted(required)],
        "properties": properties,
        "additionalProperties": False,
    }
    if kind in EITHER:
        # An answer has both, of which one is null.
        found["oneOf"] = [
            {"required": [name], "properties": {name: {"type": "string"}}} for name in EITHER[kind]
        ]
    return found


def _camel(name: str) -> str:
    return "".join(it.capitalize() for it in name.split("_"))
