"""Pauses of whoever looks for work again and again, which end early when there is some."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred


class Nap:
    """A pause at a time."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._over: Deferred[None] | None = None

    async def sleep(self, seconds: float | None) -> None:
        """Return after so many seconds, with None never, or when woken."""
        self._over = over = Deferred[None]()
        timer = None if seconds is None else self._reactor.callLater(max(0.0, seconds), self.wake)
        try:
            await over
        finally:
            if timer is not None and timer.active():
                timer.cancel()

    def wake(self) -> None:
        """End the pause, if there is one."""
        over, self._over = self._over, None
        if over is not None:
            over.callback(None)
