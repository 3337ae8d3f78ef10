"""Clients that are slow, over real sockets: they are told, cut off, and hold nobody up."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource

from nizam.http import channel
from nizam.http.server import BoundedSite
from tests.http.conftest import Server, reactor

SECONDS = 0.3
MANY = 500
HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "
BODY = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n"
WHOLE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class _Client(Protocol):
    """Gathers what comes until the server closes; with `drip` it sends a byte now and then."""

    transport: Any

    def __init__(self) -> None:
        self.got = b""
        self.answered: Deferred[None] = Deferred()
        self.closed: Deferred[bytes] = Deferred()
        self._dripping = LoopingCall(lambda: self.transport.write(b"a"))

    def drip(self, begin: bytes) -> None:
        """Begin a request and go on with it as slowly as can be."""
        self.transport.write(begin)
        self._dripping.start(SECONDS / 10, now=False)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self.got += data
        if not self.answered.called:
            self.answered.callback(None)

    def connectionLost(self, reason: Any = None) -> None:  # noqa: N802 - Twisted's name
        if self._dripping.running:
            self._dripping.stop()
        self.closed.callback(self.got)


class _Here(Resource):
    isLeaf = True  # noqa: N815 - Twisted's name

    def render(self, request: Any) -> bytes:
        return b"here"


@attrs.frozen
class Port:
    number: int
    site: BoundedSite

    async def connect(self) -> _Client:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.number, timeout=5)
        client = _Client()
        await connectProtocol(endpoint, client)  # type: ignore[no-untyped-call]
        return client


@pytest_twisted.async_yield_fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Port]:
    """A port on which requests have little time, and at most three connections are open."""
    monkeypatch.setattr(channel, "HEADER_SECONDS", SECONDS)
    monkeypatch.setattr(channel, "BODY_SECONDS", SECONDS)
    monkeypatch.setattr(channel, "SLOWEST_BYTES_PER_SECOND", 1e9)
    site = BoundedSite(_Here(), reactor, max_connections=3)  # type: ignore[no-untyped-call]
    listening = reactor.listenTCP(0, site, interface="127.0.0.1")
    yield Port(listening.getHost().port, site)
    await listening.stopListening()


@pytest.mark.parametrize("begin", [HEAD, BODY], ids=["header", "body"])
async def test_a_request_that_drips_in_is_answered_408_and_its_connection_closed(
    port: Port, begin: bytes
) -> None:
    client, started = await port.connect(), time.monotonic()
    client.drip(begin)
    answer = await client.closed.addTimeout(10, reactor)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b'"code":"request_timeout"' in answer
    assert time.monotonic() - started >= SECONDS


async def test_an_open_connection_gives_way_to_a_new_one_when_there_are_too_many(
    port: Port,
) -> None:
    first, *others = [await port.connect() for _ in range(3)]
    for it in others:
        it.drip(HEAD)
    newest = await port.connect()
    newest.transport.write(WHOLE)
    await newest.answered.addTimeout(5, reactor)
    assert newest.got.endswith(b"here")
    assert await first.closed.addTimeout(5, reactor) == b""
    for it in (*others, newest):
        it.transport.abortConnection()
        await it.closed


@pytest.mark.time_limit(60)
async def test_many_slow_clients_keep_nobody_from_the_api(server: Server) -> None:
    slow = Port(int(server.base.rpartition(":")[2]), None)  # type: ignore[arg-type]
    clients = await gatherResults([Deferred.fromCoroutine(slow.connect()) for _ in range(MANY)])
    for it in clients:
        it.transport.write(HEAD)
    for _ in range(20):
        assert (await server.request("GET", "/api/v1/me")).status == 200
    assert not any(it.closed.called for it in clients)
    for it in clients:
        it.transport.abortConnection()
    await gatherResults([it.closed for it in clients])
