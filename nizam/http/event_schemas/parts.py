"""What the schemas of events are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from nizam.http.schema_parts import Schema, identifier, number, object_of, or_null, text, words


@attrs.frozen
class Told:
    """A type of event: what it tells, and the schema of its `data`."""

    about: str
    data: Schema


Types = Mapping[str, Told]


def data(required: Mapping[str, Schema], sometimes: Mapping[str, Schema] | None = None) -> Schema:
    """The schema of `data`: members that are always there, and those that may be."""
    schema = object_of(**required)
    return {**schema, "properties": {**schema["properties"], **(sometimes or {})}}


def maybe(about: str, example: str | None = None, **more: Any) -> Schema:
    """Text, or null."""
    return or_null(text(about, example, **more))


def maybe_id(about: str) -> Schema:
    """A UUID, or null."""
    return or_null(identifier(about))


def milliseconds(about: str, *, null: bool = False) -> Schema:
    """A duration."""
    schema: Schema = {"type": "integer", "minimum": 0, "description": about}
    return or_null(schema) if null else schema


def whole(about: str, *, null: bool = False) -> Schema:
    """A whole number."""
    schema: Schema = {"type": "integer", "description": about}
    return or_null(schema) if null else schema


PARTIES: Mapping[str, Schema] = {
    "leg_direction": or_null(
        words("FreeSWITCH's: `inbound` came to the switch.", "inbound", "outbound")
    ),
    "from": maybe("Who calls.", "1001"),
    "from_name": maybe("The caller's name.", "Ada Lovelace"),
    "to": maybe("What was dialled to reach the leg.", "1002"),
    "extension_id": maybe_id("The extension whose leg it is."),
}
"""The leg that an event is about."""

RECONCILED: Mapping[str, Schema] = {
    "reconciled": {
        "type": "boolean",
        "description": "Found out when the switch was asked afterwards: no event told it.",
    }
}

DIRECTION = words("The call's, as the tenant sees it.", "internal", "inbound", "outbound")

__all__ = [
    "DIRECTION",
    "PARTIES",
    "RECONCILED",
    "Told",
    "Types",
    "data",
    "maybe",
    "maybe_id",
    "milliseconds",
    "number",
    "whole",
]
