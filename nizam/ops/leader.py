"""One instance at a time leads the scheduled work: whoever holds its lease in PostgreSQL.

A leader renews its lease every two seconds; when it dies another one leads within eight, after a
clean stop within two. It knows by its own clock when its lease may have ended, and by the token
of the lease nothing that it does after that has any effect.
"""

from __future__ import annotations

from typing import Any

import psycopg2
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nizam.errors import DatabaseUnavailable
from nizam.metrics import SCHEDULER_LEADING
from nizam.store.pool import Pool
from nizam.store.system.leases import Lease, release_lease, take_lease

LEASE_SECONDS = 6.0
RENEW_SECONDS = 2.0


class Leader(Service):
    """Holds the lease `lease_name` for `holder` whenever it can."""

    _log = Logger()

    def __init__(self, clock: Any, pool: Pool, lease_name: str, holder: str) -> None:
        self._clock = clock
        self._pool = pool
        self._lease_name = lease_name
        self._holder = holder
        self._lease: Lease | None = None
        self._holds_until = 0.0
        self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self.renew()))
        self._loop.clock = clock
        self._renewing: Deferred[Any] | None = None

    @property
    def lease(self) -> Lease | None:
        """The lease, for as long as it is ours for certain."""
        return self._lease if self._clock.seconds() < self._holds_until else None

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Begin to try for the lease."""
        super().startService()  # type: ignore[no-untyped-call]
        self._renewing = self._loop.start(RENEW_SECONDS)

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Let another instance lead at once."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._loop.stop()
        return Deferred.fromCoroutine(self._release())

    async def renew(self) -> None:
        """Take the lease, or keep it, if nobody else has it."""
        asked_at = self._clock.seconds()
        try:
            lease = await take_lease(self._pool, self._lease_name, self._holder, LEASE_SECONDS)
        except (DatabaseUnavailable, psycopg2.Error) as error:
            if self._lease is not None:
                self._log.warn("the lease was not renewed: {error}", error=str(error).strip())
            lease = self.lease
        else:
            self._holds_until = 0.0 if lease is None else asked_at + LEASE_SECONDS
        if (lease is None) is not (self._lease is None):
            self._log.info(
                "{holder} {leads} the scheduled work",
                holder=self._holder,
                leads="no longer leads" if lease is None else "leads",
            )
        self._lease = lease
        SCHEDULER_LEADING.set(lease is not None)

    async def _release(self) -> None:
        if self._renewing is not None:
            # Not before the renewal under way has ended: it would take the lease again.
            await self._renewing
        lease, self._lease = self._lease, None
        self._holds_until = 0.0
        SCHEDULER_LEADING.set(0)
        if lease is not None:
            try:
                await release_lease(self._pool, lease)
            except DatabaseUnavailable:
                self._log.info("the lease of the scheduled work ends by itself")
