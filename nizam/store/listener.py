"""LISTEN on a connection of its own that comes back by itself.

It needs a direct connection: PgBouncer in transaction mode cannot LISTEN. What is sent while the
connection is away is lost, so whoever listens also looks by itself now and then.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nizam.errors import DatabaseUnavailable
from nizam.nap import Nap
from nizam.store.connection import Connection
from nizam.store.hosts import Hosts

CONNECT_SECONDS = 5.0
_FIRST_RETRY = 0.2
_LAST_RETRY = 5.0


class NotificationListener:
    """Calls `on_notify` with the payload of each notification of `channel`, in their order."""

    _log = Logger()

    def __init__(
        self, reactor: Any, dsn: str, channel: str, on_notify: Callable[[str], None]
    ) -> None:
        self._reactor = reactor
        self._hosts = Hosts(dsn)
        self._channel = channel
        self._on_notify = on_notify
        self._running = False
        self._connection: Connection | None = None
        self._nap = Nap(reactor)
        self._finished: Deferred[None] | None = None

    @property
    def listening(self) -> bool:
        """Whether notifications are heard now."""
        return self._connection is not None and self._connection.live

    def start(self) -> None:
        """Listen for as long as it runs."""
        self._running = True
        self._finished = Deferred.fromCoroutine(self._run())

    async def stop(self) -> None:
        """Close the connection; returns when nothing is left of it."""
        self._running = False
        if self._connection is not None:
            self._connection.close()
        self._nap.wake()
        finished, self._finished = self._finished, None
        if finished is not None:
            await finished

    async def _run(self) -> None:
        delay = _FIRST_RETRY
        while self._running:
            connection = None
            try:
                connection = await self._hosts.connect(
                    self._reactor, CONNECT_SECONDS, "", self._lost, self._on_notify
                )
                await connection.run(f"listen {self._channel}")
            except DatabaseUnavailable as error:
                if connection is not None:
                    connection.close()
                self._log.warn(
                    "listening to {channel}: {error}", channel=self._channel, error=error
                )
            else:
                delay = _FIRST_RETRY
                self._connection = connection
                if self._running and connection.live:
                    await self._nap.sleep(None)
                connection.close()
                self._connection = None
            if self._running:
                await self._nap.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311
                delay = min(delay * 2, _LAST_RETRY)

    def _lost(self, connection: Connection) -> None:
        if connection is self._connection:
            self._nap.wake()
