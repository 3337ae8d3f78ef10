"""120 targets that no webhook may reach, in every way of writing them, and none is connected to."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.protocol import Factory, Protocol

from nizam.webhooks.addresses import may_connect
from nizam.webhooks.egress import EgressAgent
from nizam.webhooks.interface import EgressError, TargetRefused


def _words(text: str) -> list[str]:
    return text.split()


V4 = _words(
    """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.254 127.0.0.1 127.0.1.1
    127.255.255.254 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255
    192.0.0.1 192.0.0.171 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.1
    192.168.255.255 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1
    224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
"""
)
V6 = _words(
    """
    ::1 :: ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254
    ::ffff:8.8.8.8 ::ffff:7f00:1 0:0:0:0:0:ffff:7f00:1 ::ffff:0:127.0.0.1
    64:ff9b::127.0.0.1 64:ff9b::7f00:1 64:ff9b::8.8.8.8 64:ff9b:1::1 100::1 100:0:0:1::1
    2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1
    2001:db8::1 2002:7f00:1::1 2002:a00:1::1 2002:a9fe:a9fe::1 2002:808:808::1
    2620:4f:8000::1 3fff::1 4000::1 5f00::1 fc00::1 fd00::1 fd12:3456:789a::1 fe80::1
    fe80::1%eth0 fe80::1%25eth0 febf::1 fec0::1 feff::1 ff00::1 ff02::1 ff05::2 ff0e::1
    8000::1 ffff::1
"""
)
# Ways in which getaddrinfo, and so a careless client, reads loopback and private addresses.
ODD_NAMES = _words(
    """
    127.1 127.0.1 0 0x7f.1 0x7f000001 2130706433 017700000001 0177.0.0.1 0x7f.0.0.1
    127.0.0.1. localhost LOCALHOST localhost. 10.1 0xa.0.0.1 167772161 012.0.0.1
    192.168.257 0xc0.0xa8.0.1 3232235521 0300.0250.0.1 169.254.43518 0xa9fea9fe 2852039166
    172.1048577
