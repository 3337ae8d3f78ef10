"""Read replicas: lists and reports are read there, and never older than they may be.

Each read carries the position of the write-ahead log that its replica must have replayed: the later
of the caller's own last change (positions.py) and of where the primary was as long ago as a replica
may be behind. PostgreSQL checks it beside the read itself, so that a replica which has just begun
again, or another one behind the same address, does not answer too early. Whatever keeps a replica
from answering, the primary stands in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from nizam.errors import DatabaseUnavailable
from nizam.metrics import DB_READS_TOTAL, REPLICA_LAG_SECONDS, REPLICA_UP
from nizam.nap import Nap
from nizam.store.connection import ReplicaBehindError
from nizam.store.pool import Pool
from nizam.store.positions import UNKNOWN, Positions, owners_asking

T = TypeVar("T")

LOOK_SECONDS = 0.5
"""How often each server is asked how far it is, and how long it may take to say so."""
CHECK_SECONDS = 0.25
MOST_POSITIONS = 7_200
"""How many positions of the primary are remembered: an hour's."""

PRIMARY_POSITION = "select (pg_current_wal_insert_lsn() - '0/0')::bigint"
# A replica that was promoted, or a primary that is named as one, is never behind.
REPLICA_POSITION = """
select (case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
        else pg_current_wal_insert_lsn() end - '0/0')::bigint
"""


@attrs.define
class Replica:
    """One replica: `pool` reads, `watch` is the connection that asks how far it is."""

    pool: Pool
    watch: Pool
    replayed: int = 0
    """How far it was when it was asked last."""
    answers: bool = False

    @property
    def name(self) -> str:
        """What metrics and the log call it."""
        return self.pool.name


class Progress:
    """Where the primary was when, as far as it is remembered."""

    def __init__(self) -> None:
        self._known: deque[tuple[float, int]] = deque(maxlen=MOST_POSITIONS)

    def note(self, now: float, position: int) -> None:
        """The primary is there now."""
        if self._known and position < self._known[-1][1]:
            # Another server is the primary: its log goes on from an earlier place.
            self._known.clear()
        if not self._known or position > self._known[-1][1]:
            self._known.append((now, position))

    def at(self, moment: float) -> int | None:
        """Where it was at a moment; where it was first seen, of a moment before that."""
        if not self._known:
            return None
        for since, position in reversed(self._known):
            if since <= moment:
                return position
        return self._known[0][1]

    def behind(self, now: float, position: int) -> float:
        """For how many seconds the primary has been beyond a position."""
        since = now
        for moment, known in reversed(self._known):
            if known <= position:
                break
            since = moment
        return now - since


