"""Each fault of the proxy does what its name says to a real TCP connection, and can be undone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from tests.chaos.proxy import HELD_BYTES, FaultyProxy, Weather
from tests.daemon.process import until

pytestmark = pytest.mark.time_limit(10)

SOON = 2.0


class Echo(Protocol):
    """The server: sends everything back."""

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        self.factory.connections.append(self)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        assert self.transport is not None
        self.transport.write(data)


class EchoFactory(Factory):
    protocol = Echo
    noisy = False

    def __init__(self) -> None:
        self.connections: list[Echo] = []


class Client(Protocol):
    """Remembers what came, in which pieces, and how the connection ended."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ended: Deferred[object] = Deferred()
        """The class of the reason."""

    @property
    def received(self) -> bytes:
        return b"".join(self.pieces)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self.pieces.append(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # noqa: N802
        self.ended.callback(reason.type)

    def send(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class Bed:
    """An echo server, the proxy before it, and its clients."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.factory = EchoFactory()
        self.server = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        target = ("127.0.0.1", self.server.getHost().port)
        self.proxy = FaultyProxy(reactor, [target], Random(1))
        self.proxy.start()

    async def client(self) -> Client:
        endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", self.proxy.port)
        client = Client()
        await connectProtocol(endpoint, client)  # type: ignore[no-untyped-call]
        return client

    async def comes(self, client: Client, data: bytes) -> bool:
        return await until(self.reactor, lambda: client.received == data, SOON, 0.005)

    def set(self, **weather: Any) -> None:
        self.proxy.weather = Weather(**weather)
        self.proxy.changed()

    async def pause(self, seconds: float = 0.1) -> None:
        await deferLater(self.reactor, seconds)

    async def stop(self) -> None:
        await self.proxy.stop()
        await self.server.stopListening()


@pytest_twisted.async_yield_fixture
async def bed() -> AsyncIterator[Bed]:
    from twisted.internet import reactor

    made = Bed(reactor)
    yield made
    await made.stop()


async def test_without_faults_bytes_and_the_end_pass_both_ways(bed: Bed) -> None:
    client = await bed.client()
    data = Random(2).randbytes(3 * HELD_BYTES)
    client.send(data)
    assert await bed.comes(client, data)
    bed.factory.connections[0].transport.loseConnection()  # type: ignore[union-attr]
    assert await _soon(bed, client.ended) is ConnectionDone


async def test_latency_delays_and_slices_arrive_apart(bed: Bed) -> None:
    client = await bed.client()
    bed.set(latency=0.05, slice=3)
    begin = bed.reactor.seconds()
    client.send(b"0123456789")
    assert await bed.comes(client, b"0123456789")
    assert bed.reactor.seconds() - begin >= 0.1
    assert len(client.pieces) > 1


async def test_a_stall_holds_everything_and_loses_nothing(bed: Bed) -> None:
    client = await bed.client()
    bed.set(stall=True)
    client.send(b"held")
    await bed.pause()
    assert client.received == b""
    bed.set()
    assert await bed.comes(client, b"held")


async def test_a_stalled_peer_is_not_read_from_without_end(bed: Bed) -> None:
    client = await bed.client()
    client.send(b"x")
    assert await bed.comes(client, b"x")
    bed.set(latency=60.0)
    data = b"y" * (16 * HELD_BYTES)
    client.send(data)
    await bed.pause(0.3)
    (pair,) = bed.proxy.pairs
    assert pair.pipes[0]._bytes < 2 * HELD_BYTES
    bed.proxy.reset()
    await client.ended


async def test_a_black_hole_swallows_and_answers_nothing(bed: Bed) -> None:
    client = await bed.client()
    bed.set(blackhole=True)
    client.send(b"lost")
    await bed.pause()
    bed.set()
    client.send(b"found")
    assert await bed.comes(client, b"found")


async def test_corruption_adds_bytes_to_so_many_pieces(bed: Bed) -> None:
    client = await bed.client()
    bed.set(corrupt=1)
    client.send(b"a" * 100)
    assert await until(bed.reactor, lambda: len(client.received) == 107, SOON, 0.005)
    assert client.received.replace(b"a", b"") != b""
    client.pieces.clear()
    client.send(b"b")
    assert await bed.comes(client, b"b")


async def test_a_reset_is_no_clean_end_and_a_refusal_ends_new_connections(bed: Bed) -> None:
    client = await bed.client()
    client.send(b"1")
    assert await bed.comes(client, b"1")
    bed.proxy.reset()
    assert await _soon(bed, client.ended) is not ConnectionDone
    bed.set(refuse=True)
    refused = await bed.client()
    assert await _soon(bed, refused.ended) is not ConnectionDone
    bed.set()
    again = await bed.client()
    again.send(b"2")
    assert await bed.comes(again, b"2")


async def test_the_next_target_is_tried_when_one_is_gone(bed: Bed) -> None:
    bed.proxy.targets.insert(0, ("127.0.0.1", 1))
    client = await bed.client()
    client.send(b"second")
    assert await bed.comes(client, b"second")
    bed.proxy.targets = [("127.0.0.1", 1)]
    nobody = await bed.client()
    assert await _soon(bed, nobody.ended) is not ConnectionDone


async def _soon(bed: Bed, waiting: Deferred[object]) -> object:
    return await waiting.addTimeout(SOON, bed.reactor)
