"""Says over Redis that there are new events, and hears it; what they are is in the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nizam.errors import KeyValueUnavailable
from nizam.kv.interface import IKeyValue

CHANNEL: Final = "nizam:events"
PAUSE_SECONDS: Final = 0.01
"""Between two rings: under load one stands for all that was stored meanwhile."""


class Bell:
    """Rings for every instance."""

    _log = Logger()

    def __init__(self, reactor: Any, key_value: IKeyValue) -> None:
        self._reactor = reactor
        self._key_value = key_value
        self._pause: Any = None
        self._again = False

    def ring(self) -> None:
        """Events were committed. Never blocks; while Redis is away readers look by themselves."""
        if self._pause is not None:
            self._again = True
            return
        self._pause = self._reactor.callLater(PAUSE_SECONDS, self._paused)
        Deferred.fromCoroutine(self._ring())

    def stop(self) -> None:
        """Ring no more."""
        if self._pause is not None and self._pause.active():
            self._pause.cancel()

    def heard(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` whenever some instance rings; what is returned ends it."""
        return self._key_value.subscribe(CHANNEL, lambda _: listener())

    def _paused(self) -> None:
        self._pause = None
        if self._again:
            self._again = False
            self.ring()

    async def _ring(self) -> None:
        if not self._key_value.available:
            return
        try:
            await self._key_value.publish(CHANNEL, b"1")
        except KeyValueUnavailable:
            self._log.debug("nobody hears of new events while Redis is away")
