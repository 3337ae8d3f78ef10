"""How far PostgreSQL's write-ahead log had come when somebody last changed something.

Whoever changed something is to see it in every list from then on, so a replica may answer only when
it has replayed the log to there. The position is kept for whoever asked and for the tenant, in
memory for this instance and in Redis for the others, for as long as a replica may be behind.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Final
from uuid import UUID

import attrs
from twisted.internet.defer import Deferred, gatherResults

from nizam.errors import KeyValueUnavailable
from nizam.kv.interface import IKeyValue

UNKNOWN: Final = 2**63 - 1
"""The position of a change that may have been made, or whose position nobody could say: no replica
ever reaches it."""

MOST = 50_000
REDIS_SECONDS = 0.25
"""How long Redis may take to say a position; the primary answers meanwhile what it would."""
REDIS_PAUSE_SECONDS = 2.0


@attrs.define
class Asking:
    """Whose request is being answered: the API key or the user, and the tenant."""

    owners: frozenset[UUID] = frozenset()


_asking: ContextVar[Asking | None] = ContextVar("asking", default=None)


@contextlib.contextmanager
def asked_by_somebody() -> Iterator[Asking]:
    """What is read inside is read for whoever is put into the yielded object."""
    asking = Asking()
    token = _asking.set(asking)
    try:
        yield asking
    finally:
        _asking.reset(token)


def owners_asking() -> frozenset[UUID]:
    """For whom this is read."""
    asking = _asking.get()
    return frozenset() if asking is None else asking.owners


class Positions:
    """The last positions of everybody, each of which counts for `lifetime` seconds."""

    def __init__(self, key_value: IKeyValue, seconds: Callable[[], float], lifetime: float) -> None:
        self._key_value = key_value
        self._seconds = seconds
        self._lifetime = lifetime
        self._own: OrderedDict[UUID, tuple[int, float]] = OrderedDict()
        self._redis_after = float("-inf")

    async def note(self, owners: Iterable[UUID], position: int) -> None:
        """Remember that these have changed something, up to the position."""
        asked = frozenset(owners)
        for owner in asked:
            self._remember(owner, position)
        await gatherResults([Deferred.fromCoroutine(self._tell(it, position)) for it in asked])

    async def needed(self, owners: Iterable[UUID]) -> int | None:
        """What a replica must have replayed before it answers these; None when nobody can say,
        because Redis is away."""
        asked = frozenset(owners)
        if not asked:
            return 0
        if self._seconds() < self._redis_after:
            return None
        told = await gatherResults([Deferred.fromCoroutine(self._told(it)) for it in asked])
        known = [it for it in told if it is not None]
        if len(known) < len(told):
            self._redis_after = self._seconds() + REDIS_PAUSE_SECONDS
            return None
        return max([*known, *map(self._remembered, asked)])

    def _remember(self, owner: UUID, position: int) -> None:
        present = self._remembered(owner)
        self._own[owner] = (max(position, present), self._seconds() + self._lifetime)
        self._own.move_to_end(owner)
        while len(self._own) > MOST:
            self._own.popitem(last=False)

    def _remembered(self, owner: UUID) -> int:
        position, until = self._own.get(owner, (0, 0.0))
        return position if self._seconds() < until else 0

    async def _tell(self, owner: UUID, position: int) -> None:
        arguments = [position, int(self._lifetime * 1000)]
        # While Redis is away the other instances read from the primary.
        with contextlib.suppress(KeyValueUnavailable):
            await self._key_value.script("position_note", [_key(owner)], arguments, REDIS_SECONDS)

    async def _told(self, owner: UUID) -> int | None:
        try:
            found = await self._key_value.script("position_read", [_key(owner)], (), REDIS_SECONDS)
        except KeyValueUnavailable:
            return None
        return int(found or 0)


def _key(owner: UUID) -> str:
    return f"position:{{{owner}}}"
