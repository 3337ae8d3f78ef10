"""The fields of objects as tables: type, limits, default, what they are for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from nizam.http.docs.html import code, prose, table, tag
from nizam.http.openapi.walk import is_null, name_of, parts, resolved

Schema = Mapping[str, Any]
Schemas = Mapping[str, dict[str, Any]]

TYPES = "/docs/types"
_MOST_NESTED = 2
_FORMATS = {"uuid": "UUID", "date-time": "time", "date": "date", "binary": "file"}
_RANGES = (
    ("minLength", "maxLength", "characters"),
    ("minimum", "maximum", ""),
    ("minItems", "maxItems", "items"),
)


def field_table(schema: Schema, schemas: Schemas, *, of_request: bool) -> str:
    """The members of an object, those of the objects in it below them."""
    found = resolved(schema, schemas)
    if "properties" not in found:
        return tag("p", kind(schema, schemas))
    rows = _rows(found, schemas, "", 0, of_request=of_request)
    return table(("Field", "Type", "What it is"), rows)


def kind(schema: Schema, schemas: Schemas) -> str:
    """The type in words, as HTML."""
    sides = schema.get("anyOf")
    if sides is not None:
        given = [kind(it, schemas) for it in sides if not is_null(it)]
        return " or ".join(dict.fromkeys([*given, *(["null"] if any(map(is_null, sides)) else [])]))
    name = name_of(schema)
    if name is not None:
        target = resolved(schema, schemas)
        if "oneOf" in target and "properties" not in target:
            return tag("a", escape(name), href=f"{TYPES}#{name}")
        return kind(target, schemas)
    if "const" in schema:
        return code(json.dumps(schema["const"]))
    if "enum" in schema:
        words = ", ".join(code(json.dumps(it)) for it in schema["enum"])
        return f"one of {words}"
    if "oneOf" in schema:
        return " or ".join(kind(it, schemas) for it in schema["oneOf"])
    return _plain(schema, schemas)


def _plain(schema: Schema, schemas: Schemas) -> str:
    types = schema.get("type", "anything")
    names = [types] if isinstance(types, str) else list(types)
    words = []
    for it in names:
        if it == "array" and "items" in schema:
            words.append(f"array of {kind(schema['items'], schemas)}")
        elif it == "string":
            words.append(_FORMATS.get(str(schema.get("format")), "string"))
        else:
            words.append(escape(str(it)))
    return " or ".join(words)


def _rows(
    found: Schema, schemas: Schemas, prefix: str, depth: int, *, of_request: bool
) -> Iterator[tuple[str, str, str]]:
    required = found.get("required", ())
    for name, it in found.get("properties", {}).items():
        if is_null(it):
            continue
        path = f"{prefix}{name}"
        mark = tag("span", "required", class_="required") if name in required else ""
        yield (
            _path(path) + (f" {mark}" if mark and of_request else ""),
            kind(it, schemas),
            _about(it, schemas, of_request=of_request),
        )
        inner, many = _object_in(it, schemas)
        if inner is not None and depth < _MOST_NESTED:
            below = f"{path}[]." if many else f"{path}."
            yield from _rows(inner, schemas, below, depth + 1, of_request=of_request)


def _path(path: str) -> str:
    """The name of a field, which can be broken between its words."""
    return code(path).replace(".", ".<wbr>").replace("_", "_<wbr>")


def _object_in(schema: Schema, schemas: Schemas) -> tuple[Schema | None, bool]:
    """The object with members that a field holds, and whether it holds many."""
    for side in (schema, *schema.get("anyOf", ())):
        found = resolved(side, schemas)
        many = found.get("type") == "array" and "items" in found
        if many:
            found = resolved(found["items"], schemas)
        if "properties" in found:
            return found, many
    return None, False


def _about(schema: Schema, schemas: Schemas, *, of_request: bool) -> str:
    text = schema.get("description") or resolved(schema, schemas).get("description", "")
    limits = list(_limits(schema))
    default = schema.get("default")
    if of_request and default is not None and default not in ({}, [], ""):
        shown = json.dumps(default, ensure_ascii=False)
        limits.append(f"default {code(shown)}" if len(shown) < 80 else "")
    notes = "; ".join(it for it in limits if it)
    return prose(text) + (tag("span", notes, class_="limits") if notes else "")


def _limits(schema: Schema) -> Iterator[str]:
    for it in parts(schema):
        for least, most, unit in _RANGES:
            yield _range(it.get(least), it.get(most), unit)
        if "pattern" in it:
            yield f"fits {code(it['pattern'])}"


def _range(least: float | None, most: float | None, unit: str) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        words = f"at least {least:,}"
    else:
        words = f"at most {most:,}" if least is None else f"{least:,} to {most:,}"
    return f"{words} {unit}".strip()
