"""The one reader of the log on this instance, on behalf of all of its clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nizam.errors import DatabaseUnavailable
from nizam.metrics import REALTIME_LAG_SECONDS
from nizam.nap import Nap
from nizam.realtime.bell import Bell
from nizam.realtime.closing import Close
from nizam.realtime.hub import Hub
from nizam.store.system.event_log import LogPage

PAGE_EVENTS: Final = 200
POLL_SECONDS: Final = 0.25
RETRY_SECONDS: Final = 0.5
IDLE_SECONDS: Final = 60.0
"""How long the log is followed with nobody listening, in case somebody comes back."""

Read = Callable[[int], Awaitable[LogPage]]
End = Callable[[], Awaitable[int]]


class Tail(Service):
    """Reads on whenever the bell rings, and every quarter of a second by itself, for as long as
    the hub has clients."""

    _log = Logger()

    def __init__(self, reactor: Any, hub: Hub, bell: Bell, read: Read, end: End) -> None:
        self.name = "realtime-tail"
        self._reactor = reactor
        self._hub = hub
        self._bell = bell
        self._read = read
        self._end = end
        self._following: Deferred[None] | None = None
        self._nap = Nap(reactor)
        self._starting: list[Deferred[None]] = []
        self._started = False
        self._rung = False
        self._alone_since = 0.0
        self._deaf: Callable[[], None] | None = None

    async def follow(self) -> None:
        """Return when the log is followed. Raises DatabaseUnavailable when it cannot be read."""
        # Whoever asks becomes a client in a moment.
        self._alone_since = self._reactor.seconds()
        if self._started:
            return
        if not self.running:
            raise DatabaseUnavailable("this instance stops")
        ready: Deferred[None] = Deferred()
        self._starting.append(ready)
        if self._following is None:
            self._following = Deferred.fromCoroutine(self._follow())
            self._following.addErrback(lambda it: self._log.failure("following the log", it))
            self._following.addBoth(self._ended)
        await ready

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Read no more."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._wake()
        return Deferred.fromCoroutine(self._stopped())

    async def _stopped(self) -> None:
        if self._following is not None:
            await self._following

    async def _follow(self) -> None:
        try:
            self._hub.start_at(await self._end())
        except DatabaseUnavailable as error:
            self._tell_waiting(error)
            return
        self._deaf = self._bell.heard(self._wake)
        self._started = True
        self._tell_waiting(None)
        while self.running:
            now = self._reactor.seconds()
            if len(self._hub):
                self._alone_since = now
            if now - self._alone_since > IDLE_SECONDS:
                return
            self._rung = False
            pause = POLL_SECONDS
            try:
                page = await self._read(self._hub.reached)
            except DatabaseUnavailable as error:
                self._log.info("streams wait for PostgreSQL: {error}", error=error.detail)
                pause = RETRY_SECONDS
            else:
                await self._hub.give(page.events, page.position)
                self._note(page)
                if page.more:
                    continue
            if not self._rung:
                await self._nap.sleep(pause)

    def _note(self, page: LogPage) -> None:
        if page.events and len(self._hub):
            now = datetime.fromtimestamp(self._reactor.seconds(), UTC)
            for it in page.events:
                lag = (now - it.event.occurred_at).total_seconds()
                REALTIME_LAG_SECONDS.observe(max(0.0, lag))

    def _ended(self, _result: object) -> None:
        # Only an error ends it with clients: nobody else would give them what they wait for.
        for it in self._hub:
            it.end(Close.TRY_LATER)
        self._following = None
        self._started = False
        if self._deaf is not None:
            self._deaf()
            self._deaf = None
        self._tell_waiting(DatabaseUnavailable("the log is not followed"))

    def _tell_waiting(self, error: DatabaseUnavailable | None) -> None:
        waiting, self._starting = self._starting, []
        for it in waiting:
            if error is None:
                it.callback(None)
            else:
                it.errback(error)

    def _wake(self) -> None:
        self._rung = True
        self._nap.wake()
