"""Recording what became of deliveries: in PostgreSQL, the truth, and then in the queue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nizam.errors import DatabaseUnavailable, KeyValueUnavailable
from nizam.store.pool import Pool
from nizam.store.system import deliveries
from nizam.webhooks.attempts import Done
from nizam.webhooks.disabling import disable_webhook
from nizam.webhooks.queue import DeliveryQueue, Fate, Item, partition_of

AT_ONCE = 250
OUTAGE_PAUSE_SECONDS = 1.0


class Recorder:
    """Writes attempts in batches, one batch after another, for as long as there are any.

    `enqueue` is handed the deliveries that follow: the next ones of ordered calls, and those of
    the event that a webhook was disabled. While a store is away it tries again and again, until
    it is told to stop.
    """

    _log = Logger(namespace="nizam.webhooks")

    def __init__(
        self,
        clock: Any,
        database: Pool,
        queue: DeliveryQueue,
        worker: str,
        give_up_seconds: float,
        enqueue: Callable[[Iterable[Item]], None],
    ) -> None:
        self._clock = clock
        self._database = database
        self._queue = queue
        self._worker = worker
        self._give_up_seconds = give_up_seconds
        self._enqueue = enqueue
        self._done: list[Done] = []
        self._unsettled: dict[int, dict[Item, Fate]] = defaultdict(dict)
        self._recording: Deferred[None] | None = None
        self._stopping = False

    @property
    def held(self) -> int:
        """Attempts that are not recorded yet."""
        return len(self._done)

    def start(self) -> None:
        """Be patient with stores that are away."""
        self._stopping = False

    async def stop(self) -> None:
        """Record what there is; what a store that is away does not take, recovery finds."""
        self._stopping = True
        self.soon()
        if self._recording is not None:
            await self._recording

    def add(self, done: Done) -> None:
        """Have an attempt recorded, and its item settled then; see `soon`."""
        self._done.append(done)

    def settle(self, item: Item, fate: Fate) -> None:
        """Have an item settled."""
        self._unsettled[partition_of(item[1])][item] = fate

    def forget(self, item: Item) -> None:
        """Have an item taken from the queue that is not this worker's to send. A copy of what it
        does hold must not undo what was decided about that."""
        self._unsettled[partition_of(item[1])].setdefault(item, "ack")

    def soon(self) -> None:
        """Begin to write, if that is not under way."""
        if self._recording is None and self._left:
            self._recording = Deferred.fromCoroutine(self._record())
            self._recording.addErrback(lambda it: self._log.failure("recording webhooks", it))
            self._recording.addBoth(self._recorded)

    @property
    def _left(self) -> bool:
        return bool(self._done) or any(self._unsettled.values())

    def _recorded(self, _: object) -> None:
        self._recording = None

    async def _record(self) -> None:
        while self._left:
            try:
                await self._record_some()
            except (DatabaseUnavailable, KeyValueUnavailable) as error:
                if self._stopping:
                    # PostgreSQL has what it could have; recovery finds the rest.
                    self._log.warn("webhook attempts not recorded: {e}", e=str(error))
                    return
                pause: Deferred[None] = Deferred()
                self._clock.callLater(OUTAGE_PAUSE_SECONDS, pause.callback, None)
                await pause

    async def _record_some(self) -> None:
        batch = self._done[:AT_ONCE]
        hopeless: list[tuple[UUID, UUID]] = []
        following: list[Item] = []
        if batch:
            attempts = [it.attempt for it in batch]
            hopeless = await deliveries.record(
                self._database, self._worker, attempts, self._give_up_seconds
            )
            del self._done[: len(batch)]
            for done in batch:
                self.settle(done.item, done.fate)
            ended = [
                it.attempt.delivery_id
                for it in batch
                if it.ordered and it.attempt.status in {"succeeded", "dead"}
            ]
            if ended:
                following = await deliveries.next_of_call(self._database, ended)
        await self._settle()
        self._enqueue(following)
        gone = {(it.attempt.webhook_id, it.attempt.tenant_id) for it in batch if it.gone}
        for webhook_id, tenant_id in gone:
            await self._disable(webhook_id, tenant_id, "the endpoint answered 410 Gone")
        for webhook_id, tenant_id in set(hopeless) - gone:
            await self._disable(webhook_id, tenant_id, "nothing but failures for five days")

    async def _settle(self) -> None:
        for partition in [it for it, fates in self._unsettled.items() if fates]:
            fates = self._unsettled.pop(partition)
            try:
                await self._queue.settle(partition, self._worker, fates, self._clock.seconds())
            except KeyValueUnavailable:
                self._unsettled[partition] = fates | self._unsettled[partition]
                raise

    async def _disable(self, webhook_id: UUID, tenant_id: UUID, reason: str) -> None:
        now = datetime.fromtimestamp(self._clock.seconds(), UTC)
        self._enqueue(await disable_webhook(self._database, webhook_id, tenant_id, reason, now))
