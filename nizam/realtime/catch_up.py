"""What a client has missed, read from the log until it has caught up with the live events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.task import deferLater
from twisted.logger import Logger

from nizam.errors import DatabaseUnavailable
from nizam.realtime.filters import Filters, wanted_call, wanted_types
from nizam.realtime.hub import Hub
from nizam.realtime.subscriber import Batch, Message, Subscriber
from nizam.store.pool import Pool
from nizam.store.system.event_log import LogPage, read_log, read_tenant_log

PAGE_EVENTS: Final = 200
AT_ONCE: Final = 4
"""Reads of the log under way, however many clients come back together."""
RETRY_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.05

ReadFor = Callable[[Subscriber, int], Awaitable[LogPage]]
"""A page of the log for a client after a position; may leave out what its filters do not want."""


def reading(pool: Pool) -> ReadFor:
    """The pages of clients, from the primary's pool; those of a tenant's clients under its
    row-level security."""

    async def read(subscriber: Subscriber, after: int) -> LogPage:
        filters = subscriber.filters
        if subscriber.tenant_id is None:
            return await read_log(pool, after, most=PAGE_EVENTS)
        return await read_tenant_log(
            pool,
            subscriber.tenant_id,
            after,
            most=PAGE_EVENTS,
            types=wanted_types(filters),
            call_id=wanted_call(filters),
        )

    return read


class CatchUp:
    """Brings clients to where the hub is."""

    _log = Logger()

    def __init__(self, reactor: Any, hub: Hub, read: ReadFor) -> None:
        self._reactor = reactor
        self._hub = hub
        self._read = read
        self._turns = DeferredSemaphore(AT_ONCE)

    async def bring(self, subscriber: Subscriber) -> None:
        """Send everything after the client's position that it wants, then let it be live.

        Returns when it is live or gone. A client that reads slowly is waited for; while PostgreSQL
        is away it is tried again.
        """
        while not subscriber.gone and not self._hub.join(subscriber):
            filters, position = subscriber.filters, subscriber.position
            page = await self._page(subscriber)
            if page is None:
                await deferLater(self._reactor, RETRY_SECONDS)
            elif not subscriber.gone and (filters, position) == (
                subscriber.filters,
                subscriber.position,
            ):
                self._give(subscriber, page, filters)
                await self._room(subscriber)

    def _give(self, subscriber: Subscriber, page: LogPage, filters: Filters) -> None:
        batch = Batch([Message.of(it) for it in page.events])
        payload, count = batch.part(filters, subscriber.codec)
        subscriber.take(payload, count, page.position)

    async def _page(self, subscriber: Subscriber) -> LogPage | None:
        async def read() -> LogPage | None:
            if subscriber.gone:
                return None
            try:
                return await self._read(subscriber, subscriber.position)
            except DatabaseUnavailable as error:
                self._log.info("a stream waits for PostgreSQL: {error}", error=error.detail)
                return None

        turn: Deferred[LogPage | None] = self._turns.run(lambda: Deferred.fromCoroutine(read()))
        return await turn

    async def _room(self, subscriber: Subscriber) -> None:
        while not subscriber.gone and not subscriber.idle:
            await deferLater(self._reactor, _POLL_SECONDS)
