"""WebSocket (RFC 6455), by autobahn, on a connection that the HTTP server hands over.

Messages of the server are written once for all clients, so they are never compressed. A client's
messages are small. Whoever reads nothing is not read from either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import orjson
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.protocol import PreparedMessage
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from nizam.model.events import Event, envelope_bytes
from nizam.realtime.closing import Close
from nizam.realtime.session import PROTOCOL, Session
from nizam.realtime.streams import Stream, Streams

MESSAGE_BYTES: Final = 16 * 1024
"""The largest message that a client may send."""
CLOSE_SECONDS: Final = 2.0
"""How long a client has to answer a close."""

Opened = Callable[["StreamProtocol"], tuple[Stream, Session]]


class WebSocketCodec:
    """JSON in text frames."""

    name = "websocket"

    def event(self, cursor: str, event: Event) -> bytes:
        """An event."""
        head = b'{"type":"event","cursor":"%s","event":' % cursor.encode()
        return _frame(head + envelope_bytes(event) + b"}")

    def notice(self, kind: str, fields: Mapping[str, Any]) -> bytes:
        """Anything else."""
        return _frame(orjson.dumps({"type": kind, **fields}))


CODEC: Final = WebSocketCodec()


def _frame(payload: bytes) -> bytes:
    message = PreparedMessage(payload, isBinary=False, applyMask=False, doNotCompress=True)
    frame: bytes = message.payloadHybi
    return frame


@implementer(IPushProducer)
class StreamProtocol(WebSocketServerProtocol):
    """One connection. `opened` is called when it is open and gives its stream and session."""

    transport: Any

    def __init__(self, streams: Streams, request_id: str, opened: Opened) -> None:
        super().__init__()
        self.done: Deferred[None] = Deferred()
        self._streams = streams
        self._request_id = request_id
        self._opened = opened
        self._stream: Stream | None = None
        self._session: Session | None = None
        self._closing: Any = None

    # -- the sink of a stream ---------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send frames."""
        if self.state == self.STATE_OPEN:
            self.transport.write(data)

    def end(self, code: Close, pause: float) -> None:
        """Close from our side."""
        if pause:
            milliseconds = round(pause * 1000)
            self.write(
                CODEC.notice("closing", {"code": int(code), "reconnect_after_ms": milliseconds})
            )
        self._close(code, code.reason)

    # -- what autobahn says -----------------------------------------------------------------------

    def onConnect(self, request: Any) -> tuple[str | None, dict[str, str]]:  # noqa: N802
        """The subprotocol, and more fields of the answer."""
        chosen = PROTOCOL if PROTOCOL in request.protocols else None
        return chosen, {"X-Request-Id": self._request_id}

    def onOpen(self) -> None:  # noqa: N802 - autobahn's name
        """The handshake is over."""
        self.transport.registerProducer(self, True)
        self._stream, self._session = self._opened(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803
        """A message of the client."""
        if self._session is not None:
            self._session.received(payload)

    def onPong(self, payload: bytes) -> None:  # noqa: N802 - autobahn's name
        """The client is there."""
        if self._stream is not None:
            self._stream.heard_at = self._streams.reactor.seconds()

    def ping(self) -> None:
        """Ask whether it is."""
        self.sendPing()

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:  # noqa: N802, N803
        """The connection is gone."""
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        if self._stream is not None:
            self._streams.lost(self._stream)
        done, self.done = self.done, Deferred()
        done.callback(None)

    def _fail_connection(self, code: int = Close.TRY_LATER, reason: str = "") -> None:
        """autobahn's way out when the client breaks the protocol."""
        self._close(code, reason)

    def _close(self, code: int, reason: str) -> None:
        if self.state == self.STATE_OPEN:
            # Not sendClose(), which takes none of the codes that IANA has registered since.
            self.sendCloseFrame(code=code, reasonUtf8=reason.encode()[:123], isReply=False)
        # Whoever has said goodbye and reads nothing would keep the connection for ever.
        if self._closing is None:
            self._closing = self._streams.reactor.callLater(CLOSE_SECONDS, self._cut)

    def _cut(self) -> None:
        self.transport.abortConnection()

    # -- what the transport says ------------------------------------------------------------------

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        """The buffers are full. What the client says waits too: an answer would find no room."""
        self.transport.pauseProducing()
        if self._stream is not None:
            self._streams.paused(self._stream)

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        """There is room."""
        self.transport.resumeProducing()
        if self._stream is not None:
            self._stream.subscriber.resume()

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """The connection is being lost."""


class _Factory(WebSocketServerFactory):
    """autobahn's options, which are the same for every connection."""

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor=reactor, server="")  # type: ignore[no-untyped-call]
        self.setProtocolOptions(  # type: ignore[no-untyped-call]
            webStatus=False,
            failByDrop=False,
            maxFramePayloadSize=MESSAGE_BYTES,
            maxMessagePayloadSize=MESSAGE_BYTES,
            # The whole request is there already, and the rest has deadlines of its own.
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
        )
        # Origins were looked at before, against the credentials that came with them.
        self.allowNullOrigin = True


class Door:
    """Where HTTP connections become WebSockets."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._factory = _Factory(streams.reactor)

    @classmethod
    @cache
    def of(cls, streams: Streams) -> Door:
        """The door of these streams, which is made once."""
        return cls(streams)

    async def enter(
        self,
        hand_over: Callable[[StreamProtocol], bytes],
        headers: Iterable[tuple[bytes, Sequence[bytes]]],
        request_id: str,
        opened: Opened,
    ) -> None:
        """Take a connection over; returns when it is gone. `headers` are those of the request."""
        protocol = StreamProtocol(self._streams, request_id, opened)
        protocol.factory = self._factory
        done = protocol.done
        early = hand_over(protocol)
        lines = [b"GET /api/v1/stream HTTP/1.1"]
        for name, values in headers:
            # The credentials and the rest are no business of autobahn's.
            if name.lower() in _OF_HANDSHAKE or name.lower().startswith(b"sec-websocket-"):
                lines.append(name + b": " + b", ".join(values))
        protocol.dataReceived(b"\r\n".join([*lines, b"", b""]))
        if early:
            protocol.dataReceived(early)
        await done


_OF_HANDSHAKE = frozenset({b"host", b"upgrade", b"connection"})
