"""The simulated switch's core: identity, event counter, who listens, and what is registered."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Protocol

import attrs
from twisted.internet.interfaces import IReactorTime

from nizam.sim import wire
from nizam.sim.files import SwitchFiles
from nizam.sim.recorded import calling

if TYPE_CHECKING:
    from nizam.sim.channel import Channel
    from nizam.sim.voicemail_box import Message

VERSION = "1.11.1-release"
HEARTBEAT_SECONDS = 20.0


class Listener(Protocol):
    """A connection that may want events."""

    def wants(self, name: str, subclass: str | None) -> bool:
        """Whether an event of this kind is subscribed to at all; asked before it is built."""

    def deliver(self, event: EncodedEvent) -> None:
        """Takes one event; must not block."""


@attrs.define
class EncodedEvent:
    """An event with its frames, each encoded when first needed and then shared."""

    event: wire.Event
    _json: bytes | None = None
    _plain: bytes | None = None

    def frame(self, encoding: str) -> bytes:
        """The whole frame in `json` or `plain`."""
        if encoding == "json":
            if self._json is None:
                self._json = wire.event_json(self.event)
            return self._json
        if self._plain is None:
            self._plain = wire.event_plain(self.event)
        return self._plain


@attrs.frozen
class Registration:
    """One contact of a user; times are seconds since the epoch."""

    user: str
    domain: str
    host: str
    port: int
    call_id: str
    agent: str
    expires_at: int

    @property
    def contact(self) -> str:
        """The contact's SIP URI."""
        return f"sip:{self.user}@{self.host}:{self.port}"


@attrs.frozen
class Gateway:
    """A gateway as sofia knows it; `up` is what its OPTIONS ping says."""

    name: str
    profile: str
    username: str
    proxy: str
    variables: tuple[tuple[str, str], ...] = ()
    up: bool = True


