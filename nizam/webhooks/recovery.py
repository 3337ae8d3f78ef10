"""What keeps every promised delivery moving when a process, Redis or a message is lost.

Each worker runs one of these. Doing any of it twice, or on two workers at once, is harmless: an
id that is in the queue twice is sent once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nizam import metrics
from nizam.errors import DatabaseUnavailable, KeyValueUnavailable
from nizam.model.identifiers import new_id
from nizam.nap import Nap
from nizam.store.pool import Pool
from nizam.store.system import deliveries, waiting_deliveries
from nizam.webhooks.queue import PARTITIONS, DeliveryQueue, partition_of

CHECK_SECONDS = 5.0
SILENT_SECONDS = 15.0
"""A worker without a sign of life for so long is taken for dead; it gives four a second."""
UNTOUCHED_SECONDS = 20.0
STALE_SECONDS = 300.0
"""Longer than a claimed delivery can take: its turn, the connection and the answer."""
_PAGE = 2000
_FIRST = UUID(int=0)


class Recovery:
    """Rebuilds partitions, reaps dead workers, and sweeps up what never reached the queue.

    `wake` is called with the partitions that have got work.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        database: Pool,
        queue: DeliveryQueue,
        worker: str,
        wake: Callable[[Iterable[int]], None],
    ) -> None:
        self._clock = clock
        self._database = database
        self._queue = queue
        self._worker = worker
        self._wake = wake
        self._unknown: set[str] = set()
        self._rebuild: set[int] = set()
        self._rebuilding: set[int] = set()
        self._running: Deferred[None] | None = None
        self._nap = Nap(clock)
        self._stopping = False
        # What a process that died had not handed in yet goes at the first check after the start.
        self._untouched_seconds = 0.0

    def start(self) -> None:
        """Begin to check."""
        self._stopping = False
        self._running = Deferred.fromCoroutine(self._run())

    async def stop(self) -> None:
        """Return when the check under way has ended."""
        self._stopping = True
        self._nap.wake()
        if self._running is not None:
            await self._running

    def rebuild_soon(self, partitions: Iterable[int]) -> None:
        """Fill these partitions from PostgreSQL, now or as soon as that is possible."""
        self._rebuild.update(partitions)
        self._nap.wake()

    def is_empty(self, partition: int) -> None:
        """Redis has nothing of this partition: fill it, unless that is under way."""
        if partition not in self._rebuilding:
            self.rebuild_soon((partition,))

    async def _run(self) -> None:
        next_check = 0.0
        while not self._stopping:
            pause = 0.0
            try:
                if self._rebuild:
                    await self._rebuild_now()
                if self._clock.seconds() >= next_check:
                    next_check = self._clock.seconds() + CHECK_SECONDS
                    await self.check()
            except (DatabaseUnavailable, KeyValueUnavailable) as error:
                self._log.warn("webhook recovery waits: {error}", error=str(error))
                pause = 1.0
            except Exception:
                self._log.failure("webhook recovery")
                pause = CHECK_SECONDS
            if not self._stopping and (pause or not self._rebuild):
                await self._nap.sleep(pause or next_check - self._clock.seconds())

    # -- rebuild --------------------------------------------------------------------------------

    async def _rebuild_now(self) -> None:
        # What is asked for meanwhile is done afterwards: the server may be another one by then.
        partitions, self._rebuild = self._rebuild, set()
        self._rebuilding = partitions
        self._log.info("rebuilding webhook partitions {which}", which=sorted(partitions))
        try:
            await self._hand_in(partitions, age_seconds=0.0)
            epoch = str(new_id())
            for partition in partitions:
                await self._queue.restore(partition, (), {}, epoch)
        except BaseException:
            self._rebuild |= partitions
            raise
        finally:
            self._rebuilding = set()
        self._wake(partitions)

    async def _hand_in(self, partitions: set[int], age_seconds: float) -> int:
        after, total = _FIRST, 0
        while True:
            rows = await waiting_deliveries.pending(
                self._database,
                partitions=PARTITIONS,
                which=sorted(partitions),
                age_seconds=age_seconds,
                after=after,
                limit=_PAGE,
            )
            now = self._clock.seconds()
            due = {
                row[0]: row[2].timestamp()
                for row in rows
                if row[2] is not None and row[2].timestamp() > now
            }
            await self._queue.push([(row[0], row[1]) for row in rows], due, mend=True)
            total += len(rows)
            if len(rows) < _PAGE:
                return total
            after = rows[-1][0]

    # -- reap and sweep -------------------------------------------------------------------------

    async def check(self) -> None:
        """One round: reap dead workers, give back stale claims, sweep, refresh the metrics."""
        spared_since = self._clock.seconds() - SILENT_SECONDS
        depths = [await self._queue.depth(it, spared_since) for it in range(PARTITIONS)]
        for state in ("ready", "processing", "delayed", "dead"):
            count = sum(getattr(depth, state) for depth in depths)
            metrics.WEBHOOK_QUEUE_DEPTH.labels(state=state).set(count)
        await self._reap({p: d.silent for p, d in enumerate(depths) if d.silent}, spared_since)
        await self._release_unknown()
        stale = await waiting_deliveries.release_stale(self._database, STALE_SECONDS)
        await self._queue.push(stale)
        while await deliveries.end_of_disabled(self._database, _PAGE) == _PAGE:
            pass
        # More in PostgreSQL than in Redis means that something never reached the queue.
        counts = await waiting_deliveries.count_pending(self._database, PARTITIONS)
        short = {p for p, count in counts.items() if count > depths[p].open}
        if short:
            found = await self._hand_in(short, age_seconds=self._untouched_seconds)
            if found:
                self._wake(short)
        self._untouched_seconds = UNTOUCHED_SECONDS
        oldest = await waiting_deliveries.oldest_pending_seconds(self._database)
        metrics.WEBHOOK_OLDEST_SECONDS.set(oldest)

    async def _release_unknown(self) -> None:
        """Give back what a worker holds that Redis has forgotten: it died before Redis lost its
        data, so that nobody is found silent. One that lives is known again at its next claim."""
        holders = await waiting_deliveries.holders(self._database, SILENT_SECONDS) - {self._worker}
        if holders:
            holders -= set((await self._queue.depth(0, math.inf)).silent)
        # Twice in a row, since Redis may have lost its data this very moment.
        for worker in sorted(holders & self._unknown):
            released = await waiting_deliveries.release_worker(self._database, worker)
            await self._queue.push(released)
            self._log.warn(
                "webhook worker {worker} is gone; {count} of its deliveries go on",
                worker=worker,
                count=len(released),
            )
            self._wake({partition_of(webhook_id) for _, webhook_id in released})
        self._unknown = holders

    async def _reap(self, silent: dict[int, tuple[str, ...]], spared_since: float) -> None:
        by_worker: dict[str, list[int]] = defaultdict(list)
        for partition, workers in silent.items():
            for worker in workers:
                if worker != self._worker:
                    by_worker[worker].append(partition)
        for worker, partitions in by_worker.items():
            # First in PostgreSQL: an id whose delivery is still claimed would be dropped.
            released = await waiting_deliveries.release_worker(self._database, worker)
            returned = 0
            for partition in partitions:
                returned += await self._queue.reap(partition, worker, spared_since)
            if returned < len(released):
                await self._queue.push(released)
            self._log.warn(
                "webhook worker {worker} is dead; {count} of its deliveries go on",
                worker=worker,
                count=max(returned, len(released)),
            )
            self._wake(partitions)
