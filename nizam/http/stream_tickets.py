"""Tickets for streams: what a browser opens one with, where it cannot send a key.

A ticket opens one stream, within a minute. It stands for the key, session or token that it was
made with, and for as much of the events as it was made for. Redis keeps it by the SHA-256 of its
text.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import attrs
import orjson

from nizam.kv.interface import IKeyValue
from nizam.realtime.filters import FIELDS, Filter, parse_filter

TICKET_SECONDS: Final = 60
STREAM_PERMISSION: Final = "call_events:read"

_FORM = re.compile(r"nzk_[A-Za-z0-9_-]{43}\Z")


@attrs.frozen(kw_only=True)
class TicketRecord:
    """What a ticket stands for: the SHA-256 of its maker's key, session or token among it."""

    kind: Literal["api_key", "user"]
    digest: str = attrs.field(repr=False)
    tenant_id: UUID
    within: Filter


class StreamTickets:
    """The tickets. Each method raises KeyValueUnavailable while Redis is away."""

    def __init__(self, key_value: IKeyValue, now: Callable[[], datetime]) -> None:
        self._key_value = key_value
        self._now = now

    async def issue(self, record: TicketRecord) -> tuple[str, datetime]:
        """A new ticket: its text, and until when it can be used."""
        text = f"nzk_{secrets.token_urlsafe(32)}"
        kept = {
            "kind": record.kind,
            "digest": record.digest,
            "tenant_id": str(record.tenant_id),
            "within": record.within.shown(),
        }
        await self._key_value.set(_key(text), orjson.dumps(kept), TICKET_SECONDS)
        return text, self._now() + timedelta(seconds=TICKET_SECONDS)

    async def redeem(self, text: str) -> TicketRecord | None:
        """What a ticket stands for, once; None for any other text, and for one used before."""
        if not _FORM.match(text):
            return None
        kept = await self._key_value.command("GETDEL", _key(text))
        if kept is None:
            return None
        found = orjson.loads(kept)
        within, errors = parse_filter(found["within"])
        if errors or not found["within"].keys() <= FIELDS.keys():
            # Of another version. What cannot be read must not widen what may be heard.
            return None
        return TicketRecord(
            kind=found["kind"],
            digest=found["digest"],
            tenant_id=UUID(found["tenant_id"]),
            within=within,
        )


def _key(text: str) -> str:
    return f"stream_ticket:{{{hashlib.sha256(text.encode()).hexdigest()}}}"
