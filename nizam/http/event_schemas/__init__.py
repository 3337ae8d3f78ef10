"""The JSON Schema of every type of event, as the API publishes them.

Within schema version 1 members are only added, so the schemas take members that they do not name.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from nizam.http.call_schemas import EVENT
from nizam.http.event_schemas.calls import CALLS
from nizam.http.event_schemas.decisions import DECISIONS
from nizam.http.event_schemas.media import MEDIA
from nizam.http.event_schemas.parts import Told, Types
from nizam.http.event_schemas.resources import DEFS, resource_types
from nizam.http.event_schemas.rooms import ROOMS
from nizam.http.event_schemas.switches import SWITCHES
from nizam.http.event_schemas.webhooks import WEBHOOKS
from nizam.http.schema_parts import Schema

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
PATH: Final = "/api/v1/event-schemas"


@cache
def told() -> Types:
    """What each type of event tells, in the order in which people look for it."""
    return {
        **CALLS,
        **MEDIA,
        **ROOMS,
        **SWITCHES,
        **DECISIONS,
        **WEBHOOKS,
        **resource_types(),
    }


def event_schema(kind: str) -> Schema:
    """The schema of a whole event of this type; KeyError for one that there is not."""
    it: Told = told()[kind]
    data = dict(it.data)
    definitions = {}
    if "object" in data["properties"]:
        shown = dict(data["properties"]["object"])
        definitions = shown.pop("$defs", {})
        data["properties"] = {**data["properties"], "object": shown}
    schema = {
        "$schema": DIALECT,
        "$id": f"{PATH}/{kind}",
        "title": kind,
        "description": it.about,
        "type": "object",
        "required": list(EVENT["properties"]),
        "properties": {**EVENT["properties"], "type": {"const": kind}, "data": data},
    }
    return {**schema, "$defs": definitions} if definitions else schema


__all__ = ["DEFS", "DIALECT", "PATH", "event_schema", "told"]
