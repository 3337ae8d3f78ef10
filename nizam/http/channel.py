"""One connection of the HTTP server: strict about what a request is, how large and how slow.

twisted.web accepts some forms that another server or proxy may read differently, reads bodies of
any size, and its idle timer starts anew with every byte. Here a request that could be read in two
ways is refused (RFC 9112, sections 3.2, 5.2, 6 and 11.2), header and body each have a deadline,
and a body over the limit of its path is answered before it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.server import Request

from nizam.errors import (
    BadRequest,
    HeadersTooLarge,
    NizamError,
    TargetTooLong,
)
from nizam.http.closing import ClosingChannel
from nizam.http.direct import DIRECT_HEAD, Answer, DirectResource, DirectWriter
from nizam.http.head import read_head

HEADER_SECONDS = 10.0
BODY_SECONDS = 30.0
SLOWEST_BYTES_PER_SECOND = 64 * 1024
"""A body larger than the usual gets this much more time."""

NEW_SECONDS = 1.0
"""How long a stop waits for the first request of a connection."""

_MOST_DIGITS = 15
_BLANK = (b" ", b"\t")
_END_OF_HEAD = b"\r\n\r\n"


class Bounds(Protocol):
    """What a connection asks of its server."""

    reactor: Any
    direct: Mapping[bytes, DirectResource]
    """The resources that are asked without twisted.web's Request, by their paths."""
    direct_writer: DirectWriter

    def body_limit(self, path: bytes) -> int:
        """The largest body in bytes that `path` takes."""

    def opened(self, channel: BoundedChannel) -> None:
        """The connection was made."""

    def closed(self, channel: BoundedChannel) -> None:
        """The connection is gone."""


