"""Identifiers: UUIDv7 (RFC 9562) for what NIZAM makes; calls and legs keep FreeSWITCH's own."""

from __future__ import annotations

import uuid
from datetime import datetime

import uuid6


def new_id() -> uuid.UUID:
    """A fresh UUIDv7: ids sort by the time they were made, which keeps indices compact."""
    return uuid.UUID(int=uuid6.uuid7().int)


def first_id_at(moment: datetime) -> uuid.UUID:
    """What sorts before every id that was made at `moment` or later, and after those before."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)
