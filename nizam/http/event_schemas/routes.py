"""GET /api/v1/event-schemas: what there is to be told of, for whoever reads events by machine."""

from __future__ import annotations

from typing import Final

from nizam.errors import NotFound
from nizam.http.event_schemas import PATH, event_schema, told
from nizam.http.reply import Reply
from nizam.http.route import Call, Parameter, Route
from nizam.http.schema_parts import array, object_of, text

_TYPE = Parameter(
    name="type",
    about="The type of event.",
    schema={
        "type": "string",
        "pattern": r"^[a-z_]{1,40}\.[a-z_]{1,40}$",
        "examples": ["call.ended"],
    },
    where="path",
)
_LIST: Final = object_of(
    data=array(
        object_of(
            type=text("The type of event.", "call.ended"),
            about=text("What it tells.", "The last leg of a call has ended."),
            schema=text("The path of its JSON Schema.", f"{PATH}/call.ended"),
        ),
        "Every type.",
    )
)
_FOR_A_WHILE = ("Cache-Control", "public, max-age=300")


async def list_schemas(call: Call) -> Reply:
    """Every type of event, what it tells, and where its schema is."""
    rows = [
        {"type": kind, "about": it.about, "schema": f"{PATH}/{kind}"} for kind, it in told().items()
    ]
    return Reply({"data": rows}, headers=(_FOR_A_WHILE,))


async def get_schema(call: Call) -> Reply:
    """The JSON Schema (draft 2020-12) of one type.

    Members are only added within schema version 1, so it takes those that it does not name.
    """
    try:
        return Reply(event_schema(call.path["type"]), headers=(_FOR_A_WHILE,))
    except KeyError:
        raise NotFound("there is no such type of event") from None


def routes() -> list[Route]:
    """The routes of this file."""
    return [
        Route(
            method="GET",
            path=PATH,
            handler=list_schemas,
            summary="Every type of event.",
            operation="list_event_schemas",
            tag="documentation",
            access="public",
            response=_LIST,
        ),
        Route(
            method="GET",
            path=f"{PATH}/{{type}}",
            handler=get_schema,
            summary="The JSON Schema of a type of event.",
            operation="get_event_schema",
            tag="documentation",
            access="public",
            parameters=(_TYPE,),
            errors=(NotFound,),
            response={"type": "object", "description": "A JSON Schema of draft 2020-12."},
        ),
    ]
