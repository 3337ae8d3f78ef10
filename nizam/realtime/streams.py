"""The streams of this instance: who may open one, how it is kept alive, and how all of them end."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final
from uuid import UUID

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from nizam.errors import NizamError, StreamsFull
from nizam.realtime.catch_up import CatchUp, ReadFor
from nizam.realtime.closing import Close
from nizam.realtime.filters import Filter, Filters
from nizam.realtime.hub import Hub
from nizam.realtime.subscriber import Codec, Sink, Subscriber
from nizam.realtime.tail import Tail
from nizam.slices import give_way

HEARTBEAT_SECONDS: Final = 20.0
SILENT_SECONDS: Final = 60.0
"""How long a client may read nothing, or answer no ping."""
CHECK_SECONDS: Final = 15.0
"""How often it is asked anew whether streams may go on, where nothing tells of a change."""
SPREAD_SECONDS: Final = 5.0
"""Clients of an instance that stops come back spread over so long."""
_TICK_SECONDS: Final = 1.0
_ENDED_AT_ONCE: Final = 100

Check = Callable[[Hashable], Awaitable[Close | None]]
"""Why the streams of this holder must end now; None if they may go on."""


@attrs.define(eq=False)
class Stream:
    """One open stream: its subscriber, who it was opened for, what they may see of it at most, and
    how the connection is asked for a sign of life (None where it cannot be)."""

    subscriber: Subscriber
    holder: Hashable
    within: Filter | None
    ping: Callable[[], None] | None
    heard_at: float
    beat_at: float
    bringing: Deferred[None] | None = None


class Streams(Service):
    """Opens, keeps and ends them. At most `most` are open at a time, `most_of_tenant` of those of
    one tenant."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        hub: Hub,
        tail: Tail,
        read_for: ReadFor,
        *,
        most: int,
        most_of_tenant: int,
    ) -> None:
        self.name = "realtime"
        self.reactor = reactor
        self.check: Check | None = None
        self._hub = hub
        self._tail = tail
        self._catch_up = CatchUp(reactor, hub, read_for)
        self._most = most
        self._most_of_tenant = most_of_tenant
        self._open: dict[Subscriber, Stream] = {}
        self._draining = False
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = reactor
        self._checked_at = 0.0
        self._checking: Deferred[None] | None = None
        self._check_again = False

    def __len__(self) -> int:
        return len(self._open)

    @property
    def reached(self) -> int:
        """A position that the log has reached for certain; 0 while nobody follows it here."""
        return self._hub.reached

    # -- life -----------------------------------------------------------------------------------

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Follow the log when somebody listens."""
        super().startService()  # type: ignore[no-untyped-call]
        self._tail.startService()  # type: ignore[no-untyped-call]
        self._ticking.start(_TICK_SECONDS, now=False)

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """End every stream that is still open."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._ticking.running:
            self._ticking.stop()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self.drain()
        if self._checking is not None:
            await self._checking
        await self._tail.stopService()

    async def drain(self) -> None:
        """Open no more, and tell every client to connect again, to another instance."""
        self._draining = True
        for count, stream in enumerate(list(self._open.values()), 1):
            pause = random.random() * SPREAD_SECONDS  # noqa: S311 - hides nothing
            self._end(stream, Close.RESTART, pause)
            if not count % _ENDED_AT_ONCE:
                await give_way(self.reactor)

    # -- one stream -----------------------------------------------------------------------------

    async def admit(self, tenant_id: UUID | None) -> None:
        """Return when a stream may be opened now; raises StreamsFull, DatabaseUnavailable."""
        if self._draining or not self.running:
            raise StreamsFull("this instance stops")
        if len(self._open) >= self._most:
            raise StreamsFull("this instance has as many streams as it takes")
        if tenant_id is not None and self._hub.of_tenant(tenant_id) >= self._most_of_tenant:
            raise StreamsFull("this tenant has as many streams open as it may")
        await self._tail.follow()

    def open(
        self,
        sink: Sink,
        codec: Codec,
        tenant_id: UUID | None,
        holder: Hashable,
        *,
        within: Filter | None = None,
        ping: Callable[[], None] | None = None,
    ) -> Stream:
        """A stream that wants nothing yet, at the present end of the log. After `admit`."""
        subscriber = Subscriber(sink, codec, tenant_id)
        subscriber.position = self._hub.reached
        now = self.reactor.seconds()
        spread = random.random() * HEARTBEAT_SECONDS  # noqa: S311 - spreads the work
        stream = Stream(subscriber, holder, within, ping, now, now + spread)
        self._open[subscriber] = stream
        self._hub.add(subscriber)
        self._hub.join(subscriber)
        if self._draining:
            self.reactor.callLater(0, self._end, stream, Close.RESTART)
        return stream

    def want(self, stream: Stream, filters: Filters, position: int | None = None) -> str:
        """From now on send what these want; with `position`, what came after it first. The cursor
        from which on they hold."""
        subscriber = stream.subscriber
        self._hub.refresh(subscriber)
        subscriber.filters = frozenset(
            it if stream.within is None else attrs.evolve(it, within=stream.within)
            for it in filters
        )
        if position is not None:
            subscriber.live = False
            subscriber.position = position
        cursor = subscriber.cursor
        if not subscriber.live and stream.bringing is None and not subscriber.gone:
            # Not at once: who wants it is told so before the events come.
            stream.bringing = deferLater(self.reactor, 0)
            stream.bringing.addCallback(
                lambda _: Deferred.fromCoroutine(self._catch_up.bring(subscriber))
            )
            stream.bringing.addErrback(self._failed, stream)
            stream.bringing.addBoth(self._brought, stream)
        return cursor

    def position_of(self, stream: Stream) -> str:
        """The cursor after everything that the client was sent or that was not for it."""
        self._hub.refresh(stream.subscriber)
        return stream.subscriber.cursor

    def paused(self, stream: Stream) -> None:
        """The transport is full."""
        stream.subscriber.pause(self.reactor.seconds())

    def lost(self, stream: Stream) -> None:
        """The client is gone."""
        stream.subscriber.lost()
        self._open.pop(stream.subscriber, None)
        self._hub.remove(stream.subscriber)

    def end(self, stream: Stream, code: Close) -> None:
        """Close one from our side."""
        self._end(stream, code)

    def _end(self, stream: Stream, code: Close, pause: float = 0.0) -> None:
        stream.subscriber.end(code, pause)
        self.lost(stream)

    def _failed(self, failure: Any, stream: Stream) -> None:
        if not failure.check(NizamError):
            self._log.failure("a stream could not catch up", failure)
        self._end(stream, Close.TRY_LATER, SPREAD_SECONDS)

    def _brought(self, _: object, stream: Stream) -> None:
        stream.bringing = None

    # -- all of them ------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self.reactor.seconds()
        for stream in list(self._open.values()):
            subscriber = stream.subscriber
            since = subscriber.paused_since
            silent = stream.ping is not None and now - stream.heard_at > SILENT_SECONDS
            if silent or (since is not None and now - since > SILENT_SECONDS):
                self._end(stream, Close.TOO_SLOW)
            elif now >= stream.beat_at:
                stream.beat_at = now + HEARTBEAT_SECONDS
                if since is None:
                    subscriber.tell("heartbeat", cursor=self.position_of(stream))
                    if stream.ping is not None:
                        stream.ping()
        if now - self._checked_at >= CHECK_SECONDS:
            self.check_all()

    def check_all(self) -> None:
        """Ask of everybody again whether their streams may go on; end those that may not."""
        self._checked_at = self.reactor.seconds()
        if self.check is None or not self._open:
            return
        if self._checking is not None:
            self._check_again = True
            return
        self._checking = Deferred.fromCoroutine(self._check_all())
        self._checking.addErrback(lambda it: self._log.failure("checking streams", it))
        self._checking.addBoth(self._all_checked)

    async def _check_all(self) -> None:
        assert self.check is not None  # noqa: S101 - check_all asks
        for holder in {it.holder for it in self._open.values()}:
            code = await self.check(holder)
            if code is not None:
                for stream in [it for it in self._open.values() if it.holder == holder]:
                    self._end(stream, code)
            await give_way(self.reactor)

    def _all_checked(self, _: object) -> None:
        self._checking = None
        if self._check_again:
            self._check_again = False
            self.check_all()
