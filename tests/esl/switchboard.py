"""The other end of a link in tests: an in-memory reactor whose connections the test answers."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

GREETING = b"Content-Type: auth/request\n\n"


def reply(text: str) -> bytes:
    return f"Content-Type: command/reply\nReply-Text: {text}\n\n".encode()


def api_response(text: str) -> bytes:
    return f"Content-Type: api/response\nContent-Length: {len(text.encode())}\n\n{text}".encode()


def json_event(name: str, **headers: str) -> bytes:
    fields = {"Event-Name": name} | headers
    payload = "{" + ",".join(f'"{key}":"{value}"' for key, value in fields.items()) + "}"
    return f"Content-Length: {len(payload)}\nContent-Type: text/event-json\n\n{payload}".encode()


ACCEPTED = reply("+OK accepted")
SUBSCRIBED = reply("+OK event listener enabled json")
WRONG_PASSWORD = reply("-ERR invalid")
RUDE_REJECTION = (
    b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n"
)


class Wire(StringTransport):
    """FreeSWITCH's side of one connection."""

    def __init__(self, protocol: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._protocol = protocol
        self._closed = ""
        protocol.makeConnection(self)

    def say(self, *frames: bytes) -> None:
        """FreeSWITCH sends these bytes at once."""
        self._protocol.dataReceived(b"".join(frames))

    def heard(self) -> bytes:
        """What it received since it last looked."""
        data: bytes = self.value()  # type: ignore[no-untyped-call]
        self.clear()  # type: ignore[no-untyped-call]
        return data

    def end(self) -> str:
        """How the connection ended: closed, aborted, broken off; empty while it lasts."""
        return self._closed

    def break_off(self) -> None:
        """FreeSWITCH's side is gone."""
        self._end("broken off")

    def loseConnection(self) -> None:  # noqa: N802
        self._end("closed")

    def abortConnection(self) -> None:  # noqa: N802
        self._end("aborted")

    def _end(self, how: str) -> None:
        if not self._closed:
            self._closed = how
            self._protocol.connectionLost(_failure(ConnectionLost()))


class Switchboard(MemoryReactorClock):
    """A clock and an in-memory network with one FreeSWITCH on it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def endpoint(self) -> TCP4ClientEndpoint:
        return TCP4ClientEndpoint(self, "fs1.example.test", 8021, timeout=3600)

    @property
    def attempts(self) -> int:
        """How often a connection was asked for."""
        return len(self.tcpClients)

    def accept(self) -> Wire:
        """The last attempt succeeds."""
        factory = self.tcpClients[-1][2]
        return Wire(factory.buildProtocol(None))

    def refuse(self) -> None:
        """The last attempt meets a closed port."""
        factory = self.tcpClients[-1][2]
        factory.clientConnectionFailed(self.connectors[-1], _failure(ConnectionLost()))

    def accept_and_authenticate(self, *, subscribed: bool) -> Wire:
        """The last attempt succeeds up to a link that is up."""
        wire = self.accept()
        wire.say(GREETING)
        wire.say(ACCEPTED)
        if subscribed:
            wire.say(SUBSCRIBED)
        wire.heard()
        return wire


def _failure(reason: Exception) -> Failure:
    return Failure(reason)  # type: ignore[no-untyped-call]
