"""Changes of the same owner wait for each other here, not in PostgreSQL.

They would wait for the lock of the owner's row otherwise, each with a connection of the pool in
its hands, until nobody else had one. Only the next one does, from when the commit of the one before
is on its way: what it begins with is there by the time that the row is free.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
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
    async def of(
        self, owner: UUID | None, deadline: float | None = None
    ) -> AsyncIterator[Callable[[], None]]:
        """Have the owner's turn inside, or until what is given is called; DatabaseUnavailable if
        it does not come in time, which is within `deadline` seconds if that is less."""
        lock = self._locks.setdefault(owner, defer.DeferredLock())
        seconds = self.seconds if deadline is None else min(deadline, self.seconds)
        try:
            await lock.acquire().addTimeout(seconds, self.reactor)
        except defer.TimeoutError:
            raise DatabaseUnavailable(f"earlier changes took longer than {seconds:g} s") from None
        had = True

        def end() -> None:
            nonlocal had
            if had:
                had = False
                lock.release()
                if not lock.locked and self._locks.get(owner) is lock:
                    del self._locks[owner]

        try:
            yield end
        finally:
            end()
