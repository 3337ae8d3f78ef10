"""Reading single values out of what FreeSWITCH writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import NAMESPACE_OID, UUID, uuid5

from nizam.routing.tokens import RING_HERE

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# datetime's own end; FreeSWITCH writes 0 for never and sometimes nonsense after a clock jump.
_LAST_MICROSECOND: Final = 253_402_300_799_999_999


def moment(microseconds: str | int | None) -> datetime | None:
    """The time of a FreeSWITCH timestamp in microseconds since the epoch; None for 0 and junk."""
    try:
        value = int(microseconds or 0)
    except ValueError:
        return None
    if not 0 < value <= _LAST_MICROSECOND:
        return None
    return _EPOCH + timedelta(microseconds=value)


def number(text: str | None) -> float | None:
    """The number that `text` is, or None."""
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and abs(value) < 1e15 else None


def integer(text: str | None) -> int | None:
    """The whole number that `text` is, or None."""
    value = number(text)
    return None if value is None else int(value)


def identifier(text: str | None) -> UUID | None:
    """The UUID that `text` is, or None."""
    return _uuid(text) if text and len(text) == 36 else None


# An event names the legs and the tenant of its call, which all events of the call do.
@lru_cache(maxsize=8192)
def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def number_of(dialled: str | None, callee: str | None = None) -> str | None:
    """The number that was dialled, as people know it: of a leg between two switches of ours, which
    is dialled by a token, the number of the `callee`; None while that is the token, too."""
    number = destination(dialled)
    if not number or not number.startswith(RING_HERE):
        return number
    return None if callee and callee.startswith(RING_HERE) else callee


def destination(text: str | None) -> str | None:
    """A destination number without the domain that a dial-string `NUMBER%DOMAIN` leaves on it."""
    return text.partition("%")[0] if text else text


def channel_id(text: str) -> UUID:
    """The UUID that stands for a channel; `origination_uuid` lets a channel be called anything."""
    return identifier(text) or uuid5(NAMESPACE_OID, text)


def milliseconds(start: datetime | None, end: datetime | None) -> int:
    """From `start` to `end` in whole milliseconds, 0 when either is missing or they are swapped."""
    if start is None or end is None:
        return 0
    return max(0, (end - start) // timedelta(milliseconds=1))
