"""Claiming deliveries: items from the queue, the deliveries themselves from PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from twisted.internet.defer import Deferred, DeferredList

from nizam.errors import DatabaseUnavailable
from nizam.store.pool import Pool
from nizam.store.system import deliveries
from nizam.store.system.deliveries import Delivery
from nizam.webhooks.attempts import never_sent
from nizam.webhooks.lanes import Lane, Lanes
from nizam.webhooks.queue import DeliveryQueue, Item, partition_of
from nizam.webhooks.recording import Recorder
from nizam.webhooks.recovery import Recovery

AT_ONCE = 200


class Claimer:
    """Fills the lanes, and gives back what they cannot use.

    `most_waiting` bounds what is held: what waits, is under way or is not recorded yet.
    """

    def __init__(
        self,
        clock: Any,
        database: Pool,
        queue: DeliveryQueue,
        worker: str,
        lanes: Lanes,
        recorder: Recorder,
        recovery: Recovery,
        *,
        most_waiting: int,
        random: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._database = database
        self._queue = queue
        self._worker = worker
        self._lanes = lanes
        self._recorder = recorder
        self._recovery = recovery
        self._most_waiting = most_waiting
        self._random = random
        self._doubtful: set[Item] = set()
        self._unsure: set[int] = set()
        self._left: dict[int, frozenset[UUID]] = {}

    @property
    def _room(self) -> int:
        held = self._lanes.waiting + self._lanes.quick + self._recorder.held
        return max(0, self._most_waiting - held)

    def left_behind(self, lane: Lane) -> int | None:
        """The partition in which items of this lane were left for want of room, if it has
        nearly used up what it was given."""
        partition = partition_of(lane.endpoint.id)
        wanted = lane.endpoint.id in self._left.get(partition, ())
        low = len(lane.waiting) <= lane.limit and lane.allowance(self._clock.seconds()) > 0
        return partition if wanted and low and self._room else None

    def doubt(self, partition: int) -> None:
        """The queue may say of other items than is true that this worker holds them."""
        self._unsure.add(partition)

    async def claim(self, partitions: set[int]) -> set[int]:
        """Claim what the lanes can use; the partitions that have more. Raises DatabaseUnavailable
        and KeyValueUnavailable: what was claimed of one partition is kept although another
        failed."""
        await self._settle_doubtful()
        await self._return_unsure(partitions)
        now = self._clock.seconds()
        # Shares of the room, so that a partition with a backlog cannot keep the others out.
        share = min(AT_ONCE, -(-self._room // max(1, len(partitions))))
        order = sorted(partitions, key=lambda _: self._random())
        allowed = self._lanes.allowances(now)
        claims = [
            Deferred.fromCoroutine(self._queue.claim(it, self._worker, share, now, allowed.get(it)))
            for it in order
        ]
        results = await DeferredList(claims, consumeErrors=True)
        claimed: list[Item] = []
        more: set[int] = set()
        failure: Any = None
        for partition, (success, claim) in zip(order, results, strict=True):
            if not success:
                failure = claim
                # Items may have been claimed, with nobody told which.
                self.doubt(partition)
                continue
            claimed += claim.items
            self._left[partition] = claim.left
            if not claim.epoch:
                self._recovery.is_empty(partition)
            if claim.more and share:
                more.add(partition)
        if claimed:
            await self._admit(list(dict.fromkeys(claimed)))
        if failure is not None:
            failure.raiseException()
        return more

    async def _return_unsure(self, partitions: set[int]) -> None:
        """Return to the queue all that it says this worker holds. A copy of what it does hold is
        dropped by whoever claims it."""
        for partition in self._unsure & partitions:
            await self._queue.reap(partition, self._worker, math.inf)
            self._unsure.discard(partition)

    async def _admit(self, claimed: list[Item]) -> None:
        self._doubtful.update(claimed)
        # The queue's moments are cut to milliseconds, and a little early is no harm.
        now = datetime.fromtimestamp(self._clock.seconds() + 0.1, UTC)
        found = await deliveries.claim(self._database, self._worker, [it[0] for it in claimed], now)
        self._doubtful.difference_update(claimed)
        taken = {delivery.id for delivery in found}
        for item in claimed:
            if item[0] not in taken:
                self._recorder.forget(item)
        later = [delivery for delivery in found if not self._accept(delivery)]
        if later:
            await self._postpone(later)

    def _accept(self, delivery: Delivery) -> bool:
        """Let it wait for its turn, or end it; False when it should come back later."""
        endpoint, event = delivery.endpoint, delivery.event
        if endpoint is None:
            self._recorder.add(never_sent(delivery, "the webhook was deleted"))
        elif not endpoint.active:
            self._recorder.add(never_sent(delivery, "the webhook is disabled"))
        elif event is None:
            self._recorder.add(never_sent(delivery, "the event is no longer stored"))
        else:
            return self._lanes.add(self._lanes.lane(endpoint), delivery, self._clock.seconds())
        return True

    async def _settle_doubtful(self) -> None:
        """Give back what may have been claimed although PostgreSQL did not answer in time."""
        if self._doubtful:
            held = list(self._doubtful)
            await deliveries.release(self._database, self._worker, [it[0] for it in held])
            now = self._clock.seconds()
            for item in held:
                self._recorder.settle(item, now)
            self._doubtful.difference_update(held)
            self._recorder.soon()

    async def postpone(self, held: Sequence[Delivery]) -> None:
        """Let deliveries come back when their endpoints can take them. While PostgreSQL is away
        they are doubtful, and given back before the next claim."""
        with suppress(DatabaseUnavailable):
            await self._postpone(held)

    async def _postpone(self, held: Sequence[Delivery]) -> None:
        now = self._clock.seconds()
        items = [(it.id, it.webhook_id) for it in held]
        self._doubtful.update(items)
        await deliveries.release(self._database, self._worker, [it.id for it in held])
        self._doubtful.difference_update(items)
        for item, delivery in zip(items, held, strict=True):
            assert delivery.endpoint is not None  # noqa: S101 - only those with one are held
            moment = self._lanes.lane(delivery.endpoint).return_slot(now)
            self._recorder.settle(item, moment)
        self._recorder.soon()

    async def give_back(self, held: Sequence[Delivery]) -> None:
        """Before stopping: let any other worker have them at once."""
        if not held:
            return
        try:
            await deliveries.release(self._database, self._worker, [it.id for it in held])
        except DatabaseUnavailable:
            return
        for delivery in held:
            self._recorder.settle((delivery.id, delivery.webhook_id), self._clock.seconds())
