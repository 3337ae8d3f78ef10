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

from nizam.kv.interface import IKeyValue

SPILL_KEY: Final = "nizam:intake:spill"
REJECTED_KEY: Final = "nizam:intake:rejected"
COPIED_BYTES: Final = 64 * 1024 * 1024
_MOST_REJECTED: Final = 1000


class Spill:
    """The list in `key_value`, oldest first; copies take `most_bytes` at most.

    A document is removed by its content after it was stored: two instances at the same list store
    one twice at worst, which changes nothing, and lose none.
    """

    def __init__(self, key_value: IKeyValue, most_bytes: int = COPIED_BYTES) -> None:
        self._key_value = key_value
        self._most_bytes = most_bytes
        self._copies: deque[bytes] = deque()
        self._bytes = 0
        self._stored: list[bytes] = []
        self.left = True
        """Whether there may be something in the list."""

    @property
    def copied(self) -> bool:
        """Whether some of what is to be stored is in memory."""
        return bool(self._copies)

    async def append(self, document: bytes) -> None:
        """Add one; it is safe when this returns. Raises KeyValueUnavailable."""
        # What is stored goes here too: while copies are always waiting, first() never comes to it.
        await self._remove_stored()
        await self._key_value.rpush(SPILL_KEY, document)
        self.left = True
        self._copies.append(document)
        self._bytes += len(document)
        while self._bytes > self._most_bytes:
            self._bytes -= len(self._copies.popleft())

    async def first(self, most: int = 1) -> list[bytes]:
        """The next ones to store, none when there are none. Raises KeyValueUnavailable."""
        if self._copies:
            return list(itertools.islice(self._copies, most))
        await self._remove_stored()
        found = await self._key_value.lrange(SPILL_KEY, 0, most - 1)
        self.left = bool(found)
        return found

    def done(self, documents: Iterable[bytes]) -> None:
        """What first() gave is stored, or set aside: it need not be kept."""
        for document in documents:
            if self._copies and self._copies[0] is document:
                self._copies.popleft()
                self._bytes -= len(document)
            self._stored.append(document)

    async def set_aside(self, document: bytes) -> None:
        """Keep what nobody can store for a person to see. Raises KeyValueUnavailable."""
        await self._key_value.rpush(REJECTED_KEY, document)
        await self._key_value.ltrim(REJECTED_KEY, -_MOST_REJECTED, -1)

    async def _remove_stored(self) -> None:
        while self._stored:
            await self._key_value.lrem(SPILL_KEY, 1, self._stored[0])
            del self._stored[0]
