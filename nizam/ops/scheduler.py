"""Runs the scheduled tasks, one turn after another, on the instance that leads.

A task is a small function that does its work in slices for as long as its turn lasts, and goes on
in its next turn where it has stopped: what is done is in the database, so that a turn may end at
any moment and another instance goes on. A task that fails is tried again after a minute at most;
one that hangs for a minute is left alone until it ends. Then the others have their turns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import attrs
import psycopg2
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nizam import metrics
from nizam.errors import DatabaseUnavailable, NizamError
from nizam.ops.deadline import within
from nizam.ops.health import Finding, State
from nizam.ops.leader import Leader
from nizam.store.connection import Row
from nizam.store.pool import Pool, Transaction
from nizam.store.system import scheduled_tasks as record
from nizam.store.system.leases import Lease, LeaseLostError, hold, holder_of

T = TypeVar("T")

LOOK_SECONDS = 1.0
TURN_SECONDS = 10.0
HUNG_SECONDS = 60.0
"""A turn that has not ended by then is left alone."""
STOP_SECONDS = 10.0
"""How long a stop waits for the turn under way."""
RETRY_SECONDS = 60.0
LEADERLESS_SECONDS = 60.0
SLICE_SECONDS = 20.0
"""The deadline of one slice, which PostgreSQL ends after 15 s."""


@attrs.frozen
class Outcome:
    """What a turn has removed, and whether there is `more` to do at once."""

    removed: int = 0
    more: bool = False


@attrs.define
class Turn:
    """What a task is given for one turn. Everything that it does on the database through this
    has an effect only while the instance leads: LeaseLostError otherwise."""

    clock: Any
    pool: Pool
    lease: Lease
    until: float
    leads: Callable[[], bool]

    @property
    def over(self) -> bool:
        """Whether the task has to stop before its next slice."""
        return self.clock.seconds() >= self.until or not self.leads()

    async def query(self, sql: str, args: Any = ()) -> list[Row]:
        """The rows of one statement, in a transaction of its own."""
        return await self.transaction(lambda it: it.query(sql, args))

    async def transaction(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """What `work` gives, in a transaction."""

        async def held(transaction: Transaction) -> T:
            await hold(transaction, self.lease)
            return await work(transaction)

        return await self.pool.transaction(held, SLICE_SECONDS)

    async def repeat(self, slice_: Callable[[], Awaitable[int]]) -> Outcome:
        """Do `slice_`, which says how much it has removed, until that is nothing or the turn is
        over."""
        removed = 0
        while not self.over:
            some = await slice_()
            removed += some
            if not some:
                return Outcome(removed)
        return Outcome(removed, more=True)


Work = Callable[[Turn], Awaitable[Outcome]]


@attrs.frozen
class Task:
    """Something to do every so many seconds."""

    name: str
    seconds: int
    work: Work


class Scheduler(Service):
    """Runs `tasks` while `leader` leads."""

    _log = Logger()

    def __init__(self, clock: Any, pool: Pool, leader: Leader, tasks: Sequence[Task]) -> None:
        self._clock = clock
        self._pool = pool
        self._leader = leader
        self._tasks = {it.name: it for it in tasks}
        self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self.look()))
        self._loop.clock = clock
        self._looking: Deferred[Any] | None = None
        self._known = False
        self._hung: set[str] = set()
        self._states: list[record.TaskState] = []
        self._led_at = clock.seconds()
        self._reported: str | None = None

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Begin to look for what is due."""
        super().startService()  # type: ignore[no-untyped-call]
        self._led_at = self._clock.seconds()
        self._looking = self._loop.start(LOOK_SECONDS)

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """End the turn under way after its present slice."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._loop.stop()
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> None:
        async def ended() -> None:
            if self._looking is not None:
                await self._looking

        if not await within(self._clock, STOP_SECONDS, ended()):
            self._log.warn(
                "a scheduled task did not stop in time; another instance goes on with it"
            )

    def finding(self) -> Finding:
        """How the scheduled work is, for the health of the instance: degraded while nobody leads
        it, or a task has not succeeded for long."""
        late = record.late(self._states)
        led = self._clock.seconds() - self._led_at < LEADERLESS_SECONDS
        state = State.DEGRADED if late or not led else State.OK
        return Finding(state, {"leading": self._leader.lease is not None, "late": late})

    async def look(self) -> None:
        """Give each task that is due its turn, if this instance leads."""
        try:
            await self._look()
        except LeaseLostError as error:
            self._log.info("{error}", error=str(error))
        except (DatabaseUnavailable, psycopg2.Error) as error:
            self._report(str(error).strip())
        except Exception:
            # The work goes on with the next look.
            self._log.failure("while looking for scheduled work")
        else:
            self._report(None)

    async def _look(self) -> None:
        if self._leader.lease is not None and not self._known:
            intervals = {it.name: it.seconds for it in self._tasks.values()}
            await record.know_tasks(self._pool, intervals)
            self._known = True
        if await holder_of(self._pool, record.SCHEDULER_LEASE) is not None:
            self._led_at = self._clock.seconds()
        self._states = await record.task_states(self._pool)
        for state in self._states:
            task = self._tasks.get(state.name)
            if task is not None and state.due and task.name not in self._hung:
                lease = self._leader.lease
                if lease is None or not self.running:
                    return
                await self._give_turn(task, lease)

    def _report(self, trouble: str | None) -> None:
        """Say once what keeps the work waiting, and that it goes on."""
        if trouble is not None and self._reported is None:
            self._log.warn("the scheduled work waits: {trouble}", trouble=trouble)
        elif trouble is None and self._reported is not None:
            self._log.info("the scheduled work goes on")
        self._reported = trouble

    async def _give_turn(self, task: Task, lease: Lease) -> None:
        begun_at = self._clock.seconds()
        turn = Turn(
            self._clock,
            self._pool,
            lease,
            begun_at + TURN_SECONDS,
            lambda: bool(self.running) and self._leader.lease == lease,
        )
        await turn.query(*record.begun(task.name))
        outcomes: list[Outcome] = []

        async def run() -> None:
            try:
                outcomes.append(await task.work(turn))
            finally:
                self._hung.discard(task.name)

        error: str | None = None
        try:
            if not await within(self._clock, HUNG_SECONDS, run()):
                self._hung.add(task.name)
                error = f"has not ended after {HUNG_SECONDS:g} s"
                self._log.error("the scheduled task {task} {error}", task=task.name, error=error)
        except LeaseLostError:
            raise
        except NizamError as raised:
            error = f"{raised.code}: {raised.detail}"
            self._log.warn("the scheduled task {task}: {error}", task=task.name, error=error)
        except Exception as raised:
            # What others say may quote the data of tenants: it stays out of the record.
            error = f"{type(raised).__name__}; the log says more"
            self._log.failure("the scheduled task {task} failed", task=task.name)
        outcome = outcomes[0] if outcomes else Outcome()
        self._count(task, outcome, self._clock.seconds() - begun_at, error)
        pause = min(task.seconds, RETRY_SECONDS) if error else 0 if outcome.more else task.seconds
        await turn.query(
            *record.ended(
                task.name,
                removed=outcome.removed,
                more=outcome.more,
                pause_seconds=pause,
                error=error,
            )
        )

    def _count(self, task: Task, outcome: Outcome, seconds: float, error: str | None) -> None:
        how = "succeeded" if error is None else "failed"
        metrics.SCHEDULED_TASK_SECONDS.labels(task.name, how).observe(seconds)
        metrics.SCHEDULED_TASK_REMOVED.labels(task.name).inc(outcome.removed)
        if error is None:
            metrics.SCHEDULED_TASK_LAST_SUCCESS.labels(task.name).set_to_current_time()
        if outcome.removed:
            self._log.info(
                "the scheduled task {task} has removed {removed} in {seconds:.3f} s",
                task=task.name,
                removed=outcome.removed,
                seconds=seconds,
            )
