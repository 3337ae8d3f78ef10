"""An event-socket client for tests of the simulated switch, written without nizam.esl."""

from __future__ import annotations

import json
import re
from collections import deque
from typing import Any
from urllib.parse import unquote

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

Pairs = list[tuple[str, Any]]


class Client(Protocol):
    """Collects frames; `raw` is every byte received, `events` the decoded event frames."""

    transport: ITCPTransport

    def __init__(self) -> None:
        self.raw = b""
        self.events: list[Pairs] = []
        self.closed: Deferred[None] = Deferred()
        self._parsed = 0
        self._replies: deque[tuple[dict[str, str], str]] = deque()
        self._waiting: deque[Deferred[tuple[dict[str, str], str]]] = deque()
        self._wanted: list[tuple[Deferred[Pairs], dict[str, str]]] = []

    async def command(self, text: str) -> tuple[dict[str, str], str]:
        """Sends a command; the headers and body of its reply."""
        self.transport.write(text.encode() + b"\n\n")
        return await self.reply()

    async def reply(self) -> tuple[dict[str, str], str]:
        """The next frame that is no event."""
        if self._replies:
            return self._replies.popleft()
        waiting: Deferred[tuple[dict[str, str], str]] = Deferred()
        self._waiting.append(waiting)
        return await waiting

    async def say(self, text: str) -> str:
        """Sends a command; the Reply-Text or body of its reply."""
        headers, body = await self.command(text)
        return headers.get("Reply-Text", body)

    async def event(self, **wanted: str) -> dict[str, Any]:
        """An event, received already or awaited, whose headers have these values.

        Dashes in names are written as underscores.
        """
        fields = {name.replace("_", "-"): value for name, value in wanted.items()}
        for event in self.events:
            if _has(event, fields):
                return dict(event)
        waiting: Deferred[Pairs] = Deferred()
        self._wanted.append((waiting, fields))
        return dict(await waiting)

    def names(self, channel_id: str | None = None) -> list[str]:
        """The names of the events received, of one channel if told."""
        found = [dict(event) for event in self.events]
        return [e["Event-Name"] for e in found if channel_id in (None, e.get("Unique-ID"))]

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self.raw += data
        while (frame := self._frame()) is not None:
            head, body = frame
            kind = head["Content-Type"]
            if kind == "text/event-json":
                self._event(json.loads(body, object_pairs_hook=lambda pairs: pairs))
            elif kind == "text/event-plain":
                self._event(_plain(body))
            elif self._waiting:
                self._waiting.popleft().callback((head, body))
            else:
                self._replies.append((head, body))

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self.closed.callback(None)

    def _event(self, event: Pairs) -> None:
        self.events.append(event)
        for item in list(self._wanted):
            waiting, fields = item
            if _has(event, fields):
                self._wanted.remove(item)
                waiting.callback(event)

    def _frame(self) -> tuple[dict[str, str], str] | None:
        end = self.raw.find(b"\n\n", self._parsed)
        if end < 0:
            return None
        head = dict(
            line.split(": ", 1) for line in self.raw[self._parsed : end].decode().split("\n")
        )
        start = end + 2
        stop = start + int(head.get("Content-Length", 0))
        if len(self.raw) < stop:
            return None
        self._parsed = stop
        return head, self.raw[start:stop].decode()


async def connect(reactor: Any, port: int, password: str = "ClueCon") -> Client:
    """An authenticated client."""
    client = await connect_raw(reactor, port)
    await client.reply()
    assert await client.say(f"auth {password}") == "+OK accepted"
    return client


async def connect_raw(reactor: Any, port: int) -> Client:
    """A client that has said nothing yet."""
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    client: Client = await connectProtocol(endpoint, Client())  # type: ignore[no-untyped-call]
    return client


def _plain(text: str) -> Pairs:
    head, _, body = text.partition("\n\n")
    pairs: Pairs = [
        (name, unquote(value)) for name, value in re.findall(r"^([^:]+): (.*)$", head, re.MULTILINE)
    ]
    return [*pairs, ("_body", body)] if body else pairs


def _has(event: Pairs, fields: dict[str, str]) -> bool:
    found = dict(event)
    return all(found.get(name) == value for name, value in fields.items())
