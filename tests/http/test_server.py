"""Slow and greedy clients get no more than their share."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.web.resource import Resource

from nizam.http.channel import (
    BODY_SECONDS,
    HEADER_SECONDS,
    NEW_SECONDS,
    SLOWEST_BYTES_PER_SECOND,
)
from nizam.http.closing import SPREAD_SECONDS
from nizam.http.server import BoundedSite


class _Echo(Resource):
    isLeaf = True  # noqa: N815 - Twisted's name

    def render(self, request: Any) -> bytes:
        return b"too large" if request.too_large else bytes(request.content.read())

    def body_limit(self, path: bytes) -> int | None:
        return 10_000_000 if path == b"/large" else None


def _connect(site: BoundedSite, host: str = "192.0.2.1") -> tuple[Any, Any]:
    channel = site.buildProtocol(IPv4Address("TCP", host, 1))
    if channel is None:
        return None, None
    transport: Any = StringTransportWithDisconnection()  # type: ignore[no-untyped-call]
    transport.abortConnection = transport.loseConnection
    transport.protocol = channel
    channel.makeConnection(transport)
    return channel, transport


def _site(clock: Clock, **more: Any) -> BoundedSite:
    return BoundedSite(_Echo(), clock, **more)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("begin", "seconds"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ", HEADER_SECONDS),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n",
            BODY_SECONDS + 9999 / SLOWEST_BYTES_PER_SECOND,
        ),
        (
            b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n",
            BODY_SECONDS + 9_999_999 / SLOWEST_BYTES_PER_SECOND,
        ),
    ],
    ids=["header", "body", "large body"],
)
def test_a_client_that_drips_is_told_and_cut_off(begin: bytes, seconds: float) -> None:
    clock = Clock()
    channel, transport = _connect(_site(clock))
    channel.dataReceived(begin)
    for _ in range(int(seconds)):
        clock.advance(1)
        channel.dataReceived(b"a")
    assert transport.connected
    clock.advance(seconds + SPREAD_SECONDS - clock.seconds())
    assert not transport.connected
    assert transport.value().startswith(b"HTTP/1.1 408 Request Timeout\r\n")


@pytest.mark.parametrize(
    "head",
    [
        b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n",
        b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        b"POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n12345",
        b"POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\n12345\r\n0\r\n\r\n",
    ],
    ids=["announced", "asked first", "a chunk too large", "chunked"],
)
def test_a_body_over_the_limit_is_answered_before_it_is_read(head: bytes) -> None:
    channel, transport = _connect(_site(Clock(), body_limits={b"/small": 4}))
    channel.dataReceived(head)
    assert transport.value().startswith(b"HTTP/1.1 200 OK\r\n")
    assert transport.value().endswith(b"too large")
    assert b"Connection: close" in transport.value()
    assert not transport.connected


def test_connections_over_the_limit_push_out_the_one_that_waits_longest() -> None:
    clock = Clock()
    site = _site(clock, max_connections=2)
    _, first = _connect(site)
    clock.advance(1)
    _, second = _connect(site)
    clock.advance(1)
    _, third = _connect(site)
    assert [it.connected for it in (first, second, third)] == [False, True, True]
    assert len(site.channels) == 2


def test_a_connection_whose_request_is_being_answered_is_not_pushed_out() -> None:
    site = _site(Clock(), max_connections=1)
    channel, transport = _connect(site)
    channel._handlingRequest = True
    assert _connect(site) == (None, None)
    assert transport.connected
    transport.loseConnection()
    assert _connect(site)[0] is not None


def test_an_address_has_no_more_connections_than_its_share() -> None:
    site = _site(Clock(), max_of_address=1)
    _, transport = _connect(site)
    assert _connect(site) == (None, None)
    assert _connect(site, "192.0.2.2")[0] is not None
    transport.loseConnection()
    assert _connect(site)[0] is not None


def test_proxies_and_this_machine_have_as_many_connections_as_there_are() -> None:
    from ipaddress import ip_network

    site = _site(Clock(), max_of_address=1, unlimited=[ip_network("198.51.100.0/24")])
    for host in ("127.0.0.1", "198.51.100.7"):
        assert [_connect(site, host)[0] is not None for _ in range(3)] == [True] * 3


WHOLE = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


def test_a_server_that_stops_closes_idle_connections_at_once() -> None:
    channel, transport = _connect(_site(Clock()))
    channel.dataReceived(WHOLE)
    channel.finish()
    assert not transport.connected


@pytest.mark.parametrize("sent", [0, 10, len(WHOLE) - 1])
def test_a_server_that_stops_answers_requests_that_are_on_their_way(sent: int) -> None:
    channel, transport = _connect(_site(Clock()))
    channel.dataReceived(WHOLE[:sent])
    channel.finish()
    assert transport.connected
    channel.dataReceived(WHOLE[sent:])
    assert transport.value().startswith(b"HTTP/1.1 200 OK\r\n")
    channel.finish()
    assert not transport.connected


def test_a_new_connection_without_a_request_is_not_waited_for_for_long() -> None:
    clock = Clock()
    channel, transport = _connect(_site(clock))
    clock.advance(NEW_SECONDS)
    channel.finish()
    assert not transport.connected


def test_what_is_answered_while_the_server_stops_says_that_the_connection_closes() -> None:
    channel, transport = _connect(_site(Clock()))
    channel.finish()
    channel.dataReceived(WHOLE)
    assert b"\r\nConnection: close\r\n" in transport.value()
    assert not transport.connected
