"""From a process without a worker to those that have one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nizam.errors import KeyValueUnavailable
from nizam.webhooks.queue import DeliveryQueue

Deliveries = Iterable[tuple[UUID, UUID]]
"""Committed deliveries, as (delivery id, webhook id)."""


class OtherWorkers:
    """Hands deliveries to the workers of other processes; their sweep finds what was missed."""

    _log = Logger(namespace="nizam.webhooks")

    def __init__(self, queue: DeliveryQueue) -> None:
        self._queue = queue

    def enqueue(self, deliveries: Deliveries) -> None:
        """Push deliveries, without waiting."""
        Deferred.fromCoroutine(self._push(list(deliveries)))

    async def _push(self, deliveries: Sequence[tuple[UUID, UUID]]) -> None:
        try:
            await self._queue.push(deliveries)
        except KeyValueUnavailable:
            self._log.warn("{count} webhook deliveries wait for the sweep", count=len(deliveries))
