"""A TCP proxy on loopback that does to connections what networks do.

Faults hold for both directions and for all connections until they are taken back. Bytes are
never reordered, and none are lost but by `blackhole`, `reset` and `corrupt`: what comes through
is what a TCP peer could see.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory
from twisted.python.failure import Failure

Target = tuple[str, int]

HELD_BYTES: Final = 1_048_576
"""Of one direction: beyond, the sender is not read from any more, as with a full window."""
CONNECT_SECONDS: Final = 5.0
BETWEEN_SLICES_SECONDS: Final = 0.001
"""So that the kernel does not put them together again."""
_GARBAGE_BYTES: Final = 7


@attrs.define
class Weather:
    """What is wrong with the network; `Weather()` is a good one.

    `latency` in seconds is added to each piece, `slice` is the most bytes that come at once (0 is
    no limit), `stall` stops all reading and writing while connections stay open, `blackhole`
    swallows what is sent and answers nothing, `corrupt` counts down the pieces that get a few
    bytes which nobody sent, `refuse` closes new connections at once.
    """

    latency: float = 0.0
    slice: int = 0
    stall: bool = False
    blackhole: bool = False
    corrupt: int = 0
    refuse: bool = False


class FaultyProxy(ServerFactory):
    """Passes each connection on to the first of `targets` that takes it.

    `weather` may be changed at any time; call `changed()` afterwards. `random` makes what is
    drawn by lot repeatable.
    """

    noisy = False

    def __init__(self, reactor: Any, targets: Sequence[Target], random: Random) -> None:
        self.reactor = reactor
        self.targets = list(targets)
        self.random = random
        self.weather = Weather()
        self.pairs: set[_Pair] = set()
        self.accepted = 0
        self.passed = 0
        self._port: Any = None
        self._closing: Deferred[None] | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        number: int = self._port.getHost().port
        return number

    def start(self, port: int = 0) -> None:
        """Listen on a port of loopback, a free one unless told. Raises CannotListenError."""
        self._port = self.reactor.listenTCP(port, self, interface="127.0.0.1")

    async def stop(self) -> None:
        """End every connection and listen no more."""
        await self._port.stopListening()
        self.weather = Weather()
        if self.pairs:
            self._closing = Deferred()
            self.reset()
            await self._closing

    def buildProtocol(self, addr: IAddress | None) -> Protocol:  # noqa: N802 - Twisted's name
        """One connection from a client."""
        self.accepted += 1
        return _Pair(self).near

    def changed(self) -> None:
        """Let connections that are open follow the weather."""
        for pair in list(self.pairs):
            for pipe in pair.pipes:
                pipe.follow()

    def reset(self) -> None:
        """Fault: end every connection by RST; what was on its way is lost."""
        for pair in list(self.pairs):
            pair.abort()

    def gone(self, pair: _Pair) -> None:
        """Called by a pair whose two connections are closed."""
        self.pairs.discard(pair)
        if self._closing is not None and not self.pairs:
            closing, self._closing = self._closing, None
            closing.callback(None)


class _End(Protocol):
    """One of the two connections of a pair; what it reads goes into `pipe`."""

    def __init__(self, pair: _Pair) -> None:
        self.pair = pair
        self.pipe: _Pipe
        self.open = False

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        self.open = True
        transport: Any = self.transport
        transport.setTcpNoDelay(True)
        self.pair.opened(self)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self.pipe.take(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # noqa: N802
        self.open = False
        self.pair.lost(self, reason)


class _Pipe:
    """One direction: pieces wait here for their moment and for room at the other end."""

    def __init__(self, pair: _Pair, source: _End, sink: _End) -> None:
        self._pair = pair
        self._proxy = pair.proxy
        self._source = source
        self._sink = sink
        self._held: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self._timer: Any = None
        self._full = False
        self._reading = True
        self._ends = False
        source.pipe = self

    @property
    def connected(self) -> bool:
        return self._sink.open

    def take(self, data: bytes) -> None:
        weather = self._proxy.weather
        if weather.blackhole:
            return
        if weather.corrupt:
            weather.corrupt -= 1
            at = self._proxy.random.randrange(len(data) + 1)
            data = data[:at] + self._proxy.random.randbytes(_GARBAGE_BYTES) + data[at:]
        self._held.append((self._proxy.reactor.seconds() + weather.latency, data))
        self._bytes += len(data)
        self.follow()

    def end(self) -> None:
        """Nothing more comes: close the other end once everything held was written."""
        self._ends = True
        self.follow()

    def follow(self) -> None:
        """Read, write or wait, as the weather wants."""
        weather = self._proxy.weather
        self._read(not weather.stall and self._bytes < HELD_BYTES and not self._full)
        if weather.stall or not self.connected or self._full or self._timer is not None:
            return
        self._write()

    # The end that is written to is a push consumer and says when its buffer is full.

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._full = True
        self.follow()

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._full = False
        self.follow()

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """The connection that is written to has ended, which its protocol hears of too."""

    def forget(self) -> None:
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _write(self) -> None:
        weather, transport = self._proxy.weather, self._sink.transport
        now = self._proxy.reactor.seconds()
        while self._held and not self._full:
            due, data = self._held[0]
            if due > now:
                self._later(due - now)
                return
            self._held.popleft()
            piece = data[: weather.slice] if weather.slice else data
            if len(piece) < len(data):
                self._held.appendleft((due, data[len(piece) :]))
            self._bytes -= len(piece)
            self._proxy.passed += len(piece)
            assert transport is not None
            transport.write(piece)
            if weather.slice and self._held:
                self._later(BETWEEN_SLICES_SECONDS)
                return
        if self._ends and not self._held:
            assert transport is not None
            transport.loseConnection()
        elif not self._reading:
            self._read(not self._full and self._bytes < HELD_BYTES)

    def _later(self, seconds: float) -> None:
        def due() -> None:
            self._timer = None
            self.follow()

        self._timer = self._proxy.reactor.callLater(seconds, due)

    def _read(self, wanted: bool) -> None:
        if wanted == self._reading or not self._source.open:
            return
        self._reading = wanted
        transport: Any = self._source.transport
        (transport.resumeProducing if wanted else transport.pauseProducing)()


class _Pair:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, proxy: FaultyProxy) -> None:
        self.proxy = proxy
        self.near, self.far = _End(self), _End(self)
        self.pipes = (_Pipe(self, self.near, self.far), _Pipe(self, self.far, self.near))
        self._connecting: Any = None
        self._untried: list[Target] = []

    def opened(self, end: _End) -> None:
        if end is self.near:
            self.proxy.pairs.add(self)
            if self.proxy.weather.refuse:
                self.abort()
                return
            self._untried = list(self.proxy.targets)
            self._connect()
        else:
            self._connecting = None
            if not self.near.open:
                self.abort()
                return
            for pipe, sink in zip(self.pipes, (self.far, self.near), strict=True):
                transport: Any = sink.transport
                transport.registerProducer(pipe, True)
        for pipe in self.pipes:
            pipe.follow()

    def abort(self) -> None:
        """End both connections at once."""
        for end in (self.near, self.far):
            if end.open:
                transport: Any = end.transport
                transport.abortConnection()
        self._finish()

    def lost(self, end: _End, reason: Failure) -> None:
        other = self.far if end is self.near else self.near
        end.pipe.forget() if not other.open else None
        if other.open:
            clean = reason.type is not None and reason.type.__name__ == "ConnectionDone"
            if clean:
                end.pipe.end()
            else:
                transport: Any = other.transport
                transport.abortConnection()
            other.pipe.forget()
        self._finish()

    def _connect(self) -> None:
        if not self._untried or not self.near.open:
            self.abort()
            return
        host, port = self._untried.pop(0)
        factory = _Outgoing(self)
        self._connecting = self.proxy.reactor.connectTCP(host, port, factory, CONNECT_SECONDS)

    def refused(self) -> None:
        """The server took no connection: try the next one."""
        self._connecting = None
        self._connect()

    def _finish(self) -> None:
        if not self.near.open and not self.far.open and self._connecting is None:
            for pipe in self.pipes:
                pipe.forget()
            self.proxy.gone(self)
        elif not self.near.open and self._connecting is not None:
            connecting, self._connecting = self._connecting, None
            connecting.disconnect()
            self._finish()


class _Outgoing(ClientFactory):
    noisy = False

    def __init__(self, pair: _Pair) -> None:
        self._pair = pair

    def buildProtocol(self, addr: IAddress | None) -> Protocol:  # noqa: N802 - Twisted's name
        return self._pair.far

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:  # noqa: N802
        if self._pair.near.open:
            self._pair.refused()
