"""One of two processes stores what a node says; whatever happens to it, nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from nizam.errors import KeyValueUnavailable
from nizam.esl.event import SwitchEvent
from nizam.model.events import Event
from nizam.store.pool import Pool
from nizam.store.system.leases import Lease, fence, lost, take_lease
from nizam.switch.batch import Batch, decode
from nizam.switch.node_intake import (
    BEHIND_SECONDS,
    LEASE_SECONDS,
    LOOK_SECONDS,
    SETTLE_SECONDS,
    UNKNOWN_SECONDS,
    Hands,
    NodeIntake,
)
from nizam.switch.node_intakes import NodeIntakes
from tests.ops.conftest import pool, until

__all__ = ["pool"]

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
TICK_SECONDS = 0.25


@attrs.define
class Process:
    """One process on a clock of its own; `written` is what it stores, `left` what it has put into
    Redis for others."""

    pool: Pool
    name: str
    clock: Clock = attrs.field(factory=Clock)
    written: list[int] = attrs.field(factory=list)
    told: list[str] = attrs.field(factory=list)
    gaps: list[tuple[str, str]] = attrs.field(factory=list)
    left: list[int] = attrs.field(factory=list)
    redis_away: bool = False
    node: NodeIntake = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        async def durable() -> None:
            return

        async def leave(document: bytes) -> None:
            if self.redis_away:
                raise KeyValueUnavailable("away")
            self.left += [it.sequence for it in decode(document).events]

        def write(batch: Batch) -> None:
            self.written += [it.sequence for it in batch.events]

        def tell(kind: str, _node: str, data: Mapping[str, Any]) -> None:
            self.told.append(kind)
            if kind == "node.gap":
                self.gaps.append((data["from"], data["to"]))

        hands = Hands(write, tell, durable, lambda _node: (), leave)
        self.node = NodeIntake(self.clock, "fs1", hands, None, self.now, self.pool, self.name)

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.clock.seconds())

    def hear(self, *numbers: int) -> None:
        for number in numbers:
            names = {"Core-UUID": "core", "Event-Sequence": str(number)}
            self.node.heard(SwitchEvent("CHANNEL_HOLD", names), self.now(), self.clock.seconds())
            self.node.take(Batch([event_of(self, number)]))

    async def pass_time(self, seconds: float = LOOK_SECONDS) -> None:
        """Let time pass, and what PostgreSQL is asked meanwhile be answered."""
        for _ in range(round(seconds / TICK_SECONDS)):
            self.clock.advance(TICK_SECONDS)
            await until(lambda: self._idle)
            self.node.tick(1)
            await until(lambda: not self.node._working)

    @property
    def _idle(self) -> bool:
        keeper = self.node._keeper
        if keeper is not None and keeper._loop.running and keeper._loop.call is None:
            return False
        # What is handed on gives others a turn, by this clock.
        self.clock.advance(0)
        return "hand on" not in self.node._working


@pytest_twisted.async_yield_fixture
async def processes(pool: Pool) -> AsyncIterator[Callable[..., Any]]:
    """Makes processes, which listen from the start."""
    made: list[Process] = []

    async def make(name: str, *, listens: bool = True) -> Process:
        made.append(it := Process(pool, name))
        if listens:
            it.node.link_up()
        await it.pass_time()
        return it

    yield make
    for it in made:
        await it.node.stop()


async def dies(process: Process, pool: Pool) -> None:
    """It is heard of no more, and its lease ends; PostgreSQL's clock is not ours."""
    await pool.execute("update leases set expires_at = now()")


async def both(one: Process, two: Process, seconds: float) -> None:
    for _ in range(round(seconds / LOOK_SECONDS)):
        await one.pass_time()
        await two.pass_time()


Make = Callable[..., Any]


async def test_one_stores_and_the_other_keeps_only_what_may_not_be_stored_yet(
    processes: Make,
) -> None:
    one, two = await processes("one"), await processes("two")
    assert (one.node.active, two.node.active, two.node.stands_by) == (True, False, True)
    for it in (one, two):
        it.hear(1, 2, 3)
    assert (one.written, two.written, len(two.node.kept)) == ([1, 2, 3], [], 3)
    await both(one, two, 2 * SETTLE_SECONDS + LOOK_SECONDS)
    assert len(two.node.kept) == 0
    for it in (one, two):
        it.hear(4)
    await both(one, two, LOOK_SECONDS)
    assert len(two.node.kept) == 1


