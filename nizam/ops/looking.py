"""Services that look for work again and again."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall


class Looking(Service):
    """Calls `look` when it starts, and so many seconds after the beginning of the last look, or at
    the next such moment when that one is not over yet. A look must not raise: that would be the
    last one."""

    def __init__(self, clock: Any, seconds: float) -> None:
        self._seconds = seconds
        self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self.look()))
        self._loop.clock = clock
        self._looking: Deferred[Any] | None = None

    async def look(self) -> None:
        """Do what is due, once; `running` says whether to go on."""
        raise NotImplementedError

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Begin to look."""
        super().startService()  # type: ignore[no-untyped-call]
        self._looking = self._loop.start(self._seconds)

    def stopService(self) -> Deferred[Any] | None:  # noqa: N802 - Twisted's name
        """Look no more; the look that is under way ends by itself."""
        super().stopService()  # type: ignore[no-untyped-call]
        looking, self._looking = self._looking, None
        if looking is not None and self._loop.running:
            self._loop.stop()
        return looking