class Replicas(Service):
    """The replicas of one primary, of which none is read from that is more than `most_behind`
    seconds behind."""

    _log = Logger()

    def __init__(
        self,
        primary: Pool,
        replicas: Sequence[Replica],
        positions: Positions,
        most_behind: float,
    ) -> None:
        self.all = tuple(replicas)
        self._primary = primary
        self._reactor = primary.reactor
        self._positions = positions
        self._most_behind = most_behind
        self._progress = Progress()
        self._least: int | None = None
        """What a replica must have replayed so as not to be too far behind."""
        self._turn = 0
        self._nap = Nap(self._reactor)
        self._finished: Deferred[None] | None = None

    # -- life -----------------------------------------------------------------------------------

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Watch how far each server is."""
        super().startService()  # type: ignore[no-untyped-call]
        self._finished = Deferred.fromCoroutine(self._watch())

    async def stopService(self) -> None:  # noqa: N802 - Twisted's name
        """Watch no more."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._nap.wake()
        if self._finished is not None:
            await self._finished

    async def _watch(self) -> None:
        while self.running:
            await self.look()
            if self.running:
                await self._nap.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Ask every server how far it is."""
        looks = [self._look_at_primary(), *map(self._look_at, self.all)]
        await gatherResults([Deferred.fromCoroutine(it) for it in looks])
        now = self._reactor.seconds()
        # It holds until the next look.
        self._least = self._progress.at(now - max(0.0, self._most_behind - LOOK_SECONDS))
        for it in self.all:
            behind = self._progress.behind(now, it.replayed)
            REPLICA_LAG_SECONDS.labels(it.name).set(behind)
            REPLICA_UP.labels(it.name).set(it.answers)

    async def _look_at_primary(self) -> None:
        try:
            rows = await self._primary.query(PRIMARY_POSITION, deadline=LOOK_SECONDS)
        except DatabaseUnavailable:
            return
        self._progress.note(self._reactor.seconds(), rows[0][0])

    async def _look_at(self, replica: Replica) -> None:
        try:
            replica.replayed = await _position(replica.watch, LOOK_SECONDS)
        except DatabaseUnavailable as error:
            self._lost(replica, error)
            return
        if not replica.answers:
            self._log.info("the replica {replica} answers", replica=replica.name)
        replica.answers = True

    def _lost(self, replica: Replica, error: DatabaseUnavailable) -> None:
        if replica.answers:
            self._log.warn(
                "the replica {replica} is not read from: {error}",
                replica=replica.name,
                error=error.detail,
            )
        replica.answers = False

    # -- reading --------------------------------------------------------------------------------

    async def read(self, work: Callable[[Pool], Awaitable[T]]) -> T:
        """What `work` reads from a replica that has everything it must have, from the primary if
        there is none."""
        needed = await self._positions.needed(owners_asking())
        if needed is None or self._least is None:
            return await self._stand_in(work, "unknown")
        wanted, why = max(needed, self._least), "lost"
        behind = "own_change" if needed > self._least else "lag"
        for replica in self._in_turn():
            try:
                if await self._has(replica, wanted):
                    result = await work(replica.pool.replayed(wanted))
                    DB_READS_TOTAL.labels(replica.name, "replica").inc()
                    return result
                why = behind
            except ReplicaBehindError:
                why = behind
            except DatabaseUnavailable as error:
                self._lost(replica, error)
        return await self._stand_in(work, why)

    async def _stand_in(self, work: Callable[[Pool], Awaitable[T]], why: str) -> T:
        DB_READS_TOTAL.labels("primary", why).inc()
        return await work(self._primary)

    def _in_turn(self) -> list[Replica]:
        """Those that answer: the least busy first, and in turn when they are alike."""
        self._turn += 1
        answering = [it for it in self.all if it.answers and it.pool.available]
        if not answering:
            return []
        start = self._turn % len(answering)
        return sorted(answering[start:] + answering[:start], key=lambda it: it.pool.in_use)

    async def _has(self, replica: Replica, wanted: int) -> bool:
        """Whether it has replayed so far; it is asked when that is not known."""
        if wanted > replica.replayed and wanted != UNKNOWN:
            replica.replayed = await _position(replica.pool, CHECK_SECONDS)
        return replica.replayed >= wanted

    # -- changing -------------------------------------------------------------------------------

    async def changed(self, owners: Iterable[UUID]) -> None:
        """Remember that these have just changed something, so that they see it."""
        owners = frozenset(owners)
        if not owners:
            return
        try:
            rows = await self._primary.query(PRIMARY_POSITION)
        except DatabaseUnavailable:
            await self.may_have_changed(owners)
        else:
            await self._positions.note(owners, rows[0][0])

    async def may_have_changed(self, owners: Iterable[UUID]) -> None:
        """Read for these from the primary for a while: nobody knows what became of a change."""
        await self._positions.note(owners, UNKNOWN)


async def _position(pool: Pool, seconds: float) -> int:
    rows: Any = await pool.query(REPLICA_POSITION, deadline=seconds)
    # Nothing is told of a server that has replayed nothing yet.
    return int(rows[0][0] or 0)
