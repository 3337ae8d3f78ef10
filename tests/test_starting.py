"""What the port answers while the daemon starts."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.web.resource import Resource

from nizam.http.server import BoundedSite
from nizam.tap import ONCE_START_WAIT_SECONDS, START_WAIT_SECONDS, NotReady


class Ready(Resource):
    isLeaf = True  # noqa: N815 - Twisted's name

    def render(self, request: Any) -> bytes:
        said: bytes = b"%b %b" % (b"/".join(request.postpath), request.content.read())
        return said


class Starting:
    """A connection to a daemon that is not ready yet."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.not_ready = NotReady(self.clock)
        site = BoundedSite(self.not_ready, self.clock)
        address = IPv4Address("TCP", "192.0.2.1", 1)
        self.channel: Any = site.buildProtocol(address)
        self.transport: Any = StringTransportWithDisconnection()  # type: ignore[no-untyped-call]
        self.transport.protocol = self.channel
        self.channel.makeConnection(self.transport)

    def ask(self, path: bytes, length: int = 5, method: bytes = b"PUT") -> bytes:
        head = b"%b %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (method, path, length)
        self.channel.dataReceived(head + b"hello")
        return self.got()

    def got(self) -> bytes:
        got: bytes = self.transport.value()
        return got


@pytest.mark.parametrize(("path", "status"), [(b"/livez", b"200"), (b"/readyz", b"503")])
def test_probes_are_answered_at_once(path: bytes, status: bytes) -> None:
    assert Starting().ask(path).startswith(b"HTTP/1.1 " + status)


def test_a_request_waits_and_is_answered_when_the_parts_are_there() -> None:
    daemon = Starting()
    assert daemon.ask(b"/api/v1/me") == b""
    daemon.clock.advance(START_WAIT_SECONDS / 2)
    daemon.not_ready.hand_over(Ready())  # type: ignore[no-untyped-call]
    assert daemon.got().startswith(b"HTTP/1.1 200 OK\r\n")
    assert daemon.got().endswith(b"api/v1/me hello")
    daemon.clock.advance(START_WAIT_SECONDS)
    assert daemon.got().count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    ("method", "path", "seconds"),
    [
        (b"GET", b"/api/v1/me", START_WAIT_SECONDS),
        (b"PUT", b"/api/v1/me", START_WAIT_SECONDS),
        # FreeSWITCH asks the next instance of its list.
        (b"POST", b"/freeswitch/xml", START_WAIT_SECONDS),
        # Proxies do not.
        (b"POST", b"/api/v1/tenants", ONCE_START_WAIT_SECONDS),
        (b"PATCH", b"/api/v1/me", ONCE_START_WAIT_SECONDS),
    ],
)
def test_it_does_not_wait_for_long(method: bytes, path: bytes, seconds: float) -> None:
    daemon = Starting()
    assert daemon.ask(path, method=method) == b""
    daemon.clock.advance(seconds - 0.01)
    assert daemon.got() == b""
    daemon.clock.advance(0.01)
    assert daemon.got().startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 1\r\n" in daemon.got()
    daemon.not_ready.hand_over(Ready())  # type: ignore[no-untyped-call]
    assert daemon.got().count(b"HTTP/1.1") == 1


def test_whoever_has_gone_is_forgotten() -> None:
    daemon = Starting()
    daemon.ask(b"/api/v1/me")
    daemon.transport.loseConnection()
    daemon.not_ready.hand_over(Ready())  # type: ignore[no-untyped-call]
    assert daemon.got() == b""


def test_a_body_whose_limit_is_not_known_yet_is_refused() -> None:
    assert Starting().ask(b"/api/v1/tenants/a/prompts", 50_000_000).startswith(b"HTTP/1.1 503 ")
