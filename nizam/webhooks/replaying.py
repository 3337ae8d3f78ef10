"""Moving replays on: each by a second's worth of deliveries at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nizam.errors import DatabaseUnavailable
from nizam.store import replays
from nizam.store.pool import Pool, Transaction
from nizam.webhooks.queue import Item

PAUSE_SECONDS = 1.0
OUTAGE_PAUSE_SECONDS = 5.0


class Replayer:
    """Looks for replays that are due, once a second; `enqueue` is handed what they make pending.

    Any number may run, in any number of processes: each replay is locked while it is moved on, and
    is due again a second later.
    """

    _log = Logger(namespace="nizam.webhooks")

    def __init__(
        self, clock: Any, database: Pool, enqueue: Callable[[Iterable[Item]], None]
    ) -> None:
        self._clock = clock
        self._database = database
        self._enqueue = enqueue
        self._timer: Any = None
        self._running: Deferred[None] | None = None
        self._stopping = False

    def start(self) -> None:
        """Begin to look."""
        self._stopping = False
        self._again(PAUSE_SECONDS)

    async def stop(self) -> None:
        """Return when the round under way has ended."""
        self._stopping = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._running is not None:
            await self._running

    def _again(self, seconds: float) -> None:
        if not self._stopping:
            self._timer = self._clock.callLater(seconds, self._run)

    def _run(self) -> None:
        self._running = Deferred.fromCoroutine(self._round())

    async def _round(self) -> None:
        pause = PAUSE_SECONDS
        try:
            while not self._stopping and await self._move_one():
                pass
        except DatabaseUnavailable as error:
            self._log.warn("replays wait: {error}", error=str(error))
            pause = OUTAGE_PAUSE_SECONDS
        except Exception:
            self._log.failure("replays")
            pause = OUTAGE_PAUSE_SECONDS
        self._again(pause)

    async def _move_one(self) -> bool:
        async def work(transaction: Transaction) -> list[Item] | None:
            due = await replays.take_due(transaction)
            return None if due is None else await replays.go_on(transaction, due)

        moved = await self._database.transaction(work)
        if moved:
            self._enqueue(moved)
        return moved is not None