"""
)
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001::1"]
REBINDING = [
    ("rebind-v4.example", [["127.0.0.1"]]),
    ("rebind-metadata.example", [["169.254.169.254"]]),
    ("rebind-v6.example", [["::1"]]),
    ("rebind-mapped.example", [["::ffff:127.0.0.1"]]),
    ("rebind-both.example", [["10.0.0.1", "fd00::1"]]),
    ("rebind-later.example", [["192.168.0.1"], ["127.0.0.1"]]),
    ("rebind-zero.example", [["0.0.0.0"]]),
    ("rebind-not-an-address.example", [["localhost"]]),
    ("rebind-empty.example", [[]]),
    ("rebind-nat64.example", [["64:ff9b::7f00:1"]]),
]
SCHEMES = [
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "ftp://127.0.0.1/",
    "dict://127.0.0.1:6379/info",
    "//127.0.0.1/",
    "unix:/var/run/docker.sock",
    "http://user@127.0.0.1/",
    "http://127.0.0.1#@example.com/",
    "http://127.0.0.1?@example.com/",
    "http://example.com@127.0.0.1/",
    "http://user:secret@127.0.0.1/",
    "http://example.com\\@127.0.0.1/",
    "http://127.0.0.1\t/",
    "http:/127.0.0.1/",
    "http://127%2e0%2e0%2e1/",
    "http://１２７.0.0.1/",
    "http://127。0。0。1/",
    "http://①②⑦.0.0.1/",
    "http://ⓛocalhost/",
    "http://xn--127001-.example@127.0.0.1/",
]
"""Other schemes, user information before the host, and what international names are read as."""


def url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/hook" if ":" in host else f"http://{host}:{port}/hook"


class _Counting(Factory):
    """Counts connections to every local port of the test, however they come."""

    def __init__(self) -> None:
        self.connections = 0

    def buildProtocol(self, address: Any) -> Protocol:  # noqa: N802
        self.connections += 1
        return Protocol()


@pytest_twisted.async_yield_fixture
async def trap() -> AsyncIterator[tuple[_Counting, int]]:
    """A port on all local addresses, of IPv4 and IPv6, and who connected to it."""
    from twisted.internet import reactor

    factory = _Counting()
    tcp: Any = reactor
    port = tcp.listenTCP(0, factory, interface="::")
    yield factory, port.getHost().port
    await port.stopListening()


def test_there_are_more_than_120_of_them() -> None:
    assert len(V4) + len(V6) + len(ODD_NAMES) + len(REBINDING) + len(SCHEMES) >= 120


@pytest.mark.parametrize("address", [*V4, *V6])
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not may_connect(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_passes(address: str) -> None:
    assert may_connect(address)


@pytest.mark.parametrize(
    ("address", "passes"),
    [
        ("10.1.2.3", True),
        ("10.2.0.1", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:10.2.0.1", False),
        ("fd00::5", True),
        ("fd01::5", False),
        ("fd00::5%eth0", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_an_allowed_network_passes_and_nothing_beside_it(address: str, passes: bool) -> None:
    assert may_connect(address, [ip_network("10.1.0.0/16"), ip_network("fd00::/32")]) is passes


@pytest.mark.parametrize("host", [*V4, *V6, *ODD_NAMES])
async def test_no_connection_is_made_to(trap: tuple[_Counting, int], host: str) -> None:
    from twisted.internet import reactor

    factory, port = trap
    agent = EgressAgent(reactor)
    try:
        with pytest.raises(EgressError):
            await agent.post(url(host, port), {}, b"{}", 5.0)
    finally:
        await agent.close()
    assert factory.connections == 0


@pytest.mark.parametrize("target", SCHEMES)
async def test_no_connection_is_made_for(trap: tuple[_Counting, int], target: str) -> None:
    from twisted.internet import reactor

    factory, port = trap
    agent = EgressAgent(reactor)
    try:
        with pytest.raises(EgressError):
            await agent.post(target.replace("127.0.0.1", f"127.0.0.1:{port}"), {}, b"", 5.0)
    finally:
        await agent.close()
    assert factory.connections == 0


@pytest.mark.parametrize(("host", "answers"), REBINDING)
async def test_a_name_that_resolves_to_the_inside_is_refused_at_every_attempt(
    trap: tuple[_Counting, int], host: str, answers: list[list[str]]
) -> None:
    from twisted.internet import reactor

    factory, port = trap
    asked: list[str] = []

    async def resolve(name: str) -> Sequence[str]:
        asked.append(name)
        return answers[min(len(asked), len(answers)) - 1]

    agent = EgressAgent(reactor, resolve=resolve)
    try:
        for _ in range(2):
            with pytest.raises(TargetRefused, match="not a public address"):
                await agent.post(url(host, port), {}, b"{}", 5.0)
    finally:
        await agent.close()
    assert asked == [host, host]
    assert factory.connections == 0


async def test_the_address_that_was_checked_is_the_one_connected_to() -> None:
    """A resolver that answers differently the second time is asked only once a connection."""
    from twisted.internet import reactor

    connected: list[str] = []

    class Recording:
        def __getattr__(self, name: str) -> Any:
            return getattr(reactor, name)

        def connectTCP(self, host: str, *args: Any, **kwargs: Any) -> Any:  # noqa: N802
            connected.append(host)
            return reactor.connectTCP("127.0.0.1", 1, *args[1:], **kwargs)

    answers = iter([["93.184.216.34"], ["127.0.0.1"]])

    async def resolve(name: str) -> Sequence[str]:
        return next(answers)

    agent = EgressAgent(Recording(), resolve=resolve)
    try:
        with pytest.raises(EgressError):
            await agent.post("http://rebind.example/", {}, b"", 5.0)
        with pytest.raises(TargetRefused):
            await agent.post("http://rebind.example/", {}, b"", 5.0)
    finally:
        await agent.close()
    assert connected == ["93.184.216.34"]


def test_the_trap_would_notice_a_connection() -> None:
    """The odd names are not merely unresolvable: most of them do stand for a local address."""
    local = 0
    for name in ODD_NAMES:
        try:
            found = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
        except OSError:
            continue
        local += any(str(it[4][0]) == "127.0.0.1" for it in found)
    assert local >= 5
