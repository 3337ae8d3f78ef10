"""Clients of streams as a program has them: autobahn's WebSocket, and a reader of SSE."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Protocol
from twisted.web.client import Agent
from twisted.web.http_headers import Headers

SECONDS = 5.0


class Inbox:
    """What came, and whoever waits for more of it."""

    def __init__(self, reactor: Any) -> None:
        self.all: list[dict[str, Any]] = []
        self.closed: tuple[int | None, str] | None = None
        self._reactor = reactor
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events alone."""
        return [it["event"] for it in self.all if it["type"] == "event"]

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        """What came of one type."""
        return [it for it in self.all if it["type"] == kind]

    @property
    def cursor(self) -> str:
        """The last one that came."""
        return str([it["cursor"] for it in self.all if "cursor" in it][-1])

    @property
    def code(self) -> int | None:
        """What the connection was closed with; None while it is open."""
        return None if self.closed is None else self.closed[0]

    def put(self, message: dict[str, Any]) -> None:
        self.all.append(message)
        self._look()

    def close(self, code: int | None, reason: str) -> None:
        self.closed = (code, reason)
        self._look()

    async def until(self, condition: Callable[[], Any], seconds: float = SECONDS) -> None:
        """Wait until `condition` holds; fails with what is there."""
        if condition():
            return
        waiting: Deferred[None] = Deferred()
        entry = (condition, waiting)
        self._waiting.append(entry)

        def late() -> None:
            self._waiting.remove(entry)
            kinds = Counter(it["type"] for it in self.all)
            there = f"closed: {self.closed}; there is {dict(kinds)}, {str(self.all[-2:])[-500:]}"
            waiting.errback(AssertionError(there))

        timer = self._reactor.callLater(seconds, late)
        try:
            await waiting
        finally:
            if timer.active():
                timer.cancel()

    async def next(self, kind: str, seconds: float = SECONDS) -> dict[str, Any]:
        """The first message of a type, taken out."""
        await self.until(lambda: self.kinds(kind), seconds)
        found = self.kinds(kind)[0]
        self.all.remove(found)
        return found

    async def count(self, events: int, seconds: float = SECONDS) -> list[dict[str, Any]]:
        """Wait for so many events."""
        await self.until(lambda: len(self.events) >= events, seconds)
        return self.events

    def _look(self) -> None:
        for entry in list(self._waiting):
            if entry[0]():
                self._waiting.remove(entry)
                entry[1].callback(None)


class WebSocket(WebSocketClientProtocol):
    """One connection; `inbox` has what the server said."""

    transport: Any

    def __init__(self, inbox: Inbox) -> None:
        super().__init__()
        self.inbox = inbox
        self.opened: Deferred[WebSocket] = Deferred()
        self.gone: Deferred[None] = Deferred()

    def onConnect(self, response: Any) -> None:  # noqa: N802 - autobahn's name
        self.protocol_chosen = response.protocol

    def onOpen(self) -> None:  # noqa: N802 - autobahn's name
        self.opened.callback(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803
        self.inbox.put(json.loads(payload))

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: N802, N803
        if not self.opened.called:
            self.opened.errback(ConnectionError(f"{self.wasNotCleanReason} {reason}"))
        self.inbox.close(code, reason or "")
        self.gone.callback(None)

    def say(self, **message: Any) -> None:
        """Send a message."""
        self.say_bytes(json.dumps(message).encode())

    def say_bytes(self, payload: bytes) -> None:
        """Send what may be no message."""
        self.sendMessage(payload)  # type: ignore[no-untyped-call]

    async def leave(self) -> None:
        """Close, as a program that ends."""
        self.transport.abortConnection()
        await self.gone


class _Factory(WebSocketClientFactory):
    noisy = False

    def __init__(self, url: str, inbox: Inbox, **options: Any) -> None:
        super().__init__(url, **options)  # type: ignore[no-untyped-call]
        self.inbox = inbox
        # Timers of autobahn's own would be left on the reactor.
        self.setProtocolOptions(  # type: ignore[no-untyped-call]
            openHandshakeTimeout=0, closeHandshakeTimeout=0, serverConnectionDropTimeout=0
        )

    def buildProtocol(self, addr: object) -> WebSocket:  # noqa: N802 - Twisted's name
        protocol = WebSocket(self.inbox)
        protocol.factory = self
        return protocol


async def connect(
    reactor: Any,
    base: str,
    query: str = "",
    *,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    origin: str | None = None,
    protocols: list[str] | None = None,
) -> WebSocket:
    """An open WebSocket of the server at `base`."""
    parts = urlsplit(base)
    url = f"ws://{parts.netloc}/api/v1/stream{query}"
    fields = dict(headers or {})
    if key is not None:
        fields["Authorization"] = f"Bearer {key}"
    factory = _Factory(
        url, Inbox(reactor), headers=fields, origin=origin, protocols=protocols, reactor=reactor
    )
    endpoint = HostnameEndpoint(reactor, str(parts.hostname), int(parts.port or 80))
    protocol: Any = await endpoint.connect(factory)
    opened: WebSocket = await protocol.opened
    return opened


class _Lines(Protocol):
    def __init__(self, inbox: Inbox, gone: Deferred[None]) -> None:
        self._inbox = inbox
        self._gone = gone
        self._rest = b""

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        for block in blocks:
            fields: dict[str, str] = {}
            for line in block.decode().splitlines():
                name, _, value = line.partition(": ")
                fields[name] = value
            if "data" in fields:
                found = json.loads(fields["data"])
                kind = fields.get("event", "event")
                shown = {"type": kind, "cursor": fields.get("id")}
                self._inbox.put(shown | ({"event": found} if kind == "event" else found))

    def connectionLost(self, reason: Any = None) -> None:  # noqa: N802 - Twisted's name
        self._inbox.close(None, str(reason.value))
        self._gone.callback(None)


class EventSource:
    """One answer that goes on."""

    def __init__(self, inbox: Inbox, status: int, gone: Deferred[None], transport: Any) -> None:
        self.inbox = inbox
        self.status = status
        self.gone = gone
        self._transport = transport

    async def leave(self) -> None:
        """Go away."""
        if not self.gone.called:
            self._transport.loseConnection()
        await self.gone


async def listen(
    reactor: Any, agent: Agent, url: str, *, key: str | None = None, **headers: str
) -> EventSource:
    """An open event stream."""
    fields = Headers({name.replace("_", "-"): [value] for name, value in headers.items()})
    if key is not None:
        fields.setRawHeaders("Authorization", [f"Bearer {key}"])
    response: Any = await agent.request(b"GET", url.encode(), fields)
    inbox, gone = Inbox(reactor), Deferred[None]()
    response.deliverBody(_Lines(inbox, gone))
    return EventSource(inbox, response.code, gone, response._transport)