async def test_when_the_active_one_dies_the_other_stores_what_it_kept_and_nothing_is_missing(
    processes: Make, pool: Pool
) -> None:
    one, two = await processes("one"), await processes("two")
    for it in (one, two):
        it.hear(1, 2)
    await both(one, two, 2 * SETTLE_SECONDS + LOOK_SECONDS)
    for it in (one, two):
        it.hear(3, 4)
    await dies(one, pool)
    await two.pass_time()
    assert two.node.active
    assert two.written == [3, 4]
    two.hear(5)
    assert two.written == [3, 4, 5]
    # The node was heard all the time.
    assert (one.told, two.told) == (["node.up"], [])


async def test_takeover_is_within_five_seconds_by_the_times_that_are_set() -> None:
    assert LEASE_SECONDS + LOOK_SECONDS + BEHIND_SECONDS < 5


async def test_a_clean_stop_hands_over_at_the_next_look(processes: Make) -> None:
    one, two = await processes("one"), await processes("two")
    for it in (one, two):
        it.hear(1, 2)
    await one.node.stop()
    await two.pass_time(LOOK_SECONDS)
    assert two.node.active
    # Everything was durable before it stopped, and it said so.
    assert (two.written, two.told) == ([], [])


async def test_who_loses_its_link_lets_the_other_go_on(processes: Make) -> None:
    one, two = await processes("one"), await processes("two")
    for it in (one, two):
        it.hear(1, 2)
    await both(one, two, 2 * SETTLE_SECONDS + LOOK_SECONDS)
    one.node.link_down("gone")
    two.hear(3)
    await one.pass_time()
    await two.pass_time()
    assert (one.node.active, two.node.active) == (False, True)
    assert (two.written, one.told, two.told) == ([3], ["node.up", "node.down"], ["node.up"])
    # It does not come back for it.
    one.node.link_up()
    await one.pass_time(2.0)
    assert not one.node.active


async def test_what_nobody_heard_is_told(processes: Make, pool: Pool) -> None:
    one = await processes("one")
    one.hear(1)
    await one.pass_time(2 * SETTLE_SECONDS)
    await dies(one, pool)
    later = await processes("two", listens=False)
    later.clock.advance(20)
    later.node.link_up()
    assert not later.node.active
    await later.pass_time(BEHIND_SECONDS + LOOK_SECONDS)
    assert later.node.active
    assert later.told == ["node.gap"]
    [(begin, end)] = later.gaps
    # From what was durable, less what may have come in another order, to when it listened.
    assert begin == "2026-11-29T12:00:00.400000Z"
    assert end == "2026-11-29T12:00:20.500000Z"


async def test_who_has_not_heard_everything_lets_the_others_take_the_lease_first(
    processes: Make, pool: Pool
) -> None:
    one, two = await processes("one"), await processes("two")
    for it in (one, two):
        it.hear(1)
    await both(one, two, 2 * SETTLE_SECONDS)
    await dies(one, pool)
    late = Process(pool, "late")
    late.clock.advance(30)
    late.node.link_up()
    await late.pass_time(LOOK_SECONDS)
    await two.pass_time(LOOK_SECONDS)
    await late.pass_time(2 * BEHIND_SECONDS)
    assert (late.node.active, two.node.active) == (False, True)
    await late.node.stop()


async def test_what_is_kept_goes_to_whoever_takes_the_lease_without_having_heard_it(
    processes: Make, pool: Pool
) -> None:
    one, two = await processes("one"), await processes("two")
    await both(one, two, 2 * SETTLE_SECONDS)
    for it in (one, two):
        it.hear(1, 2)
    await take_by_force(pool, "three")
    await two.pass_time(2.0)
    assert two.left == [1, 2]
    assert len(two.node.kept) == 0


async def take_by_force(pool: Pool, holder: str) -> Lease:
    await pool.execute("update leases set expires_at = now()")
    lease = await take_lease(pool, "intake:fs1", holder, 60.0)
    assert lease is not None
    return lease


