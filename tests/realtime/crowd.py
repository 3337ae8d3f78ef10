"""Many WebSocket clients that come back by themselves, and what each of them has seen."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError

BACK_SECONDS = 0.5
"""A client comes back within so long, unless it is told another pause."""


class _Connection(WebSocketClientProtocol):
    transport: Any

    def __init__(self, member: Member) -> None:
        super().__init__()
        self._member = member

    def onOpen(self) -> None:  # noqa: N802 - autobahn's name
        self._member.connection = self

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803
        self._member.heard(json.loads(payload))

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: N802, N803
        self._member.left(code, reason or "")


class _Factory(WebSocketClientFactory):
    noisy = False

    def __init__(self, url: str, member: Member, reactor: Any) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            url, headers={"Authorization": f"Bearer {member.crowd.key}"}, reactor=reactor
        )
        self._member = member
        self.setProtocolOptions(  # type: ignore[no-untyped-call]
            openHandshakeTimeout=0, closeHandshakeTimeout=0, serverConnectionDropTimeout=0
        )

    def buildProtocol(self, addr: object) -> _Connection:  # noqa: N802 - Twisted's name
        protocol = _Connection(self._member)
        protocol.factory = self
        return protocol


@attrs.define(eq=False)
class Crowd:
    """The clients of some instances: each tries them in turn, from its own on."""

    reactor: Any
    bases: Sequence[str]
    key: str
    types: str = "call.*"
    members: list[Member] = attrs.field(factory=list)
    over: bool = False

    def come(self, count: int, home: int) -> None:
        """So many more, which try the instance with this number first."""
        for _ in range(count):
            member = Member(self, home)
            self.members.append(member)
            member.connect()

    @property
    def listening(self) -> int:
        """How many are connected and subscribed."""
        return sum(it.subscribed for it in self.members)

    def leave(self) -> None:
        """All of them go."""
        self.over = True
        for it in self.members:
            it.leave()


@attrs.define(eq=False)
class Member:
    """One client. `seen` has its events in the order in which they came."""

    crowd: Crowd
    home: int
    seen: list[Mapping[str, Any]] = attrs.field(factory=list)
    missed: int = 0
    ends: list[tuple[int | None, str]] = attrs.field(factory=list)
    subscribed: bool = False
    cursor: str | None = None
    connection: _Connection | None = None
    _pause: float | None = None
    _timer: Any = None

    def connect(self) -> None:
        """Connect, after the last cursor if there is one."""
        self._timer = None
        base = self.crowd.bases[self.home % len(self.crowd.bases)]
        query = f"?types={self.crowd.types}" + (f"&cursor={self.cursor}" if self.cursor else "")
        parts = urlsplit(base)
        factory = _Factory(f"ws://{parts.netloc}/api/v1/stream{query}", self, self.crowd.reactor)
        endpoint = HostnameEndpoint(
            self.crowd.reactor, str(parts.hostname), int(parts.port or 80), timeout=10
        )
        connecting: Deferred[Any] = endpoint.connect(factory)
        connecting.addErrback(self._failed)

    def heard(self, message: Mapping[str, Any]) -> None:
        match message["type"]:
            case "event":
                self.seen.append(message["event"])
            case "missed":
                self.missed += message["count"]
            case "subscribed":
                self.subscribed = True
            case "closing":
                self._pause = message["reconnect_after_ms"] / 1000
        self.cursor = message.get("cursor", self.cursor)

    def left(self, code: int | None, reason: str) -> None:
        self.ends.append((code, reason))
        self._again()

    def leave(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self.connection is not None:
            self.connection.transport.abortConnection()

    def _failed(self, failure: Any) -> None:
        failure.trap(ConnectError)
        self._again()

    def _again(self) -> None:
        self.connection, self.subscribed = None, False
        if self.crowd.over:
            return
        self.home += 1
        pause = self._pause if self._pause is not None else random.random() * BACK_SECONDS
        self._pause = None
        self._timer = self.crowd.reactor.callLater(pause, self.connect)


def problems(member: Member, expected: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with what a client has seen; `expected` are all events, in the log's order."""
    found = []
    seen = [str(it["id"]) for it in member.seen]
    twice = len(seen) - len(set(seen))
    lost = {str(it["id"]) for it in expected} - set(seen)
    foreign = set(seen) - {str(it["id"]) for it in expected}
    if twice or lost or foreign or member.missed:
        found.append(
            f"{twice} twice, {len(lost)} lost, {len(foreign)} foreign, {member.missed} missed"
        )
    if _by_call(member.seen) != _by_call(expected):
        found.append("the events of some call came in another order")
    return found


def _by_call(events: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    calls: dict[str, list[str]] = {}
    for it in events:
        calls.setdefault(str(it["call_id"]), []).append(str(it["id"]))
    return calls
