"""Server-sent events (the HTML standard, section 9.2): the same events over plain HTTP.

Each event is a message whose data is its envelope and whose id is the cursor, which the browser
sends as `Last-Event-ID` when it connects again by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from nizam.model.events import Event, envelope_bytes
from nizam.realtime.closing import Close
from nizam.realtime.streams import Stream, Streams

RETRY_MS: Final = 2000
"""How long a browser waits before it connects again."""


class SseCodec:
    """Messages of an event stream."""

    name = "sse"

    def event(self, cursor: str, event: Event) -> bytes:
        """An event."""
        return b"id: %s\ndata: %s\n\n" % (cursor.encode(), envelope_bytes(event))

    def notice(self, kind: str, fields: Mapping[str, Any]) -> bytes:
        """Anything else: an event of its own type; a heartbeat is a comment."""
        cursor = str(fields.get("cursor", ""))
        head = f"id: {cursor}\n".encode() if cursor else b""
        if kind == "heartbeat":
            return b": heartbeat\n" + head + b"\n"
        return b"event: %s\n%sdata: %s\n\n" % (kind.encode(), head, orjson.dumps(fields))


CODEC: Final = SseCodec()


@implementer(IPushProducer)
class SseConnection:
    """The sink of one stream: an answer that goes on."""

    def __init__(self, streams: Streams, request: Any) -> None:
        self._streams = streams
        self._request = request
        self._stream: Stream | None = None
        self._done: Deferred[None] = Deferred()

    async def serve(self, opened: Callable[[SseConnection], Stream]) -> None:
        """Write events until the client is gone."""
        self._request.notifyFinish().addBoth(self._lost)
        self._request.registerProducer(self, True)
        self._request.write(b"retry: %d\n\n" % RETRY_MS)
        self._stream = opened(self)
        await self._done

    def write(self, data: bytes) -> None:
        """Send messages."""
        self._request.write(data)

    def end(self, code: Close, pause: float) -> None:
        """Say why, and end the answer."""
        milliseconds = round(pause * 1000) or RETRY_MS
        fields = {"code": int(code), "reason": code.reason, "reconnect_after_ms": milliseconds}
        self._request.write(b"retry: %d\n" % milliseconds + CODEC.notice("closing", fields))
        self._request.unregisterProducer()
        if code is Close.TOO_SLOW:
            # What is written it does not read.
            self._request.channel.transport.abortConnection()
        self._finish()

    def _lost(self, _: object) -> None:
        if self._stream is not None:
            self._streams.lost(self._stream)
        self._finish()

    def _finish(self) -> None:
        if not self._done.called:
            self._done.callback(None)

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        """The buffers are full."""
        if self._stream is not None:
            self._streams.paused(self._stream)

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        """There is room."""
        if self._stream is not None:
            self._stream.subscriber.resume()

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """The client is gone; the request says so too."""
