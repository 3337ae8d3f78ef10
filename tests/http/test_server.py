"""Slow and greedy clients get no more than their share."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.web.resource import Resource

from nizam.http.server import BODY_SECONDS, HEADER_SECONDS, BoundedSite


class _Echo(Resource):
    isLeaf = True  # noqa: N815 - Twisted's name

    def render(self, request: Any) -> bytes:
        return b"too large" if request.too_large else bytes(request.content.read())


def _connect(site: BoundedSite) -> tuple[Any, Any]:
    channel = site.buildProtocol(None)
    transport: Any = StringTransportWithDisconnection()  # type: ignore[no-untyped-call]
    transport.abortConnection = transport.loseConnection
    transport.protocol = channel
    channel.makeConnection(transport)
    return channel, transport


def _site(clock: Clock, **more: Any) -> BoundedSite:
    return BoundedSite(_Echo(), clock, **more)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("begin", "drip", "seconds"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ", b"a", HEADER_SECONDS),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n", b"a", BODY_SECONDS),
    ],
)
def test_a_client_that_drips_is_cut_off(begin: bytes, drip: bytes, seconds: float) -> None:
    clock = Clock()
    channel, transport = _connect(_site(clock))
    channel.dataReceived(begin)
    for _ in range(int(seconds) - 1):
        clock.advance(1)
        channel.dataReceived(drip)
    assert transport.connected
    clock.advance(1.5)
    assert not transport.connected


def test_a_body_over_the_limit_is_not_kept_but_answered() -> None:
    site = _site(Clock(), body_limits={b"/small": 4})
    for request in (
        b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345",
        b"POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\n12345\r\n0\r\n\r\n",
    ):
        channel, transport = _connect(site)
        channel.dataReceived(request)
        assert transport.value().endswith(b"too large")
        transport.loseConnection()


def test_connections_over_the_limit_are_refused_until_one_ends() -> None:
    site = _site(Clock(), max_connections=1)
    _, transport = _connect(site)
    assert site.buildProtocol(None) is None
    transport.loseConnection()
    assert site.buildProtocol(None) is not None
