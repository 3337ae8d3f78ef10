"""One transaction of the intake: events, legs and decisions, with all that follows from them.

What nodes said is stored under the leases of those nodes, which are checked with the commit: a
process that was taken for dead, and does not know it yet, changes no row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar
from uuid import UUID

import psycopg2
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from nizam import metrics
from nizam.errors import DatabaseUnavailable, KeyValueUnavailable
from nizam.store.pool import Transaction
from nizam.store.system.call_decisions import write_call_decisions
from nizam.store.system.cdrs import lock_calls, write_legs
from nizam.store.system.deliveries import unsent
from nizam.store.system.events import ONCE_PER_CALL, WriteResult, write_events
from nizam.store.system.leases import Lease, fence, lost
from nizam.store.system.recordings_told import write_recordings
from nizam.store.system.voicemail import write_voicemail
from nizam.switch.batch import Batch

T = TypeVar("T")
Deliveries = Sequence[tuple[UUID, UUID]]

SILENT_SECONDS: Final = 3
"""After which PostgreSQL ends the transaction of a process that hangs amid it, and with it the
locks on events and calls that whoever takes over would wait for."""
# SQLSTATE classes that blame the values: cardinality, data exceptions, integrity, program limits.
_REFUSALS: Final = ("21", "22", "23", "54")
_UNDER_LEASE: Final = f"set local idle_in_transaction_session_timeout = '{SILENT_SECONDS}s'"


class Transactions(Protocol):
    """A pool, as far as the intake needs it."""

    async def transaction(
        self, work: Callable[[Transaction], Awaitable[T]], deadline: float | None = None
    ) -> T:
        """Run `work` in a transaction."""


class Storing:
    """Stores batches in `database`.

    `on_deliveries` gets (delivery id, webhook id) of webhook deliveries that have been committed;
    `on_events` is called when events have been. `on_refused` gets an item that PostgreSQL refuses.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        database: Transactions,
        on_deliveries: Callable[[Deliveries], Awaitable[None]],
        on_events: Callable[[], None],
        on_refused: Callable[[Batch], Awaitable[None]],
    ) -> None:
        self._clock = clock
        self._database = database
        self.on_deliveries = on_deliveries
        self._on_events = on_events
        self._on_refused = on_refused
        # Events of transactions of which nobody knows whether they were committed.
        self._doubtful: set[str] = set()

    def nothing_waits(self) -> None:
        """All that was tried is stored: nothing is doubtful any more."""
        self._doubtful.clear()

    async def store(self, batch: Batch, seconds: float, leases: Sequence[Lease] = ()) -> None:
        """Store a batch within so many seconds, while all of these leases are held.

        Raises DatabaseUnavailable, and LeaseLostError when one is not held: then nothing is stored.
        What PostgreSQL refuses is set aside, and that is what it says of the values. Anything else
        that it says, such as a missing table or a broken disk, is no reason to give an item up.
        """
        if not len(batch):
            return
        again = [it.id for it in batch.events if it.id in self._doubtful] if self._doubtful else []
        try:
            result = await self._database.transaction(
                lambda transaction: _write(transaction, batch, again, leases), seconds
            )
        except DatabaseUnavailable:
            self._doubtful.update(it.id for it in batch.events)
            raise
        except (psycopg2.Error, TypeError, ValueError) as error:
            no_longer = lost(error)
            if no_longer is not None:
                raise no_longer from None
            state = getattr(error, "pgcode", None)
            if state is not None and not state.startswith(_REFUSALS):
                raise DatabaseUnavailable(f"PostgreSQL cannot store now: {error}") from None
            await self._in_parts(batch, seconds, leases, error)
            return
        self._doubtful.difference_update(again)
        kinds = {event.id: event.type for event in batch.events}
        counts = Counter(kinds.get(it, "repaired") for it in result.event_ids)
        for kind, count in counts.items():
            metrics.EVENTS_STORED_TOTAL.labels(kind).inc(count)
        if batch.events:
            oldest = min(event.occurred_at for event in batch.events).timestamp()
            metrics.EVENT_STORE_SECONDS.observe(max(0.0, self._clock.seconds() - oldest))
        if result.event_ids:
            self._on_events()
        if result.deliveries:
            Deferred.fromCoroutine(self._hand_on(result.deliveries))

    async def _hand_on(self, deliveries: Deliveries) -> None:
        try:
            await self.on_deliveries(deliveries)
        except KeyValueUnavailable:
            # They are pending in PostgreSQL, where the webhook worker finds them.
            self._log.debug("{n} deliveries are not queued yet", n=len(deliveries))
        except Exception:
            self._log.failure("deliveries were not queued")

    async def _in_parts(
        self, batch: Batch, seconds: float, leases: Sequence[Lease], error: Exception
    ) -> None:
        """Find the item that PostgreSQL refuses, store the others, keep it for a person to see."""
        if len(batch) > 1:
            rest = Batch(list(batch.events), list(batch.legs), decisions=list(batch.decisions))
            half = rest.take(len(batch) // 2)
            await self.store(half, seconds, leases)
            await self.store(rest, seconds, leases)
            return
        self._log.error("PostgreSQL refuses an item: {error}", error=str(error))
        metrics.EVENTS_SHED_TOTAL.labels("rejected").inc()
        await self._on_refused(batch)


async def _write(
    transaction: Transaction, batch: Batch, again: Sequence[str], leases: Sequence[Lease]
) -> WriteResult:
    if leases:
        transaction.add(_UNDER_LEASE)
    # All at once, so that no two instances wait for each other.
    once = (it.call_id for it in batch.events if it.type in ONCE_PER_CALL)
    lock_calls(transaction, (it for it in (*once, *(leg.call_id for leg in batch.legs)) if it))
    stored = await write_events(transaction, batch.events)
    # Those that were stored after all wait for somebody to hand their deliveries on.
    left = await unsent(transaction, again) if again else []
    repaired = await write_legs(transaction, batch.legs)
    await write_recordings(transaction, batch.events, stored.event_ids)
    await write_voicemail(transaction, batch.events, stored.event_ids)
    await write_call_decisions(transaction, batch.decisions)
    fence(transaction, leases)
    return WriteResult(
        stored.event_ids + repaired.event_ids,
        tuple(dict.fromkeys((*stored.deliveries, *left, *repaired.deliveries))),
    )
