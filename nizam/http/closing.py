"""How a connection of the HTTP server is refused and closed, and its deadline.

A client that is still sending when its connection is closed would lose an answer that it has not
read: so our side is closed first, and what still comes is read away for a moment (RFC 9112, section
9.6).
"""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.interfaces import IDelayedCall, ITCPTransport
from twisted.web.http import HTTPChannel

from nizam.errors import BadRequest, NizamError, RequestTooSlow
from nizam.http.problems import problem
from nizam.metrics import HTTP_REFUSED
from nizam.model.identifiers import new_id

SPREAD_SECONDS = 1.0
"""Up to so much more time each deadline gives, so that clients who began together do not have to be
answered together."""

LINGER_SECONDS = 2.0
_LINGER_BYTES = 16 * 1024 * 1024
_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 414: b"URI Too Long"} | {
    417: b"Expectation Failed",
    431: b"Request Header Fields Too Large",
}


class ClosingChannel(HTTPChannel):
    """A connection that is refused with a problem document, and closed without losing it."""

    site: Any
    transport: Any
    _deadline: IDelayedCall | None = None
    _closing = False
    _unread = False
    """Whether bytes of the present request are still to come that nobody reads."""
    _discarded = 0

    def loseConnection(self) -> None:  # noqa: N802 - Twisted's name
        """Close, once all is written; what the client still sends is read away for a moment."""
        if self._unread:
            self._linger()
        elif not self._closing:
            super().loseConnection()  # type: ignore[no-untyped-call]

    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802 - Twisted's name
        if not self._handlingRequest:
            self._refuse(BadRequest("this is not HTTP as RFC 9112 has it"))

    def _refuse(self, error: NizamError) -> None:
        if self._closing:
            return
        HTTP_REFUSED.labels(str(error.status)).inc()
        reply = problem(error, str(new_id()))
        payload = reply.payload()
        fields = (
            b"HTTP/1.1 %d %s" % (error.status, _REASONS[error.status]),
            b"Content-Type: " + reply.content_type.encode(),
            b"Content-Length: %d" % len(payload),
            b"Connection: close",
        )
        self.transport.write(b"\r\n".join((*fields, b"", payload)))
        self._linger()

    def _close_after(self, request: Any) -> None:
        """Close when `request` is answered, with bytes of it still to come."""
        self._unread = True
        self.persistent = False
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])

    def _linger(self) -> None:
        """Close our side; a client that is still sending would lose an answer that it has not read.

        RFC 9112, section 9.6.
        """
        if self._closing:
            return
        self._closing, self._unread, self.persistent = True, False, False
        self._dataBuffer = []
        self.setTimeout(None)  # type: ignore[no-untyped-call]
        if not ITCPTransport.providedBy(self.transport):
            super().loseConnection()  # type: ignore[no-untyped-call]
            return
        self._networkProducer.resumeProducing()
        self.transport.loseWriteConnection()
        self._arm(LINGER_SECONDS)

    def _discard(self, data: bytes) -> None:
        self._discarded += len(data)
        if self._discarded > _LINGER_BYTES:
            self.transport.abortConnection()

    def _arm(self, seconds: float) -> None:
        self._disarm()
        spread = random.random() * SPREAD_SECONDS  # noqa: S311 - hides nothing
        self._deadline = self.site.reactor.callLater(seconds + spread, self._late)

    def _disarm(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self._closing:
            self.transport.abortConnection()
        else:
            self._refuse(RequestTooSlow())