class BoundedRequest(Request):
    """A request whose body is within the limit of its path, or else not read at all.

    A handler looks at `too_large`, so that a client that sends too much is told so.
    """

    channel: Any
    too_large = False
    limit = 0
    _kept = 0

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Called with each piece of the body."""
        self._kept += len(data)
        if self._kept > self.limit:
            self.too_large = True
            self.channel.cut_body()
        else:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]


@attrs.define
class _DirectBody:
    """What has come of a body: its `pieces`, and how many bytes are `missing`."""

    resource: DirectResource
    authorization: bytes | None
    pieces: list[bytes]
    missing: int


class BoundedChannel(ClosingChannel):
    """A connection whose requests are unambiguous and arrive within their deadlines.

    What is refused here is answered with a problem document, and the connection is closed: where
    the next request would begin is not known.
    """

    maxHeaders = 100  # noqa: N815 - Twisted's name
    site: Bounds
    host = ""
    waiting_since = 0.0
    _body_seconds: float | None = None
    """How long the body that is being received may take."""
    _finishing = False
    _is_new = True
    """Whether no request has been answered."""
    _successor: IProtocol | None = None
    _direct: _DirectBody | None = None
    """What has come of a request that is read without twisted.web's Request."""
    _asked = False
    """Whether such a request is being answered."""
    _early: list[bytes]
    """What has come meanwhile."""

    @property
    def waiting(self) -> bool:
        """Whether no request is being answered."""
        return not self._handlingRequest and not self._asked

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        """A new connection."""
        self.waiting_since = self.site.reactor.seconds()
        self._early = []
        self.site.opened(self)
        super().connectionMade()  # type: ignore[no-untyped-call]

    def hand_over(self, successor: IProtocol) -> bytes:
        """Let another protocol have the connection (RFC 9110, section 7.8), which counts on as one
        of the site's; what the client has sent already, for the successor to read.

        The request that asked for it is never finished: it ends with the connection.
        """
        self._disarm()
        self.setTimeout(None)  # type: ignore[no-untyped-call]
        self._successor = successor
        self.transport.unregisterProducer()
        successor.makeConnection(self.transport)
        # It was paused if the client has sent more than a little while the request was answered.
        self._networkProducer.resumeProducing()
        early, self._dataBuffer = b"".join(self._dataBuffer), []
        return early

    def finish(self) -> None:
        """Answer what is being received or answered, and close the connection then.

        An idle one is closed now; a new one has a moment for its first request, which may be on
        its way.
        """
        self._finishing = True
        age = self.site.reactor.seconds() - self.waiting_since
        if self.waiting and (self._is_receiving() or (self._is_new and age < NEW_SECONDS)):
            return
        self.persistent = False
        if self.waiting:
            self.loseConnection()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """A request that is not there as a whole has a deadline from its first byte on."""
        if self._successor is not None:
            self._successor.dataReceived(data)
            return
        if self._closing:
            self._discard(data)
            return
        if self._asked or self._direct is not None or not self._take_direct(data):
            self._received(data)
        if self._deadline is None and self._is_receiving():
            self._arm(HEADER_SECONDS if self._body_seconds is None else self._body_seconds)

    def _received(self, data: bytes) -> None:
        if self._asked:
            self._early.append(data)
            self.transport.pauseProducing()
            return
        if self._direct is not None:
            self._take_body(self._direct, data)
            return
        if self.line_mode and not self._buffer and not self.paused and not self._busyReceiving:
            data = self._take_head(data)
        if data:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def _take_head(self, data: bytes) -> bytes:
        """Read the lines of a head that has come whole, and give back what follows it.

        LineReceiver copies all that follows, the body too, behind each line; and a field of one
        line, as all of them are here, need not be kept until it is known that the next line is
        another one.
        """
        end = data.find(_END_OF_HEAD, 0, self.totalHeadersSize)
        if end < 0:
            return data
        self.resetTimeout()  # type: ignore[no-untyped-call]
        # What a request is answered with may bring on the next one, which is for later.
        self._busyReceiving = True
        try:
            first, *lines = data[:end].split(b"\r\n")
            self.lineReceived(first)
            for line in lines:
                if self._closing:
                    return b""
                if line[:1] in _BLANK or not self.requests:
                    self.lineReceived(line)
                else:
                    self.headerReceived(line)
            self.lineReceived(b"")
        finally:
            self._busyReceiving = False
        return data[end + len(_END_OF_HEAD) :]

    def _is_receiving(self) -> bool:
        """Whether a part of a request has come, and the rest has not."""
        begun = bool(self._buffer or self.requests or self._direct)
        return begun and not self._handlingRequest and not self._closing

    def connectionLost(self, reason: Any = connectionDone) -> None:  # noqa: N802 - Twisted's name
        """The connection is gone."""
        self._disarm()
        self._early = []
        self.site.closed(self)
        if self._successor is not None:
            self._successor.connectionLost(reason)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    # -- a request that is read without twisted.web's Request ------------------------------------

    def _take_direct(self, data: bytes) -> bool:
        """Take a request whose head is in `data` as a whole and in the one form; False if it is
        not, or if another one has begun."""
        head = DIRECT_HEAD.match(data)
        if head is None or not self.line_mode or self._buffer or self.requests or self.paused:
            return False
        path, authorization, digits = head.groups()
        resource = self.site.direct.get(path)
        length = int(digits)
        body = data[head.end() :]
        if resource is None or len(body) > length or length > self.site.body_limit(path):
            return False
        if len(body) == length:
            self._ask(resource, authorization, body)
        else:
            self._body_seconds = _body_seconds(length)
            self._direct = _DirectBody(resource, authorization, [body], length - len(body))
        return True

    def _take_body(self, direct: _DirectBody, data: bytes) -> None:
        direct.pieces.append(data[: direct.missing])
        following = data[direct.missing :]
        direct.missing -= len(data) - len(following)
        if direct.missing:
            return
        self._disarm()
        self._body_seconds = self._direct = None
        self._ask(direct.resource, direct.authorization, b"".join(direct.pieces))
        if following:
            self.dataReceived(following)

    def _ask(self, resource: DirectResource, authorization: bytes | None, body: bytes) -> None:
        answer = resource.answer(b"POST", authorization, self.host, body)
        if isinstance(answer, Deferred):
            self._asked = True
            answer.addCallback(self._tell).addErrback(self._cannot_tell)
        else:
            self._tell(answer)

    def _tell(self, answer: Answer) -> None:
        """Write what was answered; nothing is written to a connection that is gone."""
        self._asked = False
        persistent = bool(self.persistent) and not self._finishing
        self.transport.write(self.site.direct_writer.written(answer, close=not persistent))
        self.waiting_since, self._is_new = self.site.reactor.seconds(), False
        if not persistent:
            self.loseConnection()
            return
        self.resetTimeout()  # type: ignore[no-untyped-call]
        if self._early:
            early, self._early = b"".join(self._early), []
            self.transport.resumeProducing()
            self.dataReceived(early)

    def _cannot_tell(self, failure: Failure) -> None:
        """Whoever asked must not wait for what does not come."""
        self._log.failure("an answer could not be written", failure)
        self.transport.abortConnection()

    # -- the head of a request ---------------------------------------------------------------

    def lineReceived(self, line: bytes) -> None:  # noqa: N802 - Twisted's name
        """The request line, or a line of the header."""
        if self._closing:
            return
        if self._receivedHeaderSize + len(line) > self.totalHeadersSize:
            self.lineLengthExceeded(line)
        elif line[:1] in _BLANK:
            self._refuse(BadRequest("a line of the header must not begin with a space"))
        else:
            super().lineReceived(line)  # type: ignore[no-untyped-call]

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802 - Twisted's name
        """A line is longer than all of them together may be."""
        self._refuse(HeadersTooLarge() if hasattr(self, "_command") else TargetTooLong())

    def headerReceived(self, line: bytes) -> bool:  # noqa: N802 - Twisted's name
        """One field; False ends the request."""
        if self._receivedHeaderCount >= self.maxHeaders:
            self._refuse(HeadersTooLarge(f"more than {self.maxHeaders} header fields"))
            return False
        if line[:15].lower() == b"content-length:" and len(line[15:].strip()) > _MOST_DIGITS:
            self._refuse(BadRequest("the Content-Length is no length"))
            return False
        return bool(super().headerReceived(line))  # type: ignore[no-untyped-call]

    def allHeadersReceived(self) -> None:  # noqa: N802 - Twisted's name
        """The head is complete: refuse what is ambiguous, then give the body its own deadline."""
        if self._closing:
            return
        request: BoundedRequest = self.requests[-1]
        try:
            self._path = read_head(self._command, self._path, self._version, request.requestHeaders)
        except NizamError as wrong:
            self._refuse(wrong)
            # Twisted takes a body without length for a complete one.
            self.length = None
            return
        request.limit = self.site.body_limit(self._path)
        if self.length is not None and self.length > request.limit:
            request.too_large = True
            request.requestHeaders.removeHeader(b"Expect")
            self.length = 0
        size = request.limit if self.length is None else self.length
        self._disarm()
        self._body_seconds = _body_seconds(size)
        super().allHeadersReceived()  # type: ignore[no-untyped-call]
        if request.too_large:
            self._close_after(request)

    def checkPersistence(self, request: Any, version: bytes) -> bool:  # noqa: N802 - Twisted's name
        """Whether another request may follow; every Connection field counts."""
        fields = request.requestHeaders.getRawHeaders(b"Connection", [])
        tokens = {token.strip().lower() for it in fields for token in it.split(b",")}
        if version == b"HTTP/1.1" and b"close" not in tokens and not self._finishing:
            return True
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return False

    # -- its body ------------------------------------------------------------------------------

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """A piece of the body, or of what follows a request that is being answered."""
        if not self._closing:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:  # noqa: N802 - Twisted's name
        """From here on the time is ours."""
        self._disarm()
        self._body_seconds = None
        super().allContentReceived()  # type: ignore[no-untyped-call]

    def cut_body(self) -> None:
        """Answer the present request now, whose body has become too large, and read no more."""
        decoder: Any = self._transferDecoder
        decoder.dataCallback = decoder.finishCallback = _drop
        self._close_after(self.requests[-1])
        self.allContentReceived()

    def requestDone(self, request: Any) -> None:  # noqa: N802 - Twisted's name
        """The answer is written."""
        self.waiting_since, self._is_new = self.site.reactor.seconds(), False
        super().requestDone(request)  # type: ignore[no-untyped-call]


def _body_seconds(size: int) -> float:
    """How long a body of so many bytes may take."""
    return BODY_SECONDS + size / SLOWEST_BYTES_PER_SECOND


def _drop(data: bytes) -> None:
    """What is too much."""