async def test_who_was_taken_for_dead_changes_no_row_and_keeps_what_it_was_refused(
    processes: Make, pool: Pool
) -> None:
    one = await processes("one")
    former = one.node.lease
    assert former is not None
    await pool.execute("create table written (number int)")
    await take_by_force(pool, "two")
    nodes = NodeIntakes(lambda _node: one.node)
    nodes.of_node("fs1")

    async def write(transaction: Any) -> None:
        await transaction.query("insert into written values (1) returning number")
        fence(transaction, nodes.held())

    with pytest.raises(Exception, match="held by somebody else") as raised:
        await pool.transaction(write)
    refused = lost(raised.value)
    assert refused is not None
    assert refused.names == ("intake:fs1",)
    assert await pool.query("select number from written") == []
    nodes.lost(refused.names)
    assert nodes.is_anothers("fs1")
    nodes.give_back(Batch([event_of(one, 7)], node="fs1"))
    assert len(one.node.kept) == 1
    await one.pass_time()
    assert (one.node.stands_by, nodes.drains) == (True, False)


def event_of(process: Process, number: int) -> Event:
    return Event(
        type="call.held", occurred_at=process.now(), core_id="core", sequence=number, node="fs1"
    )


async def test_a_fence_holds_the_lease_up_only_until_the_commit_that_it_goes_with(
    processes: Make, pool: Pool
) -> None:
    """A process that hangs amid its transaction keeps nobody from taking the lease."""
    one = await processes("one")
    hanging: Deferred[None] = Deferred()
    taken: list[Lease] = []

    async def write(transaction: Any) -> None:
        await transaction.query("select 1")
        taken.append(await take_by_force(pool, "two"))
        hanging.callback(None)
        fence(transaction, [one.node.lease])

    with pytest.raises(Exception, match="held by somebody else"):
        await pool.transaction(write)
    assert hanging.called
    assert taken[0].holder == "two"


async def test_while_nobody_is_known_to_be_active_what_is_heard_goes_to_redis(
    processes: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with PostgreSQL away since before the process started."""
    one = await processes("one", listens=False)
    keeper = one.node._keeper
    assert keeper is not None

    async def away() -> None:
        one.node._look()

    monkeypatch.setattr(keeper, "_turn", away)
    one.node.link_up()
    one.hear(1, 2)
    await one.pass_time(UNKNOWN_SECONDS + 2 * TICK_SECONDS)
    assert (one.node.active, one.left) == (False, [1, 2])


async def test_the_active_one_stays_so_while_postgresql_does_not_answer(
    processes: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await processes("one")

    async def away(*_arguments: Any, **_more: Any) -> None:
        from nizam.errors import DatabaseUnavailable

        raise DatabaseUnavailable("away")

    monkeypatch.setattr("nizam.store.lease_keeper.take_lease", away)
    await one.pass_time(2 * LEASE_SECONDS)
    one.hear(1)
    assert (one.node.active, one.written) == (True, [1])


@pytest.mark.parametrize("redis_away", [False, True])
async def test_what_is_kept_is_bounded_and_the_oldest_goes_to_redis_or_is_told_missing(
    processes: Make, pool: Pool, monkeypatch: pytest.MonkeyPatch, redis_away: bool
) -> None:
    monkeypatch.setattr("nizam.switch.node_intake.KEPT_BYTES", 300)
    one, two = await processes("one"), await processes("two")
    await both(one, two, 2 * SETTLE_SECONDS)
    two.redis_away = redis_away
    for number in (1, 2, 3):
        two.hear(number)
        await two.pass_time()
    assert two.node.kept.bytes <= 300
    assert two.left == ([] if redis_away else [1, 2])
    await dies(one, pool)
    await two.pass_time()
    assert two.written == [3]
    assert len(two.gaps) == int(redis_away)


async def test_without_leases_a_process_stores_at_once(pool: Pool) -> None:
    it = Process(pool, "only")
    await it.node.stop()
    alone = NodeIntake(it.clock, "fs1", it.node._hands, None, it.now)
    it.node = alone
    alone.link_up()
    it.hear(1)
    assert (it.written, it.told, alone.active) == ([1], ["node.up"], True)
