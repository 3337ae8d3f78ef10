"""Instances of the scheduled work over one database of the test's own, on a clock of theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import attrs
import pytest_twisted
from twisted.internet import reactor as installed_reactor
from twisted.internet.task import Clock, deferLater

from nizam.ops.leader import RENEW_SECONDS, Leader
from nizam.ops.scheduler import LOOK_SECONDS, Scheduler, Task, Turn
from nizam.store.pool import Pool
from nizam.store.system.leases import Lease
from nizam.store.system.scheduled_tasks import SCHEDULER_LEASE
from tests.store.conftest import acme, pool, rival, store

__all__ = ["acme", "pool", "rival", "store"]

reactor: Any = installed_reactor


async def until(holds: Callable[[], Any]) -> None:
    """Wait for what PostgreSQL is still asked about."""
    while not holds():
        await deferLater(reactor, 0.005)


@attrs.define
class Instance:
    """One instance with the scheduler role; its clock stands still unless `pass_time`."""

    pool: Pool
    name: str
    tasks: Sequence[Task] = ()
    clock: Clock = attrs.field(factory=Clock)
    leader: Leader = attrs.field(init=False)
    scheduler: Scheduler = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.leader = Leader(self.clock, self.pool, SCHEDULER_LEASE, self.name)
        self.scheduler = Scheduler(self.clock, self.pool, self.leader, self.tasks)

    @property
    def leads(self) -> bool:
        return self.leader.lease is not None

    async def start(self) -> Instance:
        self.leader.startService()
        await until(lambda: self._idle)
        self.scheduler.startService()
        await until(lambda: self._idle)
        return self

    async def stop(self) -> None:
        """Stop as the daemon does."""
        for service in (self.scheduler, self.leader):
            if service.running:
                await service.stopService()

    async def pass_time(self, seconds: float = RENEW_SECONDS) -> None:
        """Let time pass in steps of the loops, and what they begin come to its end."""
        for _ in range(round(seconds / LOOK_SECONDS)):
            self.clock.advance(LOOK_SECONDS)
            await until(lambda: self._idle)

    @property
    def _idle(self) -> bool:
        """Whether both loops wait for the clock."""
        loops = [it for it in (self.leader._loop, self.scheduler._loop) if it.running]
        return all(it.call is not None for it in loops)


def turn_of(pool: Pool, lease: Lease, seconds: float = 10.0) -> Turn:
    """A turn of an instance that leads."""
    return Turn(reactor, pool, lease, reactor.seconds() + seconds, lambda: True)


@pytest_twisted.async_yield_fixture
async def instances(pool: Pool) -> AsyncIterator[Callable[..., Instance]]:
    """Makes instances, which are stopped at the end of the test."""
    made: list[Instance] = []

    def make(name: str, *tasks: Task) -> Instance:
        made.append(Instance(pool, name, tasks))
        return made[-1]

    yield make
    for it in made:
        await it.stop()
