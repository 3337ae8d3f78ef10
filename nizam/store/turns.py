"""Changes of the same owner wait for each other here, not in PostgreSQL.

They would wait for the lock of the owner's row otherwise, each with a connection of the pool in
its hands, until nobody else had one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import attrs
from twisted.internet import defer

from nizam.errors import DatabaseUnavailable

WAIT_SECONDS = 3.0


@attrs.frozen
class Turns:
    """One change at a time for each owner, in the order in which they came."""

    reactor: Any
    seconds: float = WAIT_SECONDS
    _locks: dict[UUID | None, defer.DeferredLock] = attrs.field(factory=dict, init=False)

    @asynccontextmanager
    async def of(self, owner: UUID | None, deadline: float | None = None) -> AsyncIterator[None]:
        """Have the owner's turn inside; DatabaseUnavailable if it does not come in time, which is
        within `deadline` seconds if that is less."""
        lock = self._locks.setdefault(owner, defer.DeferredLock())
        seconds = self.seconds if deadline is None else min(deadline, self.seconds)
        try:
            await lock.acquire().addTimeout(seconds, self.reactor)
        except defer.TimeoutError:
            raise DatabaseUnavailable(f"earlier changes took longer than {seconds:g} s") from None
        try:
            yield
        finally:
            lock.release()
            if not lock.locked:
                self._locks.pop(owner, None)
