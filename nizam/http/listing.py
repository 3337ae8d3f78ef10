"""Lists over HTTP: their parameters for OpenAPI, and their answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from nizam.http.reply import Reply
from nizam.http.route import Parameter
from nizam.store.listing import DEFAULT_LIMIT, MAX_LIMIT, Field, Page

_TYPES: Mapping[str, Mapping[str, Any]] = {
    "text": {"type": "string"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "uuid": {"type": "string", "format": "uuid"},
    "time": {"type": "string", "format": "date-time"},
}


def list_parameters(
    fields: Mapping[str, Field], default_sort: str, *, searchable: bool = False
) -> tuple[Parameter, ...]:
    """The query parameters of a list with these filters."""
    sortable = ", ".join(sorted(name for name, it in fields.items() if it.sortable))
    found = [
        Parameter(
            name="limit",
            about="Objects on a page.",
            schema={
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_LIMIT,
                "default": DEFAULT_LIMIT,
            },
        ),
        Parameter(name="cursor", about="next_cursor of the page before."),
        Parameter(
            name="sort",
            about=f"One of {sortable}; with - before it, descending.",
            schema={"type": "string", "default": default_sort},
        ),
    ]
    if searchable:
        found.append(
            Parameter(
                name="q",
                about="Text to search for.",
                schema={"type": "string", "minLength": 1, "maxLength": 200},
            )
        )
    for name, it in fields.items():
        operators = ["in"]
        if it.kind not in ("boolean", "uuid"):
            operators += ["gte", "lte", "gt", "lt"]
        if it.kind == "text":
            operators.append("prefix")
        about = f"Only with this value; also {', '.join(f'{name}[{op}]' for op in operators)}."
        found.append(Parameter(name=name, about=about, schema=_TYPES[it.kind]))
    return tuple(found)


def list_reply(page: Page, *, more: bool | None = None) -> Reply:
    """A page as every list answers it. `more` says whether there is more, where a cursor alone
    does not say so."""
    return Reply(
        {
            "data": [orjson.Fragment(it) if isinstance(it, str) else it for it in page.rows],
            "next_cursor": page.next_cursor,
            "has_more": page.next_cursor is not None if more is None else more,
        }
    )
