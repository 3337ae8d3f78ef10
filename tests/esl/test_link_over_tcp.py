"""The link against a real socket: cut, refused, restarted, truncated."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol

from nizam.errors import ConnectionGone
from nizam.esl.link import EslLink
from nizam.esl.protocol import Timing
from nizam.esl.session import SwitchEvent
from nizam.esl.subscription import Subscription
from tests import recordings
from tests.esl.switchboard import ACCEPTED, GREETING, SUBSCRIBED, api_response, json_event

HEARTBEAT = json_event("HEARTBEAT")


class SwitchConnection(Protocol):
    """A FreeSWITCH that accepts everything and answers `api echo`."""

    transport: Any

    def __init__(self, server: SwitchServer) -> None:
        self._server = server
        self._received = b""

    def connectionMade(self) -> None:  # noqa: N802
        self._server.connections.append(self)
        self.transport.write(GREETING)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self._received += data
        while b"\n\n" in self._received:
            command, _, self._received = self._received.partition(b"\n\n")
            self._server.heard.append(command.decode())
            if command.startswith(b"auth "):
                self.transport.write(ACCEPTED)
            elif command.startswith(b"event "):
                self.transport.write(SUBSCRIBED + self._server.after_subscription)
            elif command.startswith(b"api echo "):
                self.transport.write(api_response(command.decode()[9:]))


class SwitchServer(Factory):
    """Listens on one port of the loopback interface, which survives its restarts."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._port: IListeningPort | None = None
        self.number = 0
        self.connections: list[SwitchConnection] = []
        self.heard: list[str] = []
        self.after_subscription = b""

    def buildProtocol(self, addr: object) -> SwitchConnection:  # noqa: N802
        return SwitchConnection(self)

    def start(self) -> None:
        port = self._reactor.listenTCP(self.number, self, interface="127.0.0.1")
        self.number = port.getHost().port
        self._port = port

    async def stop(self) -> None:
        """As a crash: connections are reset, the port is closed."""
        port, self._port = self._port, None
        for connection in self.connections:
            connection.transport.abortConnection()
        self.connections.clear()
        if port is not None:
            stopped = port.stopListening()
            if stopped is not None:
                await stopped


@attrs.define
class Listener:
    """What the link told, and a way to wait for it."""

    reactor: Any
    ups: int = 0
    downs: list[str] = attrs.Factory(list)
    events: list[SwitchEvent] = attrs.Factory(list)

    def on_up(self) -> None:
        self.ups += 1

    def on_event(self, event: SwitchEvent, received_at: float) -> None:
        self.events.append(event)

    async def until(self, condition: Callable[[Listener], bool]) -> None:
        """Returns once `condition` holds; the test's time limit bounds the wait."""
        while not condition(self):
            turn: Deferred[None] = Deferred()
            self.reactor.callLater(0.005, turn.callback, None)
            await turn


@pytest_twisted.async_yield_fixture
async def server() -> AsyncIterator[SwitchServer]:
    from twisted.internet import reactor

    server = SwitchServer(reactor)
    server.start()
    yield server
    await server.stop()


@pytest.fixture
def listener() -> Listener:
    from twisted.internet import reactor

    return Listener(reactor)


@pytest_twisted.async_yield_fixture
async def link(server: SwitchServer, listener: Listener) -> AsyncIterator[EslLink]:
    """A link whose waits are a twentieth of the usual ones, up."""
    from twisted.internet import reactor

    link = EslLink(
        reactor,
        TCP4ClientEndpoint(reactor, "127.0.0.1", server.number),
        "ClueCon",
        subscription=Subscription(("ALL", "HEARTBEAT")),
        on_event=listener.on_event,
        on_up=listener.on_up,
        on_down=listener.downs.append,
        timing=Timing(establish=0.5, silence=0.5, goodbye=0.25),
        random=lambda: 0.0,
    )
    link.startService()
    await listener.until(lambda listener: listener.ups == 1)
    yield link
    await link.stopService()


async def test_a_command_over_tcp(link: EslLink) -> None:
    assert await link.api("echo zażółć", 5) == "zażółć"


async def test_the_transport_notices_dead_hosts_and_does_not_delay_commands(
    link: EslLink, server: SwitchServer
) -> None:
    handle = link._core.in_use.transport.getHandle()  # type: ignore[union-attr]
    assert handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15


async def test_a_recorded_stream_over_tcp(
    link: EslLink, server: SwitchServer, listener: Listener
) -> None:
    stream = recordings.stream("calls2/esl/events-json-all")
    start = stream.index(b"Content-Length")
    end = stream.rindex(b"Content-Type: text/disconnect-notice")
    server.connections[0].transport.write(stream[start:end])
    expected = stream.count(b"Content-Type: text/event-json")
    await listener.until(lambda listener: len(listener.events) == expected)
    assert link.connected


async def test_a_cut_connection_fails_commands_and_comes_back(
    link: EslLink, server: SwitchServer, listener: Listener
) -> None:
    pending = Deferred.fromCoroutine(link.api("never answered", 20))
    await listener.until(lambda _: "api never answered" in server.heard)
    server.connections[0].transport.abortConnection()
    with pytest.raises(ConnectionGone) as raised:
        await pending
    assert raised.value.maybe_executed
    await listener.until(lambda listener: listener.ups == 2)
    assert await link.api("echo again", 5) == "again"


async def test_a_restarted_switch_is_found_again(
    link: EslLink, server: SwitchServer, listener: Listener
) -> None:
    for restart in range(2, 4):
        await server.stop()
        await listener.until(lambda listener: not link.connected)
        with pytest.raises(ConnectionGone) as raised:
            await link.api("status", 5)
        assert not raised.value.maybe_executed
        server.start()
        await listener.until(lambda listener, restart=restart: listener.ups == restart)  # type: ignore[misc]
    assert len(listener.downs) == 2
    assert server.heard.count("auth ClueCon") == 3


async def test_a_truncated_frame_closes_the_connection_and_events_go_on_after_it(
    link: EslLink, server: SwitchServer, listener: Listener
) -> None:
    server.after_subscription = json_event("DTMF")
    server.connections[0].transport.write(json_event("API") + HEARTBEAT[:-9] + HEARTBEAT * 3)
    await listener.until(lambda listener: listener.ups == 2 and len(listener.events) == 2)
    assert [event.name for event in listener.events] == ["API", "DTMF"]
    assert listener.downs[0].startswith("FreeSWITCH broke the protocol: ")


async def test_a_silent_switch_is_left_and_asked_again(
    link: EslLink, server: SwitchServer, listener: Listener
) -> None:
    await listener.until(lambda listener: listener.ups == 2)
    assert listener.downs == ["no heartbeat for 0.5 s"]
