"""One signed-in connection to a Redis server that comes back by itself."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from nizam import metrics
from nizam.errors import KeyValueUnavailable
from nizam.nap import Nap

_FIRST_RETRY = 0.05
_LAST_RETRY = 2.0


class _ProtocolFactory(Factory):
    noisy = False

    def __init__(self, build: Callable[[], Any]) -> None:
        self._build = build

    def buildProtocol(self, address: Any) -> Any:  # noqa: N802 - Twisted's name
        protocol = self._build()
        protocol.factory = self
        return protocol


class RedisLink:
    """Connects to where `find` says for as long as it runs.

    `find` is asked before each attempt and may raise; `build` makes txredisapi's protocol;
    `sign_in` prepares each new connection within a bounded time, or raises. `kind` is that of the
    metrics, none where it is not given.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        find: Callable[[], Awaitable[Any]],
        build: Callable[[], Any],
        sign_in: Callable[[Any], Awaitable[None]],
        *,
        kind: str = "",
        last_retry: float = _LAST_RETRY,
    ) -> None:
        self._reactor = reactor
        self._find = find
        self._factory = _ProtocolFactory(build)
        self._sign_in = sign_in
        self._kind = kind
        self._last_retry = last_retry
        self._protocol: Any = None
        self._where = ""
        self._coming: Any = None  # connected, and not signed in yet
        self._waiting: list[Deferred[Any]] = []
        self._running = False
        self._finished: Deferred[None] | None = None
        self._nap = Nap(reactor)
        self._attempt: Deferred[Any] | None = None

    @property
    def connection(self) -> Any:
        """The live connection that is signed in, or None."""
        protocol = self._protocol
        return protocol if protocol is not None and protocol.connected else None

    async def start(self) -> Exception | None:
        """Begin connecting; the error of the first attempt, None when it succeeded."""
        self._running = True
        first: Deferred[Exception | None] = Deferred()
        self._finished = Deferred.fromCoroutine(self._run(first))
        return await first

    async def stop(self) -> None:
        """End the connection or the attempt; returns when nothing is left of it."""
        self._running = False
        self._nap.wake()
        if self._attempt is not None:
            self._attempt.cancel()
        self._abort()
        finished, self._finished = self._finished, None
        if finished is not None:
            await finished
        self._fail_waiting()

    def renew(self) -> None:
        """Connect anew at once: what `find` says may be another server by now."""
        self._nap.wake()
        self._abort()

    async def connected(self, seconds: float) -> Any:
        """The live connection, waited for at most `seconds`; KeyValueUnavailable without one."""
        if not self._running:
            raise KeyValueUnavailable("the connection to Redis is closed")
        waiting: Deferred[Any] = Deferred()
        self._waiting.append(waiting)

        def give_up() -> None:
            self._waiting.remove(waiting)
            waiting.errback(KeyValueUnavailable("there is no connection to Redis"))

        timer = self._reactor.callLater(seconds, give_up)
        try:
            return await waiting
        finally:
            if timer.active():
                timer.cancel()

    async def _run(self, first: Deferred[Exception | None]) -> None:
        delay = _FIRST_RETRY
        while self._running:
            problem, protocol = await self._connect()
            if problem is None:
                delay = _FIRST_RETRY
                await self._serve(protocol, first)
            elif self._running:
                error = str(problem) or type(problem).__name__
                self._log.warn("Redis {where}: {error}", where=self._where, error=error)
                if self._kind:
                    metrics.REDIS_CONNECTION_FAILURES.labels(self._kind).inc()
            _tell(first, problem)
            if self._running:
                await self._nap.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311
                delay = min(delay * 1.6, self._last_retry)

    async def _connect(self) -> tuple[Exception | None, Any]:
        """Why there is no connection, or None and one that is signed in."""
        protocol = None
        try:
            self._attempt = Deferred.fromCoroutine(_awaited(self._find()))
            endpoint = await self._attempt
            self._where = endpoint.name
            self._attempt = endpoint.connect(self._factory)
            self._coming = protocol = await self._attempt
            self._attempt = None
            gone = protocol.whenDisconnected()
            await self._sign_in(protocol)
        except (Exception, CancelledError) as error:
            self._attempt = self._coming = None
            if protocol is not None:
                protocol.transport.abortConnection()
                await gone
            return error, None
        self._coming = None
        return None, protocol

    async def _serve(self, protocol: Any, first: Deferred[Exception | None]) -> None:
        """Give the connection to whoever waits for one, until it ends."""
        if not protocol.connected:
            return
        gone = protocol.whenDisconnected()
        self._protocol = protocol
        if self._kind:
            metrics.REDIS_CONNECTIONS.labels(self._kind).inc()
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(protocol)
        _tell(first, None)
        if not self._running:
            protocol.transport.abortConnection()
        await gone
        self._protocol = None
        if self._kind:
            metrics.REDIS_CONNECTIONS.labels(self._kind).dec()

    def _abort(self) -> None:
        for protocol in (self._coming, self._protocol):
            if protocol is not None and protocol.transport is not None:
                protocol.transport.abortConnection()

    def _fail_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.errback(KeyValueUnavailable("the connection to Redis is closed"))


def _tell(first: Deferred[Exception | None], outcome: Exception | None) -> None:
    if not first.called:
        first.callback(outcome)


async def _awaited(it: Awaitable[Any]) -> Any:
    return await it
