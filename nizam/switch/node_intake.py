"""Who stores what a node says: one process for each node, and what the others do meanwhile.

Every process with the intake role listens to every node and makes the same of what it hears. The
*active* one, which has the node's lease, stores it. The others *stand by*: they keep what the
active one may not have stored yet (`kept`), and let go of it by the place that it tells with each
renewal of its lease (`watermark`). Whoever gets the lease stores what it has kept; ids are made of
what happened, so that what is stored already stays as it is.

**Times.** A lease lasts 3 s, is renewed every second, and looked at twice a second: when the active
process is killed or hangs, another one is active within 3.5 s; when it stops, or loses its link to
the node, within 0.5 s. One that hangs amid a transaction holds locks on its calls for 3 s at most
(`storing.SILENT_SECONDS`), which end no later than that.

**A process that was taken for dead** goes on until it knows better: it may have stood still. Its
lease is checked with the commit, so that nothing that it stores then has an effect
(`leases.fence`); what was refused it keeps, as any other that stands by.

**While PostgreSQL is away** nobody can renew a lease, or learn that it has ended. Nothing is lost,
whoever believes what, since what is heard is always in one of three places until it is stored:

- *Active* is who was it last, for as long as PostgreSQL does not say otherwise, also beyond the end
  of its lease: it puts what it hears into Redis. If that is wrong, since another process can reach
  PostgreSQL and is active, it is there twice, which changes nothing.
- *Standing by* is only who has seen that another one has the lease. It keeps everything since the
  last place it was told, bounded in bytes; beyond that it puts the oldest into Redis. It does not
  have to know whether the active one is still there: what that one has put into Redis is there, and
  what it has not is in the place of everybody who stands by.
- *Nobody known*: a process that started meanwhile, or that has seen the lease end. Two such could
  each take the other for the active one, so neither does: what is kept is put into Redis within
  2 s, by each of them.

Whoever is active when PostgreSQL is back stores what is in Redis, whoever has put it there.

**Who is behind waits.** A process that has started while the lease was nobody's has not heard what
those who stood by have kept. It lets them take the lease first, for a second. Should it be the one
all the same, they see that the lease has changed hands and put what they have kept into Redis, for
the new one to store, before they go by what that one tells.

**node.up and node.down** tell whether the active process hears the node; the watermark says whether
it did, so that a change of the active process alone is no event. **node.gap** is told where nobody
has heard: from what is known to be stored to the first moment that whoever is active has heard.

**What else is done for a node.** By the active process: profiles and gateways are restarted, made
and removed. By all, since doing it again does no harm: comparing with the switch (it asks, and
changes only what this process knows; what it finds is stored like what is heard), flushing
FreeSWITCH's caches, the live state in Redis and the counters of limits (both are what the switch
has, by its ids), ending calls whose minutes are spent and comparing mailboxes (each claimed by
one). CDRs that come by HTTP are stored by whoever is asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.task import deferLater
from twisted.logger import Logger

from nizam import metrics
from nizam.errors import DatabaseUnavailable, KeyValueUnavailable
from nizam.esl.event import SwitchEvent
from nizam.events.channels import Call
from nizam.kv.interface import IKeyValue
from nizam.store.lease_keeper import LeaseKeeper
from nizam.store.pool import Pool
from nizam.store.system.leases import Lease, Note
from nizam.switch.announcing import Announcing
from nizam.switch.batch import Batch
from nizam.switch.kept import Kept
from nizam.switch.watermark import Mark, Marks, Place, Watermark, place_of

LEASE_SECONDS: Final = 3.0
RENEW_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.5
BEHIND_SECONDS: Final = 1.0
"""How long a process that has not heard everything lets others take the lease first."""
SETTLE_SECONDS: Final = 1.0
"""Between places of which it is found out whether everything up to there is durable."""
UNKNOWN_SECONDS: Final = 2.0
"""How long something is kept in memory alone while nobody is known to be active."""
GIVE_UP_SECONDS: Final = 2.0
"""How long a process that does not hear the node waits until all is stored that it heard before."""
GIVEN_BACK_SECONDS: Final = 1.0
"""Within which what was refused has come back from the writer."""
QUIET_SECONDS: Final = 0.3
"""After so long without an event there is none left to be read."""
KEPT_BYTES: Final = 64 * 1024 * 1024
"""What all nodes together may take in memory while this process stands by."""
AT_ONCE: Final = 4
"""Portions of what was kept that are handed on before others have a turn."""
REORDERED: Final = timedelta(milliseconds=100)
"""FreeSWITCH's threads hand events over in another order than they were fired in, by moments."""


