"""The simulated switch as one service: event socket, phones, gateways, calls, CDRs, faults."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IReactorTCP, IReactorTime

from nizam.sim import wire
from nizam.sim.calls import Calls
from nizam.sim.cdr import CdrPoster
from nizam.sim.commands import Commands
from nizam.sim.core import HEARTBEAT_SECONDS, Core, EncodedEvent
from nizam.sim.esl_server import EventSocketFactory, EventSocketServer
from nizam.sim.exchange import Exchange
from nizam.sim.faults import Faults
from nizam.sim.files import SwitchFiles
from nizam.sim.phones import Phones
from nizam.sim.poster import Poster
from nizam.sim.questions import Questions
from nizam.sim.script import Script, ScriptWriter
from nizam.sim.settings import Scenery
from nizam.sim.trunks import Trunks
from nizam.sim.truth import Truth


class SimulatedSwitch:
    """A FreeSWITCH that is not one.

    Listens for event-socket clients on `esl_host`:`esl_port` (0 picks a port: see `esl_port`) with
    `password`. Asks `xml_url` with the given credentials, posts CDRs to `cdr_url`; without a URL
    it asks or posts nothing. Recordings are written below `media_root`, and nowhere without it.
    `configuration` is its folder of configuration files, which API commands show.
    After start() the phones of `scenery` are registered and, with `calls_per_second` above 0, calls
    are placed until stop_calls() or stop(). `seed` makes everything that is drawn by lot
    repeatable. Times are those of `reactor`.

    `truth` says what happened, `faults` and the methods below make things go wrong.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        esl_port: int = 0,
        esl_host: str = "127.0.0.1",
        password: str = "ClueCon",  # noqa: S107 - FreeSWITCH's own default, for loopback only
        xml_url: str = "",
        xml_username: str = "",
        xml_password: str = "",
        cdr_url: str = "",
        cdr_error_folder: Path | None = None,
        media_root: Path | None = None,
        configuration: Path | None = None,
        scenery: Scenery | None = None,
        calls_per_second: float = 0.0,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        hostname: str = "fs1.example.test",
        seed: int = 1,
    ) -> None:
        self._reactor: IReactorTime = reactor
        self._tcp: IReactorTCP = reactor
        self._listen_on = (esl_host, esl_port)
        self._calls_per_second = calls_per_second
        self._heartbeat_seconds = heartbeat_seconds
        self._asks = bool(xml_url)
        self._scenery = scenery or Scenery()
        random = Random(seed)  # noqa: S311 - repeatable on purpose
        self.truth = Truth()
        self.faults = Faults()
        self.core = Core(self._reactor, random, hostname)
        self.core.media_root = media_root
        self.core.files = SwitchFiles.read(configuration)
        poster = Poster(self._reactor, xml_username, xml_password)
        questions = Questions(self.core, poster, xml_url, self.truth.problem)
        cdr = CdrPoster(poster, cdr_url, self.truth, cdr_error_folder) if cdr_url else None
        self.exchange = Exchange(self.core, questions, cdr, self.truth, pace=self._scenery.pace)
        self.phones = Phones(self.exchange, self._scenery)
        self.trunks = Trunks(self.exchange)
        self.writer = ScriptWriter(self._scenery, random)
        self.calls = Calls(self.exchange, self.phones, self.writer)
        commands = Commands(self.exchange, self.calls, self.trunks, self._originate_script)
        self._factory = EventSocketFactory(
            self.core, commands, self.faults, password, self._reactor
        )
        self._port: IListeningPort | None = None
        self._heartbeat: Any = None
        self._burst: tuple[bytes, ...] = ()

    @property
    def esl_port(self) -> int:
        """The port that event-socket clients connect to; 0 while not started."""
        return cast(IPv4Address, self._port.getHost()).port if self._port else 0

    @property
    def connections(self) -> list[EventSocketServer]:
        """The event-socket connections that are open."""
        return self._factory.connections

    async def start(self) -> None:
        """Listens, loads profiles and gateways, registers all phones, begins placing calls."""
        self.listen()
        self._beat_later()
        if self._asks:
            await self.trunks.start()
            await self.phones.start()
        self.calls.start(self._calls_per_second)

    def listen(self) -> None:
        """Opens the event socket alone. Raises CannotListenError."""
        host, port = self._listen_on
        self._port = self._tcp.listenTCP(port, self._factory, interface=host)
        self._listen_on = (host, self.esl_port)

    def stop_calls(self) -> None:
        """Places no more calls; those running end as their scripts say."""
        self.calls.stop()

    async def drain(self) -> None:
        """After stop_calls(): waits until all calls have ended and their CDRs were dealt with."""
        await self.calls.drained()
        await self.exchange.settle(self._reactor)

    async def stop(self) -> None:
        """Says goodbye to all clients and cuts off what is still running, silently."""
        self.calls.stop()
        self.phones.stop()
        if self._heartbeat is not None and self._heartbeat.active():
            self._heartbeat.cancel()
        shutdown: wire.Headers = [("Event-Info", "System Shutting Down")]
        self.core.fire("SHUTDOWN", lambda: shutdown)
        self.core.channels.clear()
        self.calls.forget()
        await self._close_socket()
        await self.exchange.settle(self._reactor)

    def place_call(self, kind: str | None = None, script: Script | None = None) -> Deferred[str]:
        """Places one call now; fires with its call id when it has ended ("" if refused).

        `kind` is one of settings.DEFAULT_MIX, else one is drawn; `script` says it all.
        """
        return self.calls.place(kind, script)

    def cut(self) -> None:
        """Fault: every event-socket connection is reset without a word."""
        for connection in list(self._factory.connections):
            connection.transport.abortConnection()

    def stall(self, on: bool = True) -> None:
        """Fault: connections stay open but nothing is read or written until stall(False)."""
        for connection in self._factory.connections:
            connection.stall(on)

    def refuse_connections(self, on: bool = True) -> None:
        """Fault: new connections are refused as by an ACL."""
        self._factory.refuse = on

    async def restart(self, down_seconds: float = 0.0) -> None:
        """Fault: the process dies and comes back with a new Core-UUID.

        All calls are gone without an event, registrations too, until phones register again.
        Connections are reset; the socket is closed for `down_seconds` (real ones).
        """
        rate = self._calls_per_second if self.calls.placing else 0.0
        self.calls.stop()
        self.phones.stop()
        self.core.reset()
        self.core.registrations.clear()
        self.core.gateways.clear()
        self.truth.registered.clear()
        self.calls.forget()
        self.cut()
        await self._stop_listening()
        await self._sleep(down_seconds)
        self.listen()
        if self._asks:
            await self.trunks.start()
            await self.phones.start()
        self.calls.start(rate)

    def prepare_burst(self, count: int) -> int:
        """Encodes `count` events ahead for burst(): hold events of one made-up channel in JSON.

        Their Event-Sequence numbers are distinct; returns the bytes of all frames together.
        """
        frames = []
        for index in range(count):
            now = self.core.now() + index
            headers = self.core.base_headers("CHANNEL_CREATE", "CHANNEL_CREATE")
            headers += [
                ("Channel-State", "CS_INIT"),
                ("Unique-ID", self.core.new_uuid()),
                ("Call-Direction", "inbound"),
                ("Caller-Caller-ID-Number", "13105550999"),
                ("Caller-Destination-Number", "12025550101"),
                ("Caller-Context", "public"),
                ("Caller-Channel-Created-Time", str(now)),
                *((f"variable_burst_{number}", "x" * 40) for number in range(40)),
            ]
            event = wire.Event("CHANNEL_CREATE", None, headers)
            frames.append(EncodedEvent(event).frame("json"))
        self._burst = tuple(frames)
        return sum(map(len, frames))

    def burst(self) -> int:
        """Writes all prepared events to every connection that listens to CHANNEL_CREATE as JSON.

        Returns how many events each of them got.
        """
        data = b"".join(self._burst)
        for connection in self._factory.connections:
            subscription = connection.subscription
            if subscription.encoding == "json" and subscription.wants("CHANNEL_CREATE", None):
                connection.send(data)
        return len(self._burst)

    def _originate_script(self) -> Script:
        """How phones behave that are rung by a command: they answer."""
        low, high = self._scenery.durations.ring
        return Script("originate", domain="", dialled="", ring=(low + high) / 2, talk=3600.0)

    def _beat_later(self) -> None:
        self._heartbeat = self._reactor.callLater(self._heartbeat_seconds, self._beat)

    def _beat(self) -> None:
        self.core.heartbeat()
        self._beat_later()

    async def _close_socket(self) -> None:
        for connection in list(self._factory.connections):
            connection.stall(False)
            connection.say_goodbye()
        await self._stop_listening()
        await self._factory.all_gone()

    async def _stop_listening(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            stopped = port.stopListening()
            if stopped is not None:
                await stopped

    async def _sleep(self, seconds: float) -> None:
        waiting: Deferred[None] = Deferred()
        self._reactor.callLater(seconds, waiting.callback, None)
        await waiting
