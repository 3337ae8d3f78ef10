"""Batches that wait in a list in Redis until PostgreSQL takes them.

A copy of each is kept in memory too, as far as there is room: a Redis that forgets everything, or
is away when PostgreSQL is back, then costs nothing as long as this process lives. What an earlier
process or another instance left is in the list only.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable
from typing import Final

import attrs

from nizam.errors import KeyValueUnavailable
from nizam.kv.interface import IKeyValue

SPILL_KEY: Final = "nizam:intake:spill"
REJECTED_KEY: Final = "nizam:intake:rejected"
COPIED_BYTES: Final = 64 * 1024 * 1024
FIRST_BYTES: Final = 1024 * 1024
"""What is stored at once at most, some 2,500 events: more is not stored any quicker, but holds the
reactor while it is decoded, and all of it is tried again when it takes too long."""
_MOST_REJECTED: Final = 1000


@attrs.frozen(eq=False)
class _Copy:
    document: bytes
    items: int


class Spill:
    """The list in `key_value`, oldest first; copies take `most_bytes` at most.

    A document is removed by its content after it was stored: two instances at the same list, each
    with the leases of other nodes, store one twice at worst, which changes nothing, and lose none.
    """

    def __init__(self, key_value: IKeyValue, most_bytes: int = COPIED_BYTES) -> None:
        self._key_value = key_value
        self._most_bytes = most_bytes
        self._copies: deque[_Copy] = deque()
        self._bytes = 0
        self._stored: list[bytes] = []
        self._older = True  # than the first copy: in the list only, and to be stored before it
        self._items = 0
        self.left = True
        """Whether there may be something in the list."""

    @property
    def items(self) -> int:
        """How many events, legs and decisions wait of which there are copies; 1 while there may be
        others only."""
        return self._items or int(self.left)

    @property
    def copied(self) -> bool:
        """Whether some of what is to be stored is in memory."""
        return bool(self._copies)

    async def append(self, document: bytes, items: int = 1) -> None:
        """Add one with so many items; it is safe when this returns. Raises KeyValueUnavailable."""
        # What is stored goes here too: while copies always wait, first() does not come to it.
        await self._remove_stored()
        await self._key_value.rpush(SPILL_KEY, document)
        self.left = True
        self._copies.append(_Copy(document, items))
        self._bytes += len(document)
        self._items += items
        while self._bytes > self._most_bytes:
            self._forget_first()
            self._older = True

    async def leave(self, document: bytes) -> None:
        """Add one that others are to store. Raises KeyValueUnavailable."""
        await self._key_value.rpush(SPILL_KEY, document)

    def leave_to_others(self) -> None:
        """What is in the list is stored by another process: it need not be known here."""
        while self._copies:
            self._forget_first()
        self._older, self.left = True, False

    async def first(self, most: int = 1, most_bytes: int = FIRST_BYTES) -> list[bytes]:
        """The next ones to store, none when there are none; of more than one no more than
        `most_bytes`. While Redis is away these are the copies. Raises KeyValueUnavailable."""
        found = [it.document for it in itertools.islice(self._copies, most)]
        if self._older or not found:
            try:
                found = await self._listed(most) or found
            except KeyValueUnavailable:
                if not found:
                    raise
        sizes = itertools.accumulate(map(len, found))
        return found[: max(1, sum(size <= most_bytes for size in sizes))]

    def done(self, documents: Iterable[bytes]) -> None:
        """What first() gave is stored, or set aside: it need not be kept."""
        for document in documents:
            if self._copies and self._copies[0].document is document:
                self._forget_first()
            self._stored.append(document)

    async def set_aside(self, document: bytes) -> None:
        """Keep what nobody can store for a person to see. Raises KeyValueUnavailable."""
        await self._key_value.rpush(REJECTED_KEY, document)
        await self._key_value.ltrim(REJECTED_KEY, -_MOST_REJECTED, -1)

    async def _listed(self, most: int) -> list[bytes]:
        """What the list begins with, before the first copy."""
        await self._remove_stored()
        listed = await self._key_value.lrange(SPILL_KEY, 0, most - 1)
        if self._copies:
            first = self._copies[0].document
            listed = list(itertools.takewhile(lambda it: it != first, listed))
        else:
            self.left = bool(listed)
        self._older = bool(listed)
        return listed

    def _forget_first(self) -> None:
        copy = self._copies.popleft()
        self._bytes -= len(copy.document)
        self._items -= copy.items

    async def _remove_stored(self) -> None:
        while self._stored:
            await self._key_value.lrem(SPILL_KEY, 1, self._stored[0])
            del self._stored[0]
