"""The worker that sends webhook deliveries.

It claims them (claiming.py), sends each when its endpoint's turn comes (lanes.py, sending.py), and
records what happened in batches (recording.py). Nothing it holds in memory is the only copy: what
is lost with it is found again by recovery.
"""

from __future__ import annotations

import random as random_module
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from nizam.errors import DatabaseUnavailable, KeyValueUnavailable
from nizam.nap import Nap
from nizam.store.pool import Pool
from nizam.store.system.deliveries import Delivery
from nizam.webhooks.claiming import Claimer
from nizam.webhooks.interface import IEgressAgent
from nizam.webhooks.lanes import Lane, Lanes
from nizam.webhooks.queue import PARTITIONS, DeliveryQueue, Item, partition_of
from nizam.webhooks.recording import Recorder
from nizam.webhooks.recovery import Recovery
from nizam.webhooks.replaying import Replayer
from nizam.webhooks.sending import Reveal, Sender

POLL_SECONDS = 0.25
GIVE_UP_SECONDS = 5 * 86_400.0
_OUTAGE_PAUSE_SECONDS = 1.0


class WebhookWorker(Service):
    """Sends deliveries for as long as it runs.

    `name` is unique among all workers that live; `concurrency` bounds its requests under way,
    `endpoint_concurrency` those to one endpoint, whatever the endpoint itself allows.
    A webhook's rate holds for all workers together, how many at once for each by itself.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        database: Pool,
        queue: DeliveryQueue,
        egress: IEgressAgent,
        reveal: Reveal,
        *,
        name: str,
        concurrency: int = 64,
        endpoint_concurrency: int = 8,
        random: Callable[[], float] = random_module.random,
        give_up_seconds: float = GIVE_UP_SECONDS,
    ) -> None:
        self.name = "webhooks"
        self.worker = name
        self._clock = clock
        self._queue = queue
        self._lanes = Lanes(concurrency, endpoint_concurrency)
        self._recovery = Recovery(clock, database, queue, name, self.wake)
        self._recorder = Recorder(clock, database, queue, name, give_up_seconds, self.enqueue)
        self._replayer = Replayer(clock, database, self.enqueue)
        self._claimer = Claimer(
            clock,
            database,
            queue,
            name,
            self._lanes,
            self._recorder,
            self._recovery,
            most_waiting=16 * concurrency,
            random=random,
        )
        self._sender = Sender(
            clock,
            egress,
            reveal,
            queue,
            self._lanes,
            self._recorder,
            random=random,
            turned_away=self._turned_away,
            free=self._free,
        )
        self._handed_in: list[Item] = []
        self._pushing: Deferred[None] | None = None
        self._woken: set[int] = set(range(PARTITIONS))
        self._nap = Nap(clock)
        self._watching: list[Callable[[], None]] = []
        self._postponing: set[Deferred[None]] = set()
        self._running: Deferred[None] | None = None
        self._stopping = False

    # -- life ---------------------------------------------------------------------------------

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        super().startService()  # type: ignore[no-untyped-call]
        self._stopping = False
        self._recorder.start()
        self._sender.start()
        self._running = Deferred.fromCoroutine(self._run())
        self._recovery.start()
        self._replayer.start()
        self._watching = [
            self._queue.on_takeover(it, partial(self._taken_over, it)) for it in range(PARTITIONS)
        ]

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Claim no more, give back what waits, let what is under way end, record it."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._stopping = True
        for end in self._watching:
            end()
        self._nap.wake()
        await self._replayer.stop()
        await self._recovery.stop()
        if self._running is not None:
            await self._running
        if self._pushing is not None:
            await self._pushing
        await DeferredList(list(self._postponing))
        await self._claimer.give_back(self._lanes.take_all())
        await self._sender.stop()
        await self._recorder.stop()

    # -- from outside ---------------------------------------------------------------------------

    def enqueue(self, items: Iterable[Item]) -> None:
        """Hand in committed deliveries, as (delivery id, webhook id); they are sent at once.

        Never blocks. When Redis is away, the recovery hands them in once it is back.
        """
        self._handed_in.extend(items)
        if self._handed_in and self._pushing is None:
            self._pushing = Deferred.fromCoroutine(self._push())
            self._pushing.addErrback(lambda it: self._log.failure("queueing webhooks", it))
            # Not at the end of the coroutine: it may end before it is assigned.
            self._pushing.addBoth(self._pushed)

    def wake(self, partitions: Iterable[int] = range(PARTITIONS)) -> None:
        """Look for work in these partitions now rather than at the next poll."""
        self._woken.update(partitions)
        self._nap.wake()

    async def _push(self) -> None:
        while self._handed_in:
            items, self._handed_in = self._handed_in, []
            partitions = {partition_of(webhook_id) for _, webhook_id in items}
            try:
                await self._queue.push(items)
            except KeyValueUnavailable:
                self._recovery.rebuild_soon(partitions)
            else:
                self.wake(partitions)

    def _pushed(self, _: object) -> None:
        self._pushing = None

    # -- within ---------------------------------------------------------------------------------

    async def _run(self) -> None:
        next_poll = 0.0
        while not self._stopping:
            now = self._clock.seconds()
            if now >= next_poll:
                self._woken = set(range(PARTITIONS))
                next_poll = now + POLL_SECONDS
                self._lanes.forget_idle(now)
            woken, self._woken = self._woken, set()
            try:
                more = await self._claimer.claim(woken)
            except (DatabaseUnavailable, KeyValueUnavailable) as error:
                self._log.warn("webhooks wait: {error}", error=str(error))
                self._woken = set()
                next_poll = self._clock.seconds() + _OUTAGE_PAUSE_SECONDS
            except Exception:
                # One delivery that cannot be read must not end the worker for all others.
                self._log.failure("webhook deliveries could not be claimed")
                next_poll = self._clock.seconds() + _OUTAGE_PAUSE_SECONDS
            else:
                self._woken |= more
            self._sender.go_on()
            self._recorder.soon()
            if not self._woken and not self._stopping:
                await self._nap.sleep(next_poll - self._clock.seconds())

    def _taken_over(self, partition: int) -> None:
        """Another server holds it, which may lack what was handed in or settled last."""
        self._claimer.doubt(partition)
        self._recovery.rebuild_soon({partition})

    def _turned_away(self, held: Sequence[Delivery]) -> None:
        postponing = Deferred.fromCoroutine(self._claimer.postpone(held))
        self._postponing.add(postponing)
        postponing.addErrback(lambda it: self._log.failure("webhooks were not postponed", it))
        postponing.addBoth(lambda _: self._postponing.discard(postponing))

    def _free(self, lane: Lane) -> None:
        partition = self._claimer.left_behind(lane)
        if partition is not None:
            self.wake((partition,))
