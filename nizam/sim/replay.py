"""Serves a recorded event stream to clients that authenticate and subscribe."""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson
from twisted.internet.interfaces import IAddress, ITCPTransport
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.task import Cooperator

from nizam.sim import wire
from nizam.sim.core import EncodedEvent
from nizam.sim.subscription import Subscription

_LENGTH = re.compile(rb"^Content-Length: (\d+)$", re.MULTILINE)
_CHUNK = 1 << 16


def recorded_events(stream: bytes) -> Iterator[tuple[wire.Event, bytes]]:
    """The `text/event-json` frames of a recorded connection: what each says, and its bytes."""
    position = 0
    while (end := stream.find(b"\n\n", position)) >= 0:
        head = stream[position:end]
        found = _LENGTH.search(head)
        start, begin = end + 2, position
        position = start + (int(found[1]) if found else 0)
        if b"text/event-json" not in head:
            continue
        content = orjson.loads(stream[start:position].decode(errors="replace"))
        event = wire.Event(
            content["Event-Name"], content.get("Event-Subclass"), list(content.items())
        )
        yield event, stream[begin:position]


class ReplayFactory(ServerFactory):
    """Accepts `password`, answers `api` with what `answers` has for it, and replays `stream`.

    A connection gets, once, every recorded event that it has subscribed to as JSON when it first
    sends `event`, byte by byte as recorded. `finished` counts connections that got them all.
    """

    noisy = False

    def __init__(
        self, stream: bytes, password: str, cooperator: Cooperator, answers: dict[str, str]
    ) -> None:
        self.events = tuple(recorded_events(stream))
        self.password = password
        self.cooperator = cooperator
        self.answers = answers
        self.connections: list[ReplayServer] = []
        self.finished = 0

    def buildProtocol(self, addr: IAddress | None) -> Protocol:  # noqa: N802
        protocol = ReplayServer(self)
        protocol.factory = self
        return protocol


class ReplayServer(Protocol):
    """One client of a replay."""

    transport: ITCPTransport

    def __init__(self, server: ReplayFactory) -> None:
        self._server = server
        self._reader = wire.CommandReader()
        self._subscription = Subscription()
        self._authenticated = False
        self._open = True

    def connectionMade(self) -> None:  # noqa: N802
        self._server.connections.append(self)
        self.transport.write(wire.AUTH_REQUEST)

    def connectionLost(self, reason: object = None) -> None:  # noqa: N802
        self._open = False
        self._server.connections.remove(self)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        for command in self._reader.feed(data):
            self._run(command)

    def _run(self, command: wire.Command) -> None:
        verb, _, rest = command.line.partition(" ")
        if verb == "auth":
            self._authenticated = rest == self._server.password
            reply = "+OK accepted" if self._authenticated else "-ERR invalid"
            self.transport.write(wire.command_reply(reply))
        elif not self._authenticated:
            self.transport.write(wire.command_reply("-ERR command not found"))
        elif verb == "event":
            first = not self._subscription.listening
            self.transport.write(wire.command_reply(self._subscription.event(rest.split())))
            if first and self._subscription.listening:
                self._server.cooperator.cooperate(self._replay())
        elif verb == "api":
            answer = self._server.answers.get(rest, f"-ERR {rest} Command not found!\n")
            self.transport.write(wire.api_response(answer))
        elif verb == "bgapi":
            job_id = command.headers.get("job-uuid", "")
            self.transport.write(wire.command_reply(f"+OK Job-UUID: {job_id}", Job_UUID=job_id))
        else:
            self.transport.write(wire.command_reply("-ERR command not found"))

    def _replay(self) -> Iterator[None]:
        """Writes the events in chunks, so that a slow client is not drowned in one go."""
        chunk = bytearray()
        for event, frame in self._server.events:
            if self._subscription.wants(event.name, event.subclass) and self._subscription.passes(
                EncodedEvent(event)
            ):
                chunk += frame
            if len(chunk) >= _CHUNK:
                self.transport.write(bytes(chunk))
                chunk.clear()
                yield
            if not self._open:
                return
        self.transport.write(bytes(chunk))
        self._server.finished += 1
