"""Holding a lease for as long as one can: the loop that takes it, renews it and gives it back.

Whoever holds it renews it every `renew` seconds; the others look every `look` seconds whether it
has ended. It knows by its own clock when its lease may have ended (`lease`), and by the token of
the lease nothing that is done under it after that has any effect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import psycopg2
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nizam.errors import DatabaseUnavailable
from nizam.store.pool import Pool
from nizam.store.system.leases import (
    Lease,
    Note,
    Standing,
    look_at_lease,
    release_lease,
    take_lease,
)

_AWAY: Final = (DatabaseUnavailable, psycopg2.Error)


class LeaseKeeper(Service):
    """Holds the lease `name` for `holder` whenever `wants` says so and nobody else does.

    `note` gives what others are told with each renewal, None to leave it as it is. `after` is
    called after each turn, whatever came of it.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        pool: Pool,
        name: str,
        holder: str,
        *,
        seconds: float,
        renew: float,
        look: float | None = None,
        wants: Callable[[], bool] = lambda: True,
        note: Callable[[], Note | None] = lambda: None,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._pool = pool
        self._name = name
        self._holder = holder
        self._seconds = seconds
        self._renew = renew
        self._look = look or renew
        self._wants = wants
        self._note = note
        self._after = after
        self._holds_until = 0.0
        self._renew_at = 0.0
        self.last: Lease | None = None
        """The lease until it is known to be another's, also when it could not be renewed."""
        self.seen: Standing | None = None
        """How the lease stood when it was looked at last, before it was taken."""
        self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self.turn()))
        self._loop.clock = clock
        self._looping: Deferred[Any] | None = None
        self._due = False

    @property
    def lease(self) -> Lease | None:
        """The lease, for as long as it is ours for certain."""
        return self.last if self._clock.seconds() < self._holds_until else None

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Begin to try for the lease."""
        super().startService()  # type: ignore[no-untyped-call]
        self._looping = self._loop.start(self._look)
        self._looping.addErrback(
            lambda failure: self._log.failure(
                "the lease {name} is let go", failure, name=self._name
            )
        )

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Let another instance have it at once."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._loop.running:
            self._loop.stop()
        return Deferred.fromCoroutine(self._stop())

    def wake(self) -> None:
        """Have the next turn now, or right after the one under way."""
        self._due = True
        if self._loop.running and self._loop.call is not None:
            self._loop.reset()
            self._loop.call.reset(0)

    async def turn(self) -> None:
        """Take the lease, or keep it, if it is wanted and nobody else has it."""
        self._due = True
        while self._due:
            self._due = False
            await self._turn()

    async def _turn(self) -> None:
        try:
            if self.last is None:
                await self._stand_by()
            elif self._wants() and self._clock.seconds() >= self._renew_at:
                await self._take()
        except _AWAY as error:
            self._log.warn(
                "the lease {name} was neither renewed nor taken: {error}",
                name=self._name,
                error=str(error).strip(),
            )
        self._after()

    async def release(self) -> None:
        """Give it back, with a last note; it ends by itself when PostgreSQL is away."""
        lease, note = self.last, self._note()
        self.last, self._holds_until = None, 0.0
        if lease is None:
            return
        self.seen = Standing(lease.holder, lease.token, False, note or lease.note)
        try:
            await release_lease(self._pool, lease, note)
        except _AWAY:
            self._log.info("the lease {name} ends by itself", name=self._name)

    def lost(self) -> None:
        """The lease is another's: what was done under it was refused."""
        self.last, self.seen, self._holds_until = None, None, 0.0
        self.wake()

    async def _stand_by(self) -> None:
        self.seen = await look_at_lease(self._pool, self._name)
        ended = self.seen is None or not self.seen.held or self.seen.holder == self._holder
        if ended and self._wants():
            await self._take()

    async def _take(self) -> None:
        asked_at, kept = self._clock.seconds(), self.last
        note = None if kept is None else self._note()
        lease = await take_lease(self._pool, self._name, self._holder, self._seconds, note)
        if self.last is not kept:
            return  # it was given back, or lost, meanwhile
        self.last = lease
        self._holds_until = 0.0 if lease is None else asked_at + self._seconds
        self._renew_at = asked_at + self._renew - self._look / 2
        if lease is None:
            self.seen = await look_at_lease(self._pool, self._name)

    async def _stop(self) -> None:
        if self._looping is not None:
            # Not before the turn under way has ended: it would take the lease again.
            await self._looping
        await self.release()
        self._after()
