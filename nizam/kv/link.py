"""One signed-in connection to a Redis server that comes back by itself."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.logger import Logger

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
    """Connects to `endpoint` for as long as it runs.

    `build` makes txredisapi's protocol; `sign_in` prepares each new connection within a bounded
    time, or raises.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        endpoint: Any,
        build: Callable[[], Any],
        sign_in: Callable[[Any], Awaitable[None]],
    ) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self._factory = _ProtocolFactory(build)
        self._sign_in = sign_in
        self._protocol: Any = None
        self._waiting: list[Deferred[Any]] = []
        self._running = False
        self._finished: Deferred[None] | None = None
        self._nap = Nap(reactor)
        self._attempt: Deferred[Any] | None = None

    @property
    def connection(self) -> Any:
        """The live connection, or None."""
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
        if self._protocol is not None and self._protocol.transport is not None:
            self._protocol.transport.abortConnection()
        finished, self._finished = self._finished, None
        if finished is not None:
            await finished
        self._fail_waiting()

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
            protocol = None
            try:
                self._attempt = self._endpoint.connect(self._factory)
                self._protocol = protocol = await self._attempt
                self._attempt = None
                gone = protocol.whenDisconnected()
                await self._sign_in(protocol)
            except Exception as error:
                self._attempt = None
                if protocol is not None:
                    protocol.transport.abortConnection()
                if self._running:
                    self._log.warn("Redis: {error}", error=str(error) or type(error).__name__)
                _tell(first, error)
            else:
                delay = _FIRST_RETRY
                waiting, self._waiting = self._waiting, []
                for waiter in waiting:
                    waiter.callback(protocol)
                _tell(first, None)
            if protocol is not None:
                await gone
            if self._running:
                await self._nap.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311
                delay = min(delay * 1.6, _LAST_RETRY)

    def _fail_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.errback(KeyValueUnavailable("the connection to Redis is closed"))


def _tell(first: Deferred[Exception | None], outcome: Exception | None) -> None:
    if not first.called:
        first.callback(outcome)
