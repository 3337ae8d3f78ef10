"""Bodies that are written piece by piece, as fast as the client reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

STALL_SECONDS = 60.0
"""How long a client may read nothing of an answer."""


def _nothing() -> None:
    """Nothing has to be let go."""


@attrs.frozen
class Stream:
    """A body in pieces. `length` is that of all of them in bytes, None when nobody knows yet.

    `close` is called once, whether or not everything was written.
    """

    pieces: AsyncIterator[bytes]
    length: int | None = None
    close: Callable[[], None] = _nothing


class Lasting(Protocol):
    """An answer that goes on for as long as its client stays. `switches`: the connection becomes
    one of another protocol, which writes the whole answer."""

    @property
    def switches(self) -> bool:
        """Whether it is another protocol's."""

    async def serve(self, request: Any, request_id: str) -> None:
        """Write it; returns when the client is gone. `request` has its status and headers, unless
        it switches protocols."""


async def send(request: Any, stream: Stream, reactor: Any) -> bool:
    """Write the stream; whether all of it was written.

    A client that goes away ends it, and so does one that reads nothing for 60 s. When the stream
    itself fails, the connection is cut, which tells the client that the answer is not complete.
    """
    flow = _Flow()
    request.registerProducer(flow, True)
    complete = False
    try:
        async for piece in stream.pieces:
            request.write(piece)
            if not await flow.ready(reactor):
                break
        else:
            complete = True
    finally:
        stream.close()
        if not flow.gone:
            request.unregisterProducer()
            if not complete:
                request.channel.transport.abortConnection()
    return complete


@implementer(IPushProducer)
class _Flow:
    """What the transport says: whether it wants more."""

    def __init__(self) -> None:
        self.gone = False
        self._waiting: Deferred[None] | None = None

    async def ready(self, reactor: Any) -> bool:
        """Wait until there is room for more; False if the client is gone or reads nothing."""
        late: list[bool] = []
        if self._waiting is not None and not self.gone:

            def over() -> None:
                late.append(True)
                self.resumeProducing()

            timer = reactor.callLater(STALL_SECONDS, over)
            await self._waiting
            if timer.active():
                timer.cancel()
        return not self.gone and not late

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        """The buffers are full."""
        if self._waiting is None:
            self._waiting = Deferred()

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        """There is room."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """The client is gone."""
        self.gone = True
        self.resumeProducing()
