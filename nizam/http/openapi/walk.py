"""JSON Schemas as trees: changed everywhere, named, and looked up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Schema = dict[str, Any]
Schemas = dict[str, Schema]
"""By their names in the document's components."""

REF = "#/components/schemas/{model}"
_PREFIX = REF.format(model="")
_NAME = re.compile(r"[A-Z][A-Za-z0-9]*\Z")
_MAPS = ("properties", "patternProperties")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "propertyNames", "not")


def ref(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": REF.format(model=name)}


def name_of(schema: Mapping[str, Any]) -> str | None:
    """The name that the schema refers to, if it is a reference."""
    target = schema.get("$ref")
    return None if target is None else str(target).removeprefix(_PREFIX)


def resolved(schema: Mapping[str, Any], schemas: Mapping[str, Schema]) -> Mapping[str, Any]:
    """The schema itself, or the one that it refers to."""
    while (name := name_of(schema)) is not None:
        schema = schemas[name]
    return schema


def is_null(schema: Mapping[str, Any]) -> bool:
    """Whether null is all that it takes."""
    return schema.get("type") == "null"


def nullable(schema: Mapping[str, Any]) -> Schema:
    """The schema, or null."""
    if any(map(is_null, schema.get("anyOf", ()))):
        return dict(schema)
    outside = {name: schema[name] for name in ("description", "default") if name in schema}
    inside = {name: it for name, it in schema.items() if name not in outside}
    if list(inside) == ["anyOf"]:
        return {"anyOf": [*inside["anyOf"], {"type": "null"}], **outside}
    return {"anyOf": [inside, {"type": "null"}], **outside}


def changed(schema: Mapping[str, Any], change: Callable[[Schema], Schema]) -> Schema:
    """The schema with `change` made to it and to every schema in it, the innermost first."""
    copy = dict(schema)
    for key in _MAPS:
        if key in copy:
            copy[key] = {name: changed(it, change) for name, it in copy[key].items()}
    for key in _LISTS:
        if key in copy:
            copy[key] = [changed(it, change) for it in copy[key]]
    for key in _SINGLE:
        if isinstance(copy.get(key), Mapping):
            copy[key] = changed(copy[key], change)
    return change(copy)


def parts(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The schema and every schema in it."""
    yield schema
    inside = [it for key in _MAPS for it in schema.get(key, {}).values()]
    inside += [it for key in _LISTS for it in schema.get(key, ())]
    inside += [schema[key] for key in _SINGLE if isinstance(schema.get(key), Mapping)]
    for it in inside:
        yield from parts(it)


def renamed(schema: Mapping[str, Any], names: Mapping[str, str]) -> Schema:
    """The schema with its references led to other names."""

    def change(it: Schema) -> Schema:
        name = name_of(it)
        if name is not None:
            return {**it, **ref(names.get(name, name))}
        if "discriminator" in it:
            mapping = it["discriminator"]["mapping"]
            led = {
                key: ref(names.get(target, target))["$ref"]
                for key, target in ((key, name_of({"$ref": to})) for key, to in mapping.items())
                if target is not None
            }
            return {**it, "discriminator": {**it["discriminator"], "mapping": led}}
        return it

    return changed(schema, change)


def hoisted(schema: Mapping[str, Any], into: Schemas) -> Schema:
    """The schema with what has a title for a name put into `into`, and references in its place.

    Raises ValueError for two different schemas of one name.
    """

    def change(it: Schema) -> Schema:
        for name, inner in it.pop("$defs", {}).items():
            hoisted({**inner, "title": name}, into)
        title = it.pop("title", None)
        if not isinstance(title, str) or not _NAME.match(title):
            return it if title is None else {**it, "title": title}
        if into.setdefault(title, it) != it:
            raise ValueError(f"two schemas are called {title}: {into[title]} and {it}")
        return ref(title)

    return changed(schema, change)