@attrs.frozen
class Hands:
    """What an intake does for its nodes: hands a batch to the writer, tells of the node (type and
    data), waits until all is durable that was handed on, says which calls wait for their tenant,
    and leaves a document in Redis for whoever is active; with what is done when a node has become
    this process's."""

    write: Callable[[Batch], None]
    tell: Callable[[str, str, Mapping[str, Any]], None]
    durable: Callable[[], Awaitable[None]]
    waiting: Callable[[str], Iterable[Call]]
    leave: Callable[[bytes], Awaitable[None]]
    became_active: Callable[[str], None] = lambda _node: None


class NodeIntake:
    """What this process does with what one node says.

    Without a `pool` there is no lease: this process is active, always. `holder` names this process.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        node: str,
        hands: Hands,
        key_value: IKeyValue | None,
        now: Callable[[], datetime],
        pool: Pool | None = None,
        holder: str = "",
    ) -> None:
        self.node = node
        self.kept = Kept()
        self._clock = clock
        self._hands = hands
        self._now = now
        self._holder = holder
        self._up = False
        self._event: SwitchEvent | None = None
        self._heard_until: datetime | None = None
        self._heard_at = 0.0
        self._announcing = Announcing(node, key_value, now, hands.tell)
        self._marks = Marks()
        self._watermark = Watermark()
        self._active = self._direct = pool is None
        self._token: int | None = None
        self._ended_at: float | None = None
        self._leave_until: float | None = None
        self._settle_at = 0.0
        self._working: dict[str, Deferred[None]] = {}
        self._keeper: LeaseKeeper | None = None
        if pool is not None:
            self._keeper = LeaseKeeper(
                clock,
                pool,
                f"intake:{node}",
                holder,
                seconds=LEASE_SECONDS,
                renew=RENEW_SECONDS,
                look=LOOK_SECONDS,
                wants=self._wants,
                note=self._note,
                after=self._look,
            )
            metrics.INTAKE_TAKEOVERS_TOTAL.labels(node)
            metrics.INTAKE_REFUSED_TOTAL.labels(node)
            self._keeper.startService()

    # -- what it is ---------------------------------------------------------------------------

    @property
    def active(self) -> bool:
        """Whether this process stores what the node says, as far as it knows."""
        return self._active

    @property
    def stands_by(self) -> bool:
        """Whether another process is known to do so."""
        seen = None if self._keeper is None else self._keeper.seen
        return not self._active and seen is not None and seen.held

    @property
    def lease(self) -> Lease | None:
        """The lease under which it is stored."""
        return None if self._keeper is None else self._keeper.last

    def lost(self) -> None:
        """PostgreSQL has refused what was stored under the lease."""
        if self._keeper is not None and self._active:
            metrics.INTAKE_REFUSED_TOTAL.labels(self.node).inc()
            self._keeper.lost()
            self._look()

    async def stop(self) -> None:
        """Everything was handed on, and is durable: let another process go on at once."""
        if self._active and self._heard_until is not None and self._direct:
            self._watermark = Watermark(self._place, self._heard_until - REORDERED, self._up)
        keeper, self._keeper = self._keeper, None
        if not self._active:
            await self._leave_all()
        if keeper is not None:
            await keeper.stopService()
            metrics.INTAKE_ACTIVE.labels(self.node).set(0)
            metrics.INTAKE_KEPT_BYTES.labels(self.node).set(0)

    # -- what is heard ------------------------------------------------------------------------

    def link_up(self) -> None:
        """From now on all that the node says is heard."""
        self._announcing.coverage.begin(self._now())
        self._up = True
        if self._active:
            self._announce(None)
        elif self._keeper is not None:
            self._keeper.wake()

    def link_down(self, reason: str, stops: bool = False) -> None:
        """The connection is over; with `stops` because this process wants it so."""
        # What was on its way when the connection ended is lost too.
        self._announcing.coverage.end((self._heard_until or self._now()) - REORDERED)
        if stops:
            return
        self._up = False
        if self._active:
            self._announcing.down(reason)
            if self._keeper is not None:
                self._work("give up", self._give_up)

    def heard(self, event: SwitchEvent, fired: datetime, at: float) -> None:
        """The node has said this, at a moment by its clock and at one by this process's."""
        self._event, self._heard_until, self._heard_at = event, fired, at
        if not self._direct:
            self.kept.hear(place_of(event))

    @property
    def _place(self) -> Place | None:
        return None if self._event is None else place_of(self._event)

    def has_heard(self, until: datetime) -> bool:
        """Whether something was heard that was fired at this moment or later, or nothing comes."""
        quiet = self._clock.seconds() - self._heard_at >= QUIET_SECONDS
        return self._heard_until is None or self._heard_until >= until or quiet

    def take(self, batch: Batch) -> None:
        """Store what followed from something, or keep it for whoever does."""
        batch.node = self.node
        if self._direct:
            self._hands.write(batch)
        else:
            self.kept.put(batch, self._clock.seconds())

    def tick(self, nodes: int) -> None:
        """Do what is due; as many nodes as this one share the memory."""
        now = self._clock.seconds()
        self.kept.close(now)
        if self._direct:
            if now >= self._settle_at and self._up and self._heard_until is not None:
                self._settle_at = now + SETTLE_SECONDS
                self._work("settle", self._settle)
        elif not self._active:
            self._work("leave", lambda: self._leave(KEPT_BYTES // max(1, nodes)))
        if self._keeper is not None:
            metrics.INTAKE_KEPT_BYTES.labels(self.node).set(self.kept.bytes)

    # -- the lease ----------------------------------------------------------------------------

    def _wants(self) -> bool:
        if not self._up:
            return False
        seen = None if self._keeper is None else self._keeper.seen
        told = Watermark.of(seen.note) if seen is not None else None
        if self._active or told is None or self._announcing.coverage.is_whole(told.until):
            return True
        # Others may have heard it.
        ended = self._ended_at
        return ended is not None and self._clock.seconds() - ended >= BEHIND_SECONDS

    def _note(self) -> Note:
        return attrs.evolve(self._watermark, up=self._up).note()

    def _look(self) -> None:
        """What has become of the lease."""
        keeper = self._keeper
        if keeper is None:
            return
        held = keeper.last is not None
        if held and not self._active:
            self._become_active(keeper)
        elif not held and self._active:
            self._active = self._direct = False
            self._log.info("{node} is another instance's to store now", node=self.node)
        metrics.INTAKE_ACTIVE.labels(self.node).set(self._active)
        seen = keeper.seen
        if self._active or seen is None:
            return
        if seen.held:
            self._ended_at = None
        elif self._ended_at is None:
            self._ended_at = self._clock.seconds()
        if self._token not in (None, seen.token):
            # Whoever is active now may not have heard what is kept here, or is given back to it.
            self._leave_until = self._clock.seconds() + GIVEN_BACK_SECONDS
        self._token = seen.token
        told = Watermark.of(seen.note)
        if told is not None and self._leave_until is None:
            self.kept.trim(told.place)
            self._announcing.coverage.fill(told.until)

    def _become_active(self, keeper: LeaseKeeper) -> None:
        lease, seen = keeper.last, keeper.seen
        told = Watermark.of(lease.note) if lease is not None else None
        self._active, self._token = True, None if lease is None else lease.token
        self._leave_until = self._ended_at = None
        if seen is not None and seen.holder != self._holder:
            metrics.INTAKE_TAKEOVERS_TOTAL.labels(self.node).inc()
        self._log.info("this instance stores what {node} says", node=self.node)
        if told is not None:
            self._watermark = told
            self._announcing.up = told.up
            self.kept.trim(told.place)
        self._work("hand on", lambda: self._hand_on(told))
        self._hands.became_active(self.node)

    async def _hand_on(self, told: Watermark | None) -> None:
        """Store what was kept, in order; then what comes, and tell what nobody has heard."""
        number = 0
        while self._active and (batch := self.kept.take()) is not None:
            batch.node = self.node
            self._hands.write(batch)
            number += 1
            if number % AT_ONCE == 0:
                await deferLater(self._clock, 0.0)
        if self._active:
            self._direct = True
            self._announce(told)

    async def _give_up(self) -> None:
        """The node is not heard here: let another process have it that hears it."""
        settled = Deferred.fromCoroutine(self._settle())
        try:
            await settled.addTimeout(GIVE_UP_SECONDS, self._clock)
        except (CancelledError, DeferredTimeoutError):
            return  # the lease ends by itself
        if not self._up and self._keeper is not None and self._active:
            await self._keeper.release()
            self._look()

    def _announce(self, told: Watermark | None) -> None:
        self._announcing.announce(self._up)
        self._work("tell of gaps", lambda: self._announcing.tell_gaps(told))

    # -- how far it is durable ----------------------------------------------------------------

    async def _settle(self) -> None:
        """Find out whether what was heard until now is durable; note it for the next process."""
        if self._heard_until is None or not self._direct:
            return
        # By the clock of the switch: what it fired since then may still be on its way to us.
        until = self._heard_until - REORDERED
        self._marks.note(Mark(self._clock.seconds(), self._place, until))
        waiting = [it.waits_since for it in self._hands.waiting(self.node)]
        try:
            await self._hands.durable()
        except DatabaseUnavailable:
            return
        mark = self._marks.before(it for it in waiting if it is not None)
        if mark is None or not self._direct:
            return
        self._watermark = Watermark(mark.place, mark.until, self._up)
        await self._announcing.remember(mark.until)

    async def _leave(self, most_bytes: int) -> None:
        """Put into Redis what may not wait in memory alone."""
        while not self._active:
            now = self._clock.seconds()
            if self._leave_until is not None:
                portion = self.kept.first(self._leave_until)
                if portion is None and now >= self._leave_until:
                    self._leave_until = None
                    continue
            elif self.kept.bytes > most_bytes:
                portion = self.kept.first()
            else:
                portion = None if self.stands_by else self.kept.first(now - UNKNOWN_SECONDS)
            if portion is None:
                return
            try:
                await self._hands.leave(portion.document)
            except KeyValueUnavailable:
                if self.kept.bytes <= most_bytes:
                    return
                self._announcing.coverage.lose(portion.begin, portion.end, portion.items)
            self.kept.drop(portion)

    async def _leave_all(self) -> None:
        """Put everything that is kept into Redis: another process may not have it."""
        self.kept.close(self._clock.seconds())
        while (portion := self.kept.first()) is not None:
            try:
                await self._hands.leave(portion.document)
            except KeyValueUnavailable as error:
                self._log.warn(
                    "{node}: {n} events were kept for another instance and are let go: {error}",
                    node=self.node,
                    n=len(self.kept),
                    error=str(error),
                )
                return
            self.kept.drop(portion)

    def _work(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do it, unless it is being done."""
        if what in self._working:
            return

        async def run() -> None:
            try:
                await work()
            except Exception:
                self._log.failure("{node}: could not {what}", node=self.node, what=what)

        done = self._working[what] = Deferred.fromCoroutine(run())
        # Not at the end of the coroutine: it may end before it is assigned.
        done.addBoth(lambda _result: self._working.pop(what, None))
