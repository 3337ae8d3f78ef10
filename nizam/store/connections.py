"""The connections of a pool to one PostgreSQL server.

It hands out live connections only, lets callers wait for a bounded time in a bounded queue, and
makes lost connections again for as long as it runs.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nizam.errors import DatabaseUnavailable
from nizam.metrics import DB_POOL_IN_USE, DB_WAIT_SECONDS
from nizam.nap import Nap
from nizam.store.connection import Connection
from nizam.store.hosts import Hosts

CONNECT_SECONDS = 5.0
_FIRST_RETRY = 0.1
_LAST_RETRY = 2.0
_STOP_SECONDS = 5.0


class Connections:
    """`size` connections to `dsn`, which may name several servers; `name` labels its metrics.

    `options` are given to the server at the start of each.

    A caller waits for a free one for `wait` seconds, and no more than `queue_limit` callers do.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        dsn: str,
        size: int,
        name: str,
        *,
        options: str,
        wait: float,
        queue_limit: int,
    ) -> None:
        self._reactor = reactor
        self._hosts = Hosts(dsn)
        self._size = size
        self._name = name
        self._options = options
        self._wait = wait
        self._queue_limit = queue_limit
        self._waited = DB_WAIT_SECONDS.labels(name)
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._busy: set[Connection] = set()
        DB_POOL_IN_USE.labels(name).set_function(lambda: len(self._busy))
        self._waiting: deque[Deferred[Connection]] = deque()
        self._running = False
        self._filling = False
        self._filled: Deferred[None] | None = None
        self._first: Deferred[None] | None = None
        self._nap = Nap(reactor)
        self._quiet: Deferred[None] | None = None

    async def start(self) -> None:
        """Begin connecting; returns when the first attempt has succeeded or failed."""
        self._running = True
        first: Deferred[None] = Deferred()
        self._first = first
        self._fill()
        await first

    async def stop(self) -> None:
        """Let what is running finish for a few seconds, then close every connection."""
        self._running = False
        while self._waiting:
            self._waiting.popleft().errback(DatabaseUnavailable("the pool is closed"))
        self._nap.wake()
        if self._busy:
            quiet: Deferred[None] = Deferred()
            self._quiet = quiet
            timer = self._reactor.callLater(_STOP_SECONDS, quiet.callback, None)
            await quiet
            if timer.active():
                timer.cancel()
        if self._filled is not None:
            # A connection being made has no transport that could be closed yet.
            await self._filled
        for connection in list(self._all):
            connection.close()
        self._idle.clear()

    @property
    def available(self) -> bool:
        """Whether at least one connection is live."""
        return any(connection.live for connection in self._all)

    @property
    def in_use(self) -> int:
        """How many connections are handed out."""
        return len(self._busy)

    async def checkout(self) -> Connection:
        """A live connection; DatabaseUnavailable when none is free in time."""
        if not self._running:
            raise DatabaseUnavailable("the pool is closed")
        while self._idle:
            connection = self._idle.pop()
            if connection.idle:
                self._busy.add(connection)
                self._waited.observe(0)
                return connection
            connection.close()
        if len(self._waiting) >= self._queue_limit:
            raise DatabaseUnavailable("too many requests wait for the database")
        turn: Deferred[Connection] = Deferred()
        self._waiting.append(turn)

        def give_up() -> None:
            self._waiting.remove(turn)
            turn.errback(
                DatabaseUnavailable(f"no connection to PostgreSQL was free for {self._wait:g} s")
            )

        timer = self._reactor.callLater(self._wait, give_up)
        since = self._reactor.seconds()
        try:
            return await turn
        finally:
            self._waited.observe(self._reactor.seconds() - since)
            if timer.active():
                timer.cancel()

    def release(self, connection: Connection) -> None:
        """Take back a connection that `checkout` gave."""
        self._busy.discard(connection)
        if connection.live and not connection.idle:
            connection.close()
        if connection.live:
            self._offer(connection)
        if self._quiet is not None and not self._busy and not self._quiet.called:
            self._quiet.callback(None)

    def _offer(self, connection: Connection) -> None:
        if self._waiting:
            self._busy.add(connection)
            self._waiting.popleft().callback(connection)
        else:
            self._idle.append(connection)

    def _lost(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if connection.read_only:
            # The others lead to the same server, and each would fail somebody's change.
            for other in self._idle[:]:
                other.close()
        self._fill()

    def _fill(self) -> None:
        if self._running and not self._filling:
            self._filling = True
            filling = Deferred.fromCoroutine(self._connect_all())
            filling.addErrback(lambda failure: self._log.failure("in the pool", failure))
            self._filled = filling

    async def _connect_all(self) -> None:
        delay = _FIRST_RETRY
        try:
            while self._running and len(self._all) < self._size:
                try:
                    connection = await self._hosts.connect(
                        self._reactor, CONNECT_SECONDS, self._options, self._lost
                    )
                except DatabaseUnavailable as error:
                    self._log.warn("{pool}: {error}", pool=self._name, error=str(error))
                    self._tell_first()
                    if self._running:
                        await self._nap.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311
                    delay = min(delay * 2, _LAST_RETRY)
                    continue
                delay = _FIRST_RETRY
                self._add(connection)
        finally:
            self._filling = False
            self._tell_first()

    def _add(self, connection: Connection) -> None:
        if not self._running:
            connection.close()
            return
        self._all.add(connection)
        self._offer(connection)
        self._tell_first()

    def _tell_first(self) -> None:
        first, self._first = self._first, None
        if first is not None:
            first.callback(None)
