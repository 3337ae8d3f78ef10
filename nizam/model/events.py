"""The envelope of an event: what webhooks, streams and the API show, word for word."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import attrs
import orjson

SCHEMA_VERSION = "1.0"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EVENT_ID = re.compile(r"evt_[0-9a-f]{32}")


@attrs.frozen(kw_only=True)
class Event:
    """Something that happened.

    `occurred_at` is FreeSWITCH's own time; `core_id` the Core-UUID of the FreeSWITCH process, or
    of the NIZAM instance for events that start here, or the leg for those that reconciliation
    found, of which many have one time; `sequence` its Event-Sequence. The four of
    (occurred_at, core_id, sequence, type) make the event unique, and its id is derived from them,
    so that two instances that see the same thing make the same event.
    """

    type: str
    occurred_at: datetime
    core_id: str
    sequence: int
    node: str | None = None
    tenant_id: UUID | None = None
    call_id: UUID | None = None
    leg_id: UUID | None = None
    data: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def id(self) -> str:
        """`evt_` and 32 hexadecimal digits: 12 of the time in milliseconds, 20 of a hash."""
        return event_id(self.occurred_at, self.core_id, self.sequence, self.type)


def event_id(occurred_at: datetime, core_id: str, sequence: int, event_type: str) -> str:
    """The id of the event with these four facts; ids sort by time to the millisecond."""
    microseconds = (occurred_at - _EPOCH) // timedelta(microseconds=1)
    digest = hashlib.blake2b(
        f"{microseconds}\n{core_id}\n{sequence}\n{event_type}".encode(), digest_size=10
    ).hexdigest()
    return f"evt_{microseconds // 1000:012x}{digest}"


def event_time(identifier: str) -> datetime:
    """The time inside an event id, cut to the millisecond; ValueError if it is no event id."""
    if _EVENT_ID.fullmatch(identifier) is None:
        raise ValueError("not an event id")
    try:
        return _EPOCH + timedelta(milliseconds=int(identifier[4:16], 16))
    except OverflowError:
        raise ValueError("an event id of no year that there is") from None


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds: `2026-11-23T23:05:30.676207Z`."""
    # Several times as fast as strftime, and years before 1000 have four digits.
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def envelope(event: Event) -> dict[str, Any]:
    """The event as the world sees it, ready for JSON."""
    return {
        "id": event.id,
        "type": event.type,
        "schema_version": SCHEMA_VERSION,
        "occurred_at": timestamp(event.occurred_at),
        "tenant_id": str(event.tenant_id) if event.tenant_id else None,
        "node": event.node,
        "call_id": str(event.call_id) if event.call_id else None,
        "leg_id": str(event.leg_id) if event.leg_id else None,
        "sequence": event.sequence,
        "data": dict(event.data),
    }


def envelope_bytes(event: Event) -> bytes:
    """The envelope as JSON bytes; the same event always gives the same bytes."""
    return orjson.dumps(envelope(event), option=orjson.OPT_SORT_KEYS)
