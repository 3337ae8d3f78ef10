"""What ends is ended for certain: no client waits for a log that nobody reads, and no connection is
kept for whoever has said goodbye."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from nizam.realtime.closing import Close
from nizam.realtime.hub import Hub
from nizam.realtime.session import Session
from nizam.realtime.streams import Stream, Streams
from nizam.realtime.tail import IDLE_SECONDS, Tail
from nizam.realtime.websocket import CLOSE_SECONDS, CODEC, Door, StreamProtocol
from nizam.store.system.event_log import LogPage
from tests.realtime.test_hub import Wire, client


class Silent:
    """A bell that never rings."""

    def heard(self, listener: Callable[[], None]) -> Callable[[], None]:
        return lambda: None


class Log:
    """An empty log, which `broken` makes unreadable."""

    broken = False

    def __init__(self) -> None:
        self.reads = 0

    async def read(self, after: int) -> LogPage:
        self.reads += 1
        if self.broken:
            raise RuntimeError("a mistake of ours")
        return LogPage([], after, more=False)

    async def end(self) -> int:
        return 7


def following(clock: Clock, hub: Hub, log: Log) -> Tail:
    bell: Any = Silent()
    tail = Tail(clock, hub, bell, log.read, log.end)
    tail.startService()  # type: ignore[no-untyped-call]
    Deferred.fromCoroutine(tail.follow())
    return tail


def test_clients_are_sent_elsewhere_when_the_log_cannot_be_followed() -> None:
    clock, log, wire = Clock(), Log(), Wire()
    hub = Hub(clock)
    following(clock, hub, log)
    hub.add(client(wire))
    log.broken = True
    clock.advance(1)
    assert wire.ended is Close.TRY_LATER


def test_the_log_is_followed_for_whoever_was_let_in_a_moment_ago() -> None:
    clock, log = Clock(), Log()
    tail = following(clock, Hub(clock), log)
    clock.pump([1.0] * int(IDLE_SECONDS))
    Deferred.fromCoroutine(tail.follow())
    before = log.reads
    clock.pump([1.0] * 5)
    assert log.reads > before
    clock.pump([1.0] * int(IDLE_SECONDS))
    before = log.reads
    clock.pump([1.0] * 5)
    assert log.reads == before


def test_whoever_says_goodbye_and_reads_nothing_is_cut_off() -> None:
    clock = Clock()
    transport: Any = StringTransport()  # type: ignore[no-untyped-call]
    nobody: Any = None
    streams = Streams(clock, Hub(clock), nobody, nobody, most=1, most_of_tenant=1)
    opened: list[Stream] = []

    def hand_over(protocol: StreamProtocol) -> bytes:
        protocol.makeConnection(transport)  # type: ignore[no-untyped-call]
        # A close frame with the code 1000, masked with zeros (RFC 6455, section 5.2).
        return b"\x88\x82\x00\x00\x00\x00\x03\xe8"

    def open_stream(protocol: StreamProtocol) -> tuple[Stream, Session]:
        opened.append(streams.open(protocol, CODEC, None, "holder", ping=protocol.ping))
        return opened[0], Session(streams, opened[0], nobody)

    fields = {
        b"Host": b"127.0.0.1",
        b"Upgrade": b"websocket",
        b"Connection": b"Upgrade",
        b"Sec-WebSocket-Version": b"13",
        b"Sec-WebSocket-Key": base64.b64encode(bytes(16)),
    }
    headers = [(name, [value]) for name, value in fields.items()]
    Deferred.fromCoroutine(Door(streams).enter(hand_over, headers, "id", open_stream))
    assert opened
    assert transport.disconnecting
    streams.end(opened[0], Close.TOO_SLOW)
    clock.advance(CLOSE_SECONDS)
    assert transport.disconnected
