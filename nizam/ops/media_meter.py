"""How the media root is: asked now and then in a thread, for a file server that hangs holds it."""

from __future__ import annotations

from typing import Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nizam import metrics
from nizam.errors import NizamError
from nizam.media.library import MediaLibrary

MEASURE_SECONDS: Final = 15.0


class MediaMeter(Service):
    """Sets the metrics of the media root every 15 s. While no answer has come there is no second
    question: one thread at most waits for a root that hangs."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, media: MediaLibrary) -> None:
        self._media = media
        root = str(media.root)
        self._up = metrics.MEDIA_ROOT_UP.labels(root)
        self._free = metrics.MEDIA_ROOT_FREE_BYTES.labels(root)
        self._size = metrics.MEDIA_ROOT_SIZE_BYTES.labels(root)
        self._asked: Deferred[None] | None = None
        self._loop = LoopingCall(self._measure)
        self._loop.clock = clock

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Begin to measure."""
        super().startService()  # type: ignore[no-untyped-call]
        self._loop.start(MEASURE_SECONDS)

    def stopService(self) -> None:  # noqa: N802 - Twisted's name
        """Stop measuring."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._loop.stop()

    def _measure(self) -> None:
        if self._asked is not None:
            self._up.set(0)
            return
        self._asked = Deferred.fromCoroutine(self._ask())
        self._asked.addErrback(lambda failure: self._log.failure("at the media root", failure))
        # An answer may have come at once.
        self._asked.addBoth(self._answered)

    def _answered(self, _result: object) -> None:
        self._asked = None

    async def _ask(self) -> None:
        try:
            free, size = await self._media.space()
        except NizamError as error:
            self._up.set(0)
            self._log.debug("the media root is away: {error}", error=str(error))
            return
        self._up.set(1)
        self._free.set(free)
        self._size.set(size)
