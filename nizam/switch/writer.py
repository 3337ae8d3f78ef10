"""Getting what happened into PostgreSQL, or into Redis while PostgreSQL is away.

Items are stored in batches, one transaction each: a batch holds whatever came while the one
before was being stored, so it grows with the load. When PostgreSQL does not answer, batches are
appended to a Redis list and stored from there, in order, once it answers again; items are stored
once however often that is tried. When Redis is away too, they wait in memory, which is bounded:
over the bound the least important go first, then the oldest, and what went is counted and told.

What a node said is stored under the node's lease; what turns out to be another process's is given
back to whoever keeps it for that one. What is in Redis belongs to nobody: it is stored by a process
that has a lease, under all that it has, or by any while none is known to have one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nizam import metrics
from nizam.errors import DatabaseUnavailable, KeyValueUnavailable
from nizam.kv.interface import IKeyValue
from nizam.store.system.leases import Lease, LeaseLostError
from nizam.switch.batch import Batch, decode, encode, joined
from nizam.switch.leases import Leases, NoLeases
from nizam.switch.pending import Pending
from nizam.switch.spill import Spill
from nizam.switch.storing import Deliveries, Storing, Transactions

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
        leases: Leases | None = None,
    ) -> None:
        self._clock = clock
        self._spill = None if key_value is None else Spill(key_value)
        self.storing = Storing(clock, database, on_deliveries, on_events, self._set_aside)
        self._on_shed = on_shed
        self._capacity = capacity
        self._batch_items = batch_items
        self._linger = linger
        self._leases: Leases = leases or NoLeases()
        self._pending = Pending()
        self._spilled = False
        self._look_due = False
        self._look_at = 0.0
        self._at_once = FIRST_AT_ONCE
        self._in_transaction = 0
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
        spilled = self._spill.items if self._spill else 0
        return len(self._pending) + self._in_transaction + spilled

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
        self._pending.add(batch)
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

    def look_for_left(self) -> None:
        """Store what other processes have left in Redis, if that is for this one to do."""
        if self._spill is not None and self._leases.drains:
            self._look_due = True
            self._soon(0.0)

    async def leave(self, document: bytes) -> None:
        """Put what `encode` gave into Redis, for whoever stores what is there. Raises
        KeyValueUnavailable."""
        if self._spill is None:
            raise KeyValueUnavailable("there is no Redis")
        await self._spill.leave(document)

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
                self.storing.nothing_waits()
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
        left = self._look_due or (self._spill is not None and self._spill.left)
        if self._spilled or (left and self._clock.seconds() >= self._look_at):
            self._look_due = False
            if not await self._drain():
                self._spilled = True
                return
            self._spilled = False
        while len(self._pending):
            if not await self._store_new(self._pending.take(self._batch_items)) or self._spilled:
                return

    # -- storing what came --------------------------------------------------------------------

    async def _store_new(self, taken: Sequence[Batch]) -> bool:
        """Store what came; False when PostgreSQL does not take it. When that takes long, this and
        what comes meanwhile are put into Redis too, so that nobody waits for it."""
        batches = self._ours(taken)
        batch = joined(batches)
        leases = self._leases.of({it.node for it in batches if it.node is not None})
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
                document, self._in_transaction, self._spilled = encoded, 0, True
                _safe(batches)
                self._log.warn(
                    "PostgreSQL has taken nothing for {seconds:g} s: what happens is kept in Redis",
                    seconds=STORE_SECONDS,
                )
            await self._spill_pending()

        self._in_transaction = len(batch)
        try:
            await self._store_while(spill, batch, leases)
        except LeaseLostError as error:
            self._in_transaction = 0
            self._leases.lost(error.names)
            if document is None:
                self._pending.put_back(batches)
            return True
        except DatabaseUnavailable as error:
            self._log.warn("PostgreSQL is away: {error}", error=str(error))
            self._in_transaction, self._spilled = 0, True
            if document is None:
                self._pending.put_back(batches)
            await self._spill_pending()
            return False
        self._in_transaction = 0
        if document is not None and self._spill is not None:
            self._spill.done([document])
        _safe(batches)
        return True

    def _ours(self, batches: Sequence[Batch]) -> list[Batch]:
        """Those that are for this process to store; the others are kept for whoever does."""
        nodes = {it.node for it in batches if it.node is not None}
        others = {it for it in nodes if self._leases.is_anothers(it)}
        for batch in batches if others else ():
            if batch.node in others:
                self._leases.give_back(batch)
        return [it for it in batches if it.node not in others]

    async def _store_while(
        self, work: Callable[[], Coroutine[Any, Any, None]], batch: Batch, leases: Sequence[Lease]
    ) -> None:
        """Store a batch; do other work again and again until that has ended."""
        working = LoopingCall(lambda: Deferred.fromCoroutine(work()))
        working.clock = self._clock
        ended = working.start(RETRY_SECONDS, now=False)
        try:
            await self.storing.store(batch, MOST_STORE_SECONDS, leases)
        finally:
            if working.running:
                working.stop()
            await ended

    # -- what waits in Redis ------------------------------------------------------------------

    async def _spill_pending(self) -> None:
        """Append everything that waits now to the list in Redis, as far as Redis takes it. What
        comes while that lasts is for the next time: of that there may be no end."""
        left = len(self._pending)
        while left > 0 and self._spill is not None:
            batches = self._pending.take(self._batch_items)
            batch = joined(batches)
            left -= len(batch)
            try:
                await self._spill.append(encode(batch), len(batch))
            except KeyValueUnavailable as error:
                self._pending.put_back(batches)
                self._log.warn("Redis is away too: {error}", error=str(error))
                return
            _safe(batches)
        if not len(self._pending):
            self._pending.safe()

    async def _drain(self) -> bool:
        """Store what was spilled, oldest first; False when PostgreSQL does not take it.

        With Redis away what is only there stays for later; what another process stores is that
        one's.
        """
        while self._spill is not None:
            if not self._leases.drains:
                self._spill.leave_to_others()
                break
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
            except LeaseLostError as error:
                self._leases.lost(error.names)
                continue
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
            await self._store_while(self._spill_pending, batch, self._leases.held())
        except DatabaseUnavailable:
            if self._clock.seconds() - began >= STORE_SECONDS:
                self._at_once = max(1, self._at_once // 2)
            return False
        return True

    def _read(self, documents: Sequence[bytes]) -> tuple[Batch, list[bytes]]:
        """All of these batches as one, and those that cannot be read."""
        whole, unreadable = Batch(), []
        for document in documents:
            try:
                whole.extend(decode(document))
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                # Of another version, perhaps; those behind it must not wait for ever.
                self._log.error("a batch in Redis cannot be read: {error}", error=str(error))
                unreadable.append(document)
        return whole, unreadable

    async def _set_aside(self, batch: Batch) -> None:
        """Keep what PostgreSQL refuses for a person to see."""
        if self._spill is not None:
            try:
                await self._spill.set_aside(encode(batch))
            except (KeyValueUnavailable, TypeError, ValueError):
                return

    def _shed(self) -> None:
        gone = self._pending.shed(self._capacity)
        # Without the decisions nothing is missing of what has happened.
        if len(gone):
            self._on_shed(gone)


def _safe(batches: Sequence[Batch]) -> None:
    for batch in batches:
        if batch.waiters:
            batch.safe()