class Core:
    """State that all parts share; one instance is one running FreeSWITCH.

    `clock` is the reactor (seconds since the epoch), `random` makes identifiers and gaps in
    Event-Sequence repeatable.
    """

    def __init__(self, clock: IReactorTime, random: Random, hostname: str) -> None:
        self.clock = clock
        self.random = random
        self.hostname = hostname
        self.channels: dict[str, Channel] = {}
        self.registrations: dict[tuple[str, str, int], Registration] = {}
        self.gateways: dict[str, Gateway] = {}
        self.messages: list[Message] = []
        self.profiles: tuple[str, ...] = ("external", "internal")
        self.tls_ports: dict[str, int] = {}
        """Where profiles listen for TLS, of those that do."""
        self.listeners: list[Listener] = []
        self.media_root: Path | None = None
        """Below which recordings are really written."""
        self.files = SwitchFiles.read(None)
        """Its configuration on disk."""
        self._dates: tuple[int, str, str] = (-1, "", "")
        self.reset()

    def reset(self) -> None:
        """A new process: new Core-UUID, counters at zero, no channel; nothing is announced."""
        self.core_uuid = self.new_uuid()
        self.started_at = self.clock.seconds()
        self.sequence = 500
        self.sessions = 0
        self.peak = 0
        self.channels.clear()

    def new_uuid(self) -> str:
        """A version 4 UUID, repeatable with the seed."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def now(self) -> int:
        """Microseconds since the epoch, as all of FreeSWITCH's times."""
        return int(self.clock.seconds() * 1_000_000)

    def next_sequence(self) -> str:
        """The next Event-Sequence: a core-wide counter with gaps for events nobody asked for."""
        self.sequence += 1 + int(self.random.random() * 3)
        return str(self.sequence)

    def contacts(self, user: str, domain: str) -> list[Registration]:
        """The registered contacts of a user, the newest last."""
        return [it for it in self.registrations.values() if (it.user, it.domain) == (user, domain)]

    def contact_at(self, host: str, port: int) -> Registration | None:
        """The registered contact that listens there."""
        found = (it for it in self.registrations.values() if (it.host, it.port) == (host, port))
        return next(found, None)

    def add_channel(self, channel: Channel) -> None:
        """Counts and lists a new channel."""
        self.channels[channel.uuid] = channel
        self.sessions += 1
        self.peak = max(self.peak, len(self.channels))

    def dates(self, microseconds: int) -> tuple[str, str]:
        """A time as Event-Date-Local (UTC here) and Event-Date-GMT."""
        second = microseconds // 1_000_000
        if second != self._dates[0]:
            fields = time.gmtime(second)
            self._dates = (
                second,
                time.strftime("%Y-%m-%d %H:%M:%S", fields),
                time.strftime("%a, %d %b %Y %H:%M:%S GMT", fields),
            )
        return self._dates[1], self._dates[2]

    def base_headers(self, name: str, key: str, subclass: str | None = None) -> wire.Headers:
        """The headers that every event and most XML requests begin with."""
        now = self.now()
        local, gmt = self.dates(now)
        file, function, line = calling(key)
        headers: wire.Headers = [("Event-Subclass", subclass)] if subclass else []
        headers += [
            ("Event-Name", name),
            ("Core-UUID", self.core_uuid),
            ("FreeSWITCH-Hostname", self.hostname),
            ("FreeSWITCH-Switchname", self.hostname),
            ("FreeSWITCH-IPv4", "127.0.0.1"),
            ("FreeSWITCH-IPv6", "::1"),
            ("Event-Date-Local", local),
            ("Event-Date-GMT", gmt),
            ("Event-Date-Timestamp", str(now)),
            ("Event-Calling-File", file),
            ("Event-Calling-Function", function),
            ("Event-Calling-Line-Number", line),
            ("Event-Sequence", self.next_sequence()),
        ]
        return headers

    def fire(
        self,
        name: str,
        headers: Callable[[], wire.Headers],
        *,
        subclass: str | None = None,
        key: str = "",
        body: str | None = None,
    ) -> None:
        """Sends an event to whoever subscribed; `headers` is called only when someone did.

        `key` names the source line in recorded.json where it is neither name nor subclass.
        """
        wanting = [listener for listener in self.listeners if listener.wants(name, subclass)]
        if not wanting:
            self.next_sequence()
            return
        base = self.base_headers(name, key or subclass or name, subclass)
        encoded = EncodedEvent(wire.Event(name, subclass, base + headers(), body))
        for listener in wanting:
            listener.deliver(encoded)

    def heartbeat(self) -> None:
        """Fires HEARTBEAT with the counters of the moment."""
        self.fire("HEARTBEAT", self._heartbeat_headers)

    def uptime(self) -> str:
        """The time since start in FreeSWITCH's words."""
        micros = max(0, int((self.clock.seconds() - self.started_at) * 1_000_000))
        millis, micros = divmod(micros, 1000)
        seconds, millis = divmod(millis, 1000)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        return (
            f"0 years, {days} days, {hours} hours, {minutes} minutes, {seconds} seconds, "
            f"{millis} milliseconds, {micros} microseconds"
        )

    def _heartbeat_headers(self) -> wire.Headers:
        peak = str(self.peak)
        return [
            ("Event-Info", "System Ready"),
            ("Up-Time", self.uptime()),
            ("FreeSWITCH-Version", f"{VERSION}~64bit"),
            ("Uptime-msec", str(int((self.clock.seconds() - self.started_at) * 1000))),
            ("Session-Count", str(len(self.channels))),
            ("Max-Sessions", "4000"),
            ("Session-Per-Sec", "500"),
            ("Session-Per-Sec-Last", "0"),
            ("Session-Per-Sec-Max", peak),
            ("Session-Per-Sec-FiveMin", peak),
            ("Session-Since-Startup", str(self.sessions)),
            ("Session-Peak-Max", peak),
            ("Session-Peak-FiveMin", peak),
            ("Idle-CPU", "97.233333"),
        ]
