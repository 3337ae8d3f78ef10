"""Changes that make webhook deliveries pending: the queue hears of them after the commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
from twisted.logger import Logger

from nizam.errors import KeyValueUnavailable
from nizam.http.changes import change_context
from nizam.http.reply import Reply
from nizam.http.route import Call
from nizam.store.deliveries import Pairs
from nizam.store.store import Store
from nizam.store.unit_of_work import UnitOfWork
from nizam.webhooks.queue import DeliveryQueue

Work = Callable[[UnitOfWork, Pairs], Awaitable[Reply]]
"""Adds the deliveries that it makes pending to the list that it is given."""


@attrs.frozen
class Queueing:
    """Commits such changes. If the queue is away, a sweep of PostgreSQL finds them."""

    store: Store
    queue: DeliveryQueue

    _log = Logger(namespace="nizam.webhooks")

    async def run(self, call: Call, work: Work) -> Reply:
        """Run `work` in a unit of work of the request's tenant, and queue what it made pending."""
        queued: Pairs = []
        reply = await self.store.write(
            call.tenant, change_context(call), lambda unit: work(unit, queued)
        )
        try:
            await self.queue.push(queued)
        except KeyValueUnavailable as error:
            self._log.warn("deliveries wait for the next sweep: {reason}", reason=error.detail)
        return reply
