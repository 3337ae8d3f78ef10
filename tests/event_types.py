"""Whether events are what the API publishes of their types.

`check_event` looks at one as the world sees it. The published schemas let later versions add
members; here nothing may be in `data` that its schema does not name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator

from nizam.http.event_schemas import event_schema
from nizam.http.reply import to_json
from nizam.model.events import Event, envelope


def check_event(event: Event | Mapping[str, Any]) -> str:
    """AssertionError where it is not as published; its type."""
    shown = envelope(event) if isinstance(event, Event) else event
    kind = str(shown["type"])
    document = to_json(shown).decode()
    wrong = [
        f"{kind}: {it.message} at {it.instance_path}"
        for it in _checker(kind).iter_errors(_loaded(document))
    ]
    assert not wrong, wrong
    return kind


def _loaded(document: str) -> Any:
    import json

    return json.loads(document)


@cache
def _checker(kind: str) -> Draft202012Validator:
    schema = event_schema(kind)
    properties = dict(schema["properties"])
    properties["data"] = {**properties["data"], "additionalProperties": False}
    closed = {**schema, "properties": properties, "additionalProperties": False}
    return Draft202012Validator(closed, validate_formats=True)
