"""Names are resolved without threads, over a real name server on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from nizam.webhooks.egress import EgressAgent
from nizam.webhooks.interface import EgressError, TargetRefused
from nizam.webhooks.names import NameResolver
from tests.webhooks.nameserver import NameServer
from tests.webhooks.receiver import Receiver

Start = Callable[..., tuple[NameServer, NameResolver]]


@pytest_twisted.async_yield_fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a name server, and a resolver that asks it."""
    from twisted.internet import reactor

    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.7 in-hosts.example\n# 192.0.2.8 not.example\n")
    started: list[tuple[NameServer, NameResolver]] = []

    def starting(**options: Any) -> tuple[NameServer, NameResolver]:
        server = NameServer(reactor, **options)
        server.start()
        resolver = NameResolver(reactor, servers=[server.address], hosts=str(hosts))
        started.append((server, resolver))
        return server, resolver

    yield starting
    for server, resolver in started:
        resolver.close()
        await server.stop()


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("192.0.2.1", ["192.0.2.1"]),
        ("192.0.2.1.", ["192.0.2.1"]),
        ("in-hosts.example", ["192.0.2.7"]),
        ("IN-HOSTS.example.", ["192.0.2.7"]),
        ("localhost", ["127.0.0.1", "::1"]),
        ("four.example", ["192.0.2.2", "192.0.2.3"]),
        ("six.example", ["2001:db8::2"]),
        ("both.example", ["192.0.2.4", "2001:db8::4"]),
        ("both.example.", ["192.0.2.4", "2001:db8::4"]),
        ("alias.example", ["192.0.2.4", "2001:db8::4"]),
    ],
)
async def test_a_name_stands_for(start: Start, host: str, found: list[str]) -> None:
    _, resolver = start(
        names={
            "four.example": [["192.0.2.2", "192.0.2.3"]],
            "six.example": [["2001:db8::2"]],
            "both.example": [["2001:db8::4", "192.0.2.4"]],
        },
        aliases={"alias.example": "both.example"},
    )
    assert list(await resolver.resolve(host)) == found


@pytest.mark.parametrize("host", ["unknown.example", "empty.example", "not.example"])
async def test_a_name_without_an_address_says_so(start: Start, host: str) -> None:
    _, resolver = start(names={"empty.example": [[]]})
    with pytest.raises(OSError, match="does not resolve"):
        await resolver.resolve(host)


@pytest.mark.parametrize(
    "host",
    [
        *("127.1", "0x7f.1", "2130706433", "0177.0.0.1", "a.1", "a.0x1f", "a..example", ".", ""),
        *("-a.example", "a-.example", "a b.example", "a/b", "user@host.example", "a%2eb"),
        *("a" * 64 + ".example", "a." * 127 + "example", "müller.example", "127。0。0。1"),
    ],
)
async def test_what_is_no_host_name_is_not_asked_for(start: Start, host: str) -> None:
    server, resolver = start()
    with pytest.raises(OSError, match="is no host name"):
        await resolver.resolve(host)
    assert not server.asked


async def test_names_that_nobody_answers_for_hold_up_no_other(start: Start) -> None:
    silent = [f"slow-{number}.example" for number in range(100)]
    _, resolver = start(names={"good.example": [["192.0.2.9"]]}, silent=frozenset(silent))
    waiting = [Deferred.fromCoroutine(resolver.resolve(it)) for it in silent]
    assert list(await resolver.resolve("good.example")) == ["192.0.2.9"]
    assert not any(it.called for it in waiting)


async def test_a_question_is_given_up_at_its_deadline(start: Start) -> None:
    from twisted.internet.task import Clock

    server, _ = start(silent=frozenset(["slow.example"]))

    class Timed(Clock):
        """Real sockets under a clock that the test moves."""

        def listenUDP(self, *args: Any, **more: Any) -> Any:  # noqa: N802
            return server.reactor.listenUDP(*args, **more)

    clock = Timed()
    resolver = NameResolver(clock, servers=[server.address], retry_seconds=(1, 3))
    asked = Deferred.fromCoroutine(resolver.resolve("slow.example"))
    clock.advance(1)
    clock.advance(2.9)
    assert not asked.called
    clock.advance(0.2)
    with pytest.raises(OSError, match="does not resolve"):
        await asked
    resolver.close()


async def test_a_rebinding_name_server_gains_nothing_and_a_good_one_is_delivered_to(
    start: Start,
) -> None:
    """The first answer is an address that is allowed, the next ones are not: each connection is
    checked, and goes to what was checked. No connection is kept: each post resolves again."""
    from twisted.internet import reactor

    inside = ["127.0.0.1", "127.0.0.2"], ["::1"], ["::ffff:127.0.0.1"], ["10.0.0.1"], ["0.0.0.0"]
    names = {f"rebind-{n}.example": [["127.0.0.5"], it] for n, it in enumerate(inside)}
    server, resolver = start(names={**names, "good.example": [["127.0.0.1", "127.0.0.5"]]})
    receiver = Receiver(reactor)
    receiver.start(interface="::")
    port = receiver.port.getHost().port
    allowed = [ip_network("127.0.0.5/32")]
    agent = EgressAgent(reactor, allowed, resolve=resolver.resolve)
    headers = {"Connection": "close"}
    try:
        for name in names:
            url = f"http://{name}:{port}/{name}"
            assert (await agent.post(url, headers, b"{}", 5.0)).status == 204
            for _ in range(2):
                with pytest.raises(TargetRefused):
                    await agent.post(url, headers, b"{}", 5.0)
            assert len(receiver.on(name)) == 1
            assert server.asked[name, 1] == 3
        url = f"http://good.example:{port}/good"
        assert (await agent.post(url, headers, b"{}", 5.0)).status == 204
        with pytest.raises(EgressError, match="does not resolve"):
            await agent.post(f"http://unknown.example:{port}/", {}, b"{}", 5.0)
    finally:
        await agent.close()
        await receiver.stop()
    assert {it.to for it in receiver.received} == {"::ffff:127.0.0.5"}
