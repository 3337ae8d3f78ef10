"""The HTTP server's own limits: on bytes, on time, on connections.

twisted.web's idle timer starts anew with every byte, so that a client which sends one byte now and
then would hold a connection for ever; and it reads bodies of any size. Here the headers and the
body each have a deadline, bodies a limit for each path, and the server a number of connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.internet.task import deferLater
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

HEADER_SECONDS = 10.0
BODY_SECONDS = 30.0
IDLE_SECONDS = 75.0
MAX_CONNECTIONS = 4096
FINISH_POLL_SECONDS = 0.02
MAX_BODY_BYTES = 1024 * 1024
_DISCARD_BYTES = 16 * 1024 * 1024


class BoundedRequest(Request):
    """A request whose body is kept up to the limit of its path; the rest is thrown away.

    A handler looks at `too_large`, so that a client that sends too much is told so.
    """

    channel: Any
    too_large = False
    _kept = 0

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """Called with the Content-Length, or None for a chunked body."""
        path = getattr(self.channel, "_path", b"")
        self._limit = self.channel.site.body_limit(path)
        self.too_large = length is not None and length > self._limit
        super().gotLength(0 if self.too_large else length)  # type: ignore[no-untyped-call]

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Called with each piece of the body."""
        self._kept += len(data)
        if self._kept > self._limit:
            self.too_large = True
            if self._kept > _DISCARD_BYTES:
                self.channel.transport.abortConnection()
        if not self.too_large:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]


class BoundedChannel(HTTPChannel):
    """A connection whose requests must arrive within their deadlines."""

    maxHeaders = 100  # noqa: N815 - Twisted's name
    site: BoundedSite
    transport: Any
    _deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        """A new connection."""
        self.site.channels.add(self)
        super().connectionMade()  # type: ignore[no-untyped-call]

    def finish(self) -> None:
        """Answer what is being answered, and close the connection then; an idle one now."""
        self.persistent = False
        if not self._handlingRequest:
            self.loseConnection()  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """The first byte of a request starts the deadline of its headers."""
        if self._deadline is None and not self._handlingRequest:
            self._arm(HEADER_SECONDS)
        super().dataReceived(data)  # type: ignore[no-untyped-call]

    def allHeadersReceived(self) -> None:  # noqa: N802 - Twisted's name
        """The body has a deadline of its own."""
        self._arm(BODY_SECONDS)
        super().allHeadersReceived()  # type: ignore[no-untyped-call]

    def allContentReceived(self) -> None:  # noqa: N802 - Twisted's name
        """From here on the time is ours."""
        self._disarm()
        super().allContentReceived()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Any = connectionDone) -> None:  # noqa: N802 - Twisted's name
        """The connection is gone."""
        self._disarm()
        self.site.connections -= 1
        self.site.channels.discard(self)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.site.reactor.callLater(seconds, self._late)

    def _disarm(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        self.transport.abortConnection()


class BoundedSite(Site):
    """The factory of the daemon's HTTP port.

    `body_limits` maps the beginning of a path to the largest body in bytes. Beyond
    `max_connections` new connections are closed at once.
    """

    protocol = BoundedChannel  # type: ignore[assignment]

    def __init__(
        self,
        resource: Resource,
        reactor: Any,
        *,
        body_limits: Mapping[bytes, int] | None = None,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            resource,
            requestFactory=BoundedRequest,
            parsePOSTFormSubmission=False,
            timeout=IDLE_SECONDS,
            reactor=reactor,
        )
        self.connections = 0
        self.channels: set[BoundedChannel] = set()
        self._reactor = reactor
        self._body_limits = dict(body_limits or {})
        self._max_connections = max_connections

    def buildProtocol(self, addr: IAddress | None) -> Any:  # noqa: N802 - Twisted's name
        """A channel for a new connection; None closes it."""
        if self.connections >= self._max_connections:
            return None
        self.connections += 1
        return super().buildProtocol(addr)  # type: ignore[no-untyped-call]

    async def finish(self, seconds: float) -> None:
        """Let the requests that are being answered end; cut off what takes longer than `seconds`.

        The port must not listen any more.
        """
        deadline = self._reactor.seconds() + seconds
        while self.channels and self._reactor.seconds() < deadline:
            for channel in list(self.channels):
                channel.finish()
            await deferLater(self._reactor, FINISH_POLL_SECONDS)
        for channel in list(self.channels):
            channel.transport.abortConnection()

    def body_limit(self, path: bytes) -> int:
        """The largest body in bytes that `path` takes."""
        for start, limit in self._body_limits.items():
            if path.startswith(start):
                return limit
        return MAX_BODY_BYTES

    def log(self, request: Any) -> None:
        """Nothing: the API writes its own access log, in JSON."""
