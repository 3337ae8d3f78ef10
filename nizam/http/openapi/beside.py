"""What is shown of resources beside their bodies, which NIZAM writes alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nizam.http.openapi.walk import Schema

_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
_TEXT: Schema = {"type": ["string", "null"]}


def _field(schema: Schema, about: str, **more: Any) -> Schema:
    return {**schema, "description": about, **more}


BESIDE: Mapping[str, Mapping[str, Schema]] = {
    "tenant": {
        "terminated_at": _field(_TIME, "When it was terminated."),
        "terminated_by": _field(_TEXT, "Who terminated it."),
        "purge_at": _field(_TIME, "When its data goes; null unless it is terminated."),
    },
    "user": {
        "last_login_at": _field(_TIME, "When the person last logged in."),
        "last_login_from": _field(_TEXT, "From which address."),
    },
    "api_key": {
        "key_start": _field(
            _TEXT,
            "The beginning of its text, to tell it from others by.",
            examples=["nzm_live_0000"],
        ),
        "last_used_at": _field(_TIME, "When it was last used, to the minute."),
        "last_used_from": _field(_TEXT, "From which address."),
        "previous_key_expires_at": _field(
            _TIME, "After a rotation, until when the former text holds."
        ),
        "key": _field(
            {"type": "string"},
            "The text to sign in with: in the answers to creation and rotation only.",
            examples=["nzm_live_0000000000000000000000000000000000000000000000"],
        ),
    },
    "gateway": {
        "state": _field(
            {"type": ["string", "null"], "enum": ["up", "down", None]},
            "What the switch nodes say: down if one of them says so, null while none knows it.",
            examples=["up"],
        ),
        "state_changed_at": _field(_TIME, "Since when."),
    },
    "switch_node": {
        "link": {
            "type": "object",
            "description": "The event-socket link to the node.",
            "required": ["connected", "since", "last_event_at", "lag_seconds"],
            "properties": {
                "connected": {"type": "boolean", "description": "Whether there is one."},
                "since": _field(_TIME, "When it was last made or lost."),
                "last_event_at": _field(_TIME, "When an event last came over it."),
                "lag_seconds": _field(
                    {"type": ["number", "null"]},
                    "How far the last event was behind the node's clock.",
                ),
            },
        },
        "calls": _field(
            {"type": ["integer", "null"], "minimum": 0},
            "How many calls are on it, which a draining node has left; null while it is not heard.",
            examples=[12],
        ),
        "registrations": _field(
            {"type": ["integer", "null"], "minimum": 0},
            "How many phones are registered at it; null while it is not heard.",
            examples=[240],
        ),
    },
}
"""By the name of the resource and of the field."""

NOT_ALWAYS = frozenset({"key", "link", "calls", "registrations", "state", "state_changed_at"})
"""Of these, what only some of the answers have: secrets that are shown once, and what is known of
the switch, which is not shown in the answer to a change."""
