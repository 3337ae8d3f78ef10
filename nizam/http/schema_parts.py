"""What the JSON Schemas of answers are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(schema: Mapping[str, Any]) -> Schema:
    """The schema of a page of a list."""
    name = schema.get("title") or str(schema.get("$ref", "")).rpartition("/")[2]
    page = object_of(
        data=array(dict(schema), "The objects of this page."),
        next_cursor=or_null(text("Give it as `cursor` to get the next page; null on the last.")),
        has_more={"type": "boolean", "description": "Whether there is a next page."},
    )
    return {"title": f"{name}Page", **page} if name else page


def object_of(about: str | None = None, /, **properties: Any) -> Schema:
    """An object of which every answer has all of these members. A name may end in an underscore
    that is not meant."""
    named = {name.removesuffix("_"): it for name, it in properties.items()}
    schema: Schema = {"type": "object", "required": list(named), "properties": named}
    return {"description": about, **schema} if about else schema


def or_null(schema: Schema) -> Schema:
    """The schema of a single type, or null."""
    found = {**schema, "type": [schema["type"], "null"]}
    return {**found, "enum": [*schema["enum"], None]} if "enum" in schema else found


def text(about: str, example: str | None = None, **more: Any) -> Schema:
    """A string."""
    schema = {"type": "string", "description": about, **more}
    return schema if example is None else {**schema, "examples": [example]}


def words(about: str, *of: str) -> Schema:
    """One of these words."""
    return {"type": "string", "description": about, "enum": list(of)}


def array(items: Schema, about: str) -> Schema:
    """Any number of these."""
    return {"type": "array", "description": about, "items": items}


def count(about: str, example: int | None = None) -> Schema:
    """A whole number that is not negative."""
    schema = {"type": "integer", "minimum": 0, "description": about}
    return schema if example is None else {**schema, "examples": [example]}


def number(about: str, example: float | None = None) -> Schema:
    """A number."""
    schema = {"type": "number", "description": about}
    return schema if example is None else {**schema, "examples": [example]}


def yes_or_no(about: str) -> Schema:
    """true or false."""
    return {"type": "boolean", "description": about}


def identifier(about: str, example: str | None = None) -> Schema:
    """A UUID."""
    return text(about, example, format="uuid")


def time(about: str, example: str | None = None) -> Schema:
    """A time, RFC 3339 in UTC."""
    return text(about, example, format="date-time")
