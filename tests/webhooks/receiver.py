"""An HTTP server on loopback that plays webhook endpoints, and what it has seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
import orjson
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site


@attrs.frozen
class Received:
    """One request: where to, its headers (lower case) and body, when it came, and to which of
    the local addresses."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    to: str = ""

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = orjson.loads(self.body)
        return event


@attrs.frozen
class Answer:
    """What to answer. A `seconds` of None is never."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    seconds: float | None = 0.0


@attrs.define
class Receiver:
    """`behave` maps a path to what decides its next answer; 204 unless told."""

    reactor: Any
    port: Any = None
    received: list[Received] = attrs.Factory(list)
    behave: dict[str, Callable[[Received], Answer]] = attrs.Factory(dict)
    open: Counter[str] = attrs.Factory(Counter)
    most_open: Counter[str] = attrs.Factory(Counter)
    _timers: set[Any] = attrs.Factory(set)
    _unanswered: set[Any] = attrs.Factory(set)

    def start(self, interface: str = "127.0.0.1") -> None:
        site: Any = Site(_Everything(self))  # type: ignore[no-untyped-call]
        site.noisy = False
        self.port = self.reactor.listenTCP(0, site, interface=interface)

    async def stop(self) -> None:
        self.hang_up()
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        await self.port.stopListening()

    def hang_up(self) -> None:
        """End the connections of requests that get no answer."""
        for request in self._unanswered:
            if request.transport is not None:
                request.transport.abortConnection()
        self._unanswered.clear()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port.getHost().port}/{path}"

    def on(self, path: str) -> list[Received]:
        return [it for it in self.received if it.path == path]

    def event_ids(self, path: str) -> list[str]:
        return [it.headers["webhook-id"] for it in self.on(path)]

    def take(self, request: Any) -> int:
        assert request.content is not None
        path = request.path.decode()[1:]
        headers = {
            name.decode().lower(): values[0].decode()
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        to = request.transport.getHost().host
        seen = Received(path, headers, request.content.read(), self.reactor.seconds(), to)
        self.received.append(seen)
        self.open[path] += 1
        self.most_open[path] = max(self.most_open[path], self.open[path])
        gone: list[bool] = []

        def ended(_: Any) -> None:
            gone.append(True)
            self.open[path] -= 1

        finished: Deferred[Any] = request.notifyFinish()
        finished.addBoth(ended)
        behaviour = self.behave.get(path)
        answer = behaviour(seen) if behaviour is not None else Answer()

        def reply() -> None:
            if gone:
                return
            request.setResponseCode(answer.status)
            for name, value in answer.headers:
                request.setHeader(name, value)
            request.write(answer.body)
            request.finish()

        if answer.seconds is None:
            self._unanswered.add(request)
        else:
            self._timers.add(self.reactor.callLater(answer.seconds, reply))
        return NOT_DONE_YET


class _Everything(Resource):
    isLeaf = True  # noqa: N815

    def __init__(self, receiver: Receiver) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._receiver = receiver

    def render(self, request: Request) -> int:
        return self._receiver.take(request)
