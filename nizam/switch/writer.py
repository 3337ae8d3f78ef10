"""Getting what happened into PostgreSQL, or into Redis while PostgreSQL is away.

Items are stored in batches, one transaction each: a batch holds whatever came while the one
before was being stored, so it grows with the load. When PostgreSQL does not answer, batches are
appended to a Redis list and stored from there, in order, once it answers again; items are stored
once however often that is tried. When Redis is away too, they wait in memory, which is bounded:
over the bound the least important go first, then the oldest, and what went is counted and told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

import psycopg2
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nizam import metrics
from nizam.errors import DatabaseUnavailable, KeyValueUnavailable
from nizam.kv.interface import IKeyValue
from nizam.store.pool import Transaction
from nizam.store.system.call_decisions import write_call_decisions
from nizam.store.system.cdrs import lock_calls, write_legs
from nizam.store.system.deliveries import unsent
from nizam.store.system.events import ONCE_PER_CALL, WriteResult, write_events
from nizam.store.system.recordings_told import write_recordings
from nizam.store.system.voicemail import write_voicemail
from nizam.switch.batch import Batch, decode, encode
from nizam.switch.spill import Spill

T = TypeVar("T")
Deliveries = Sequence[tuple[UUID, UUID]]

LINGER_SECONDS: Final = 0.004
BATCH_ITEMS: Final = 500
CAPACITY: Final = 200_000
STORE_SECONDS: Final = 2.0
"""How long a transaction may take before batches go to Redis."""
MOST_STORE_SECONDS: Final = 8.0
"""How long it may take at all. One that is given up has done its work for nothing, and keeps the
next one from the same rows until it has ended."""
RETRY_SECONDS: Final = 0.25
FIRST_AT_ONCE: Final = 16
MOST_AT_ONCE: Final = 64
"""Spilled batches stored together: each transaction costs time, however little is in it. Half as
many next time when that took too long."""
LEFT_SECONDS: Final = 2.0
"""Between looks at what was left in Redis while Redis is away and PostgreSQL is not."""
# SQLSTATE classes that blame the values: cardinality, data exceptions, integrity, program limits.
_REFUSALS: Final = ("21", "22", "23", "54")
# What goes first when there is no room: it matters least once it is late.
_LEAST: Final = ("call.dtmf", "call.ringing", "registration.registered")


class Transactions(Protocol):
    """A pool, as far as the writer needs it."""

    async def transaction(
        self, work: Callable[[Transaction], Awaitable[T]], deadline: float | None = None
    ) -> T:
        """Run `work` in a transaction."""


class Writer:
    """Stores batches one after another.

    `on_deliveries` gets (delivery id, webhook id) of webhook deliveries that have been committed.
    `on_shed` gets the events and legs that had to be dropped, when that happens. `on_events` is
    called when events have been committed.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        database: Transactions,
        key_value: IKeyValue | None,
        on_deliveries: Callable[[Deliveries], Awaitable[None]],
        on_shed: Callable[[Batch], None] = lambda _dropped: None,
        *,
        capacity: int = CAPACITY,
        batch_items: int = BATCH_ITEMS,
        linger: float = LINGER_SECONDS,
        on_events: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._database = database
        self._spill = None if key_value is None else Spill(key_value)
        self._on_deliveries = on_deliveries
        self._on_shed = on_shed
        self._on_events = on_events
        self._capacity = capacity
        self._batch_items = batch_items
        self._linger = linger
        self._pending = Batch()
        self._spilled = False
        self._look_at = 0.0
        self._at_once = FIRST_AT_ONCE
        self._storing = 0
        # Events of transactions of which nobody knows whether they were committed.
        self._doubtful: set[str] = set()
        self._later: IDelayedCall | None = None
        self._working: Deferred[None] | None = None
        self._idle_waiters: list[Deferred[None]] = []
        self._stopped = True

    @property
    def buffered(self) -> int:
        """How many items wait in memory."""
        return len(self._pending)

    @property
    def waiting(self) -> int:
        """How many items were taken and are not in PostgreSQL yet."""
        return len(self._pending) + self._storing + (self._spill.items if self._spill else 0)

    @property
    def spilling(self) -> bool:
        """Whether batches go to Redis because PostgreSQL is away."""
        return self._spilled

    def start(self) -> None:
        """Begin; what an earlier process left in Redis is stored first."""
        self._stopped = False
        metrics.EVENTS_WAITING.set_function(lambda: self.waiting)
        metrics.EVENTS_SPILLED.set_function(lambda: self._spill.items if self._spill else 0)
        self._soon(0.0)

    async def stop(self, seconds: float = 10.0) -> None:
        """Store what waits, in PostgreSQL or Redis, for `seconds` at most; then stop."""
        if len(self._pending) or self._working is not None:
            idle: Deferred[None] = Deferred()
            self._idle_waiters.append(idle)
            self._soon(0.0)
            timer = self._clock.callLater(seconds, self._tell_idle)
            await idle
            if timer.active():
                timer.cancel()
        self._stopped = True
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if len(self._pending):
            self._log.error("{n} events could be stored nowhere", n=len(self._pending))

    def add(self, batch: Batch) -> None:
        """Take a batch over; it is stored within milliseconds when all is well."""
        self._pending.events += batch.events
        self._pending.legs += batch.legs
        self._pending.decisions += batch.decisions
        self._pending.waiters += batch.waiters
        if len(self._pending) > self._capacity:
            self._shed()
        self._soon(self._linger)

    async def settled(self) -> None:
        """Wait until all that was added so far is in PostgreSQL or Redis.

        Raises DatabaseUnavailable when something had to be dropped meanwhile.
        """
        if len(self._pending) or self._working is not None:
            waiter: Deferred[None] = Deferred()
            self.add(Batch(waiters=[waiter]))
            await waiter

    # -- the loop -----------------------------------------------------------------------------

    def _soon(self, delay: float) -> None:
        if self._working is not None or self._stopped:
            return
        if self._later is None:
            self._later = self._clock.callLater(delay, self._begin)
        elif not self._spilled and self._later.getTime() > self._clock.seconds() + delay:
            self._later.reset(delay)

    def _begin(self) -> None:
        self._later = None
        self._working = Deferred.fromCoroutine(self._work())
        self._working.addErrback(lambda failure: self._log.failure("in the intake", failure))
        self._working.addBoth(self._end)

    def _end(self, _result: object) -> None:
        self._working = None
        if not len(self._pending):
            # What is not in PostgreSQL is safe in Redis.
            self._pending.safe()
            self._tell_idle()
            if not self._spilled:
                self._doubtful.clear()
        if len(self._pending) and not self._spilled:
            self._soon(0.0)
        elif self._spilled:
            self._soon(RETRY_SECONDS)
        elif self._spill is not None and self._spill.left:
            self._soon(LEFT_SECONDS)

    def _tell_idle(self) -> None:
        waiters, self._idle_waiters = self._idle_waiters, []
        for waiter in waiters:
            waiter.callback(None)

    async def _work(self) -> None:
        """Store what is there; returns when it is stored, or when nothing can be done now."""
        if self._spilled and len(self._pending):
            await self._spill_pending()
        left = self._spill is not None and self._spill.left
        if self._spilled or (left and self._clock.seconds() >= self._look_at):
            if not await self._drain():
                self._spilled = True
                return
            self._spilled = False
        while len(self._pending):
            if not await self._store_new(self._pending.take(self._batch_items)) or self._spilled:
                return

    async def _store_new(self, batch: Batch) -> bool:
        """Store what came; False when PostgreSQL does not take it. When that takes long, this and
        what comes meanwhile are put into Redis too, so that nobody waits for it."""
        patient_until = self._clock.seconds() + STORE_SECONDS
        document: bytes | None = None

        async def spill() -> None:
            nonlocal document
            if self._spill is None or self._clock.seconds() < patient_until:
                return
            if document is None:
                encoded = encode(batch)
                try:
                    await self._spill.append(encoded, len(batch))
                except KeyValueUnavailable:
                    return
                document, self._storing, self._spilled = encoded, 0, True
                batch.safe()
                self._log.warn(
                    "PostgreSQL has taken nothing for {seconds:g} s: what happens is kept in Redis",
                    seconds=STORE_SECONDS,
                )
            await self._spill_pending()

        self._storing = len(batch)
        try:
            await self._store_while(spill, batch)
        except DatabaseUnavailable as error:
            self._log.warn("PostgreSQL is away: {error}", error=str(error))
            self._storing, self._spilled = 0, True
            if document is None:
                self._pending.put_back(batch)
            await self._spill_pending()
            return False
        self._storing = 0
        if document is not None and self._spill is not None:
            self._spill.done([document])
        batch.safe()
        return True

    async def _spill_pending(self) -> None:
        """Append everything that waits now to the list in Redis, as far as Redis takes it. What
        comes while that lasts is for the next time: of that there may be no end."""
        left = len(self._pending)
        while left > 0 and self._spill is not None:
            batch = self._pending.take(self._batch_items)
            left -= len(batch)
            try:
                await self._spill.append(encode(batch), len(batch))
            except KeyValueUnavailable as error:
                self._pending.put_back(batch)
                self._log.warn("Redis is away too: {error}", error=str(error))
                return
            batch.safe()
        if not len(self._pending):
            self._pending.safe()

    async def _drain(self) -> bool:
        """Store what was spilled, oldest first; False when PostgreSQL does not take it.

        With Redis away what is only there stays for later.
        """
        while self._spill is not None:
            try:
                documents = await self._spill.first(self._at_once)
                if not documents:
                    break
                batch, unreadable = self._read(documents)
                if not await self._store_spilled(batch):
                    return False
                self._at_once = min(MOST_AT_ONCE, 2 * len(documents))
                for document in unreadable:
                    await self._spill.set_aside(document)
                self._spill.done(documents)
            except KeyValueUnavailable:
                self._look_at = self._clock.seconds() + LEFT_SECONDS
                break
            if self._spill.copied or len(self._pending) > self._batch_items:
                # Who posted a CDR waits until it is safe, which storing all this would delay.
                await self._spill_pending()
        return True

    async def _store_spilled(self, batch: Batch) -> bool:
        """Store what was spilled; False when PostgreSQL does not take it. What comes while that
        takes long is spilled, so that nobody waits for it."""
        began = self._clock.seconds()
        try:
            await self._store_while(self._spill_pending, batch)
        except DatabaseUnavailable:
            if self._clock.seconds() - began >= STORE_SECONDS:
                self._at_once = max(1, self._at_once // 2)
            return False
        return True

    async def _store_while(
        self, work: Callable[[], Coroutine[Any, Any, None]], batch: Batch
    ) -> None:
        """Store a batch; do other work again and again until that has ended."""
        working = LoopingCall(lambda: Deferred.fromCoroutine(work()))
        working.clock = self._clock
        ended = working.start(RETRY_SECONDS, now=False)
        try:
            await self._store(batch)
        finally:
            if working.running:
                working.stop()
            await ended

    def _read(self, documents: Sequence[bytes]) -> tuple[Batch, list[bytes]]:
        """All of these batches as one, and those that cannot be read."""
        whole, unreadable = Batch(), []
        for document in documents:
            try:
                batch = decode(document)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                # Of another version, perhaps; those behind it must not wait for ever.
                self._log.error("a batch in Redis cannot be read: {error}", error=str(error))
                unreadable.append(document)
                continue
            whole.events += batch.events
            whole.legs += batch.legs
            whole.decisions += batch.decisions
        return whole, unreadable

    async def _store(self, batch: Batch) -> None:
        """One transaction. Raises DatabaseUnavailable; what PostgreSQL refuses is set aside.

        Refused is what PostgreSQL says of the values. Anything else that it says, such as a
        missing table or a broken disk, is no reason to give an item up.
        """
        if not len(batch):
            return
        again = [it.id for it in batch.events if it.id in self._doubtful] if self._doubtful else []
        try:
            result = await self._database.transaction(
                lambda transaction: _write(transaction, batch, again), MOST_STORE_SECONDS
            )
        except DatabaseUnavailable:
            self._doubtful.update(it.id for it in batch.events)
            raise
        except (psycopg2.Error, TypeError, ValueError) as error:
            state = getattr(error, "pgcode", None)
            if state is not None and not state.startswith(_REFUSALS):
                raise DatabaseUnavailable(f"PostgreSQL cannot store now: {error}") from None
            await self._store_in_parts(batch, error)
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
            await self._on_deliveries(deliveries)
        except KeyValueUnavailable:
            # They are pending in PostgreSQL, where the webhook worker finds them.
            self._log.debug("{n} deliveries are not queued yet", n=len(deliveries))
        except Exception:
            self._log.failure("deliveries were not queued")

    async def _store_in_parts(self, batch: Batch, error: Exception) -> None:
        """Find the item that PostgreSQL refuses, store the others, keep it for a person to see."""
        if len(batch) > 1:
            rest = Batch(list(batch.events), list(batch.legs), decisions=list(batch.decisions))
            half = rest.take(len(batch) // 2)
            await self._store(half)
            await self._store(rest)
            return
        self._log.error("PostgreSQL refuses an item: {error}", error=str(error))
        metrics.EVENTS_SHED_TOTAL.labels("rejected").inc()
        if self._spill is not None:
            try:
                await self._spill.set_aside(encode(batch))
            except (KeyValueUnavailable, TypeError, ValueError):
                return

    def _shed(self) -> None:
        """Make room: how calls were routed and the least important events first, then the oldest
        events, legs last of all."""
        events = self._pending.events
        kept = [event for event in events if event.type not in _LEAST]
        gone = Batch([event for event in events if event.type in _LEAST])
        decisions, self._pending.decisions = len(self._pending.decisions), []
        surplus = len(kept) + len(self._pending.legs) - self._capacity
        if surplus > 0:
            gone.events += kept[:surplus]
            kept = kept[surplus:]
        self._pending.events = kept
        surplus_legs = len(self._pending.legs) - self._capacity
        if surplus_legs > 0:
            gone.legs = self._pending.legs[:surplus_legs]
            del self._pending.legs[:surplus_legs]
            # Whoever posted one of them keeps it and sends it again.
            self._pending.failed(DatabaseUnavailable("no buffer has room for the CDR"))
        shed = Counter(event.type for event in gone.events)
        shed |= Counter({"leg": len(gone.legs), "decision": decisions})
        for kind, count in (+shed).items():
            metrics.EVENTS_SHED_TOTAL.labels(kind).inc(count)
        # Without the decisions nothing is missing of what has happened.
        if len(gone):
            self._on_shed(gone)


async def _write(transaction: Transaction, batch: Batch, again: Sequence[str]) -> WriteResult:
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
    return WriteResult(
        stored.event_ids + repaired.event_ids,
        tuple(dict.fromkeys((*stored.deliveries, *left, *repaired.deliveries))),
    )
