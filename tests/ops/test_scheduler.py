"""Tasks get their turns on the instance that leads, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from nizam.errors import MediaUnavailable
from nizam.ops.health import State
from nizam.ops.scheduler import (
    HUNG_SECONDS,
    LEADERLESS_SECONDS,
    TURN_SECONDS,
    Outcome,
    Task,
    Turn,
)
from nizam.store.pool import Pool
from nizam.store.system.scheduled_tasks import REQUEST, TaskState, task_states
from tests.ops.conftest import Instance, until

Instances = Callable[..., Instance]


class Counter:
    """A task that counts its turns and does as `outcomes` say, one after another."""

    def __init__(self, *outcomes: Outcome | Exception) -> None:
        self.turns: list[Turn] = []
        self._outcomes = list(outcomes)

    async def __call__(self, turn: Turn) -> Outcome:
        self.turns.append(turn)
        outcome = self._outcomes.pop(0) if self._outcomes else Outcome()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def states(pool: Pool) -> dict[str, TaskState]:
    return {it.name: it for it in await task_states(pool)}


async def make_due(pool: Pool) -> None:
    await pool.execute("update scheduled_tasks set next_at = now() - interval '1 second'")


async def test_a_task_is_run_on_the_leader_when_it_is_due_and_not_before(
    instances: Instances, pool: Pool
) -> None:
    mine, others = Counter(Outcome(removed=3)), Counter()
    one = await instances("one", Task("tidy", 3600, mine)).start()
    two = await instances("two", Task("tidy", 3600, others)).start()
    await one.pass_time(5)
    await two.pass_time(5)
    assert (len(mine.turns), len(others.turns)) == (1, 0)
    found = (await states(pool))["tidy"]
    assert (found.removed, found.error, found.due, found.late) == (3, None, False, False)
    assert found.succeeded_at is not None
    assert 3590 < (found.next_at - found.succeeded_at).total_seconds() <= 3600
    await make_due(pool)
    await one.pass_time(2)
    assert (len(mine.turns), len(others.turns)) == (2, 0)


async def test_the_next_leader_knows_what_was_done(instances: Instances, pool: Pool) -> None:
    mine, others = Counter(), Counter()
    one = await instances("one", Task("tidy", 3600, mine)).start()
    two = await instances("two", Task("tidy", 3600, others)).start()
    await one.stop()
    await two.pass_time(4)
    assert two.leads
    assert (len(mine.turns), len(others.turns)) == (1, 0)
    await make_due(pool)
    await two.pass_time(2)
    assert len(others.turns) == 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MediaUnavailable("no disk"), "media_unavailable: no disk"),
        (ValueError("row of somebody"), "ValueError; the log says more"),
    ],
)
async def test_a_task_that_fails_is_tried_again_and_keeps_no_other_from_its_turn(
    instances: Instances, pool: Pool, error: Exception, told: str
) -> None:
    bad, good = Counter(error), Counter()
    one = await instances("one", Task("bad", 3600, bad), Task("good", 3600, good)).start()
    assert (len(bad.turns), len(good.turns)) == (1, 1)
    found = (await states(pool))["bad"]
    assert (found.error, found.succeeded_at) == (told, None)
    assert found.ended_at is not None
    assert (found.next_at - found.ended_at).total_seconds() <= 60
    await make_due(pool)
    await one.pass_time(2)
    assert (await states(pool))["bad"].error is None


async def test_what_is_not_done_in_one_turn_goes_on_in_the_next_after_the_others(
    instances: Instances, pool: Pool
) -> None:
    long = Counter(Outcome(1, more=True), Outcome(1, more=True), Outcome(1))
    short = Counter()
    one = await instances("one", Task("long", 3600, long), Task("short", 3600, short)).start()
    await one.pass_time(4)
    assert (len(long.turns), len(short.turns)) == (3, 1)
    assert (await states(pool))["long"].due is False


async def test_a_turn_is_over_after_its_time_and_when_the_instance_no_longer_leads(
    instances: Instances,
) -> None:
    task = Counter()
    one = await instances("one", Task("tidy", 3600, task)).start()
    (turn,) = task.turns
    over = [turn.over]
    one.clock.advance(TURN_SECONDS)
    over.append(turn.over)
    turn.until = 1e9
    assert [*over, one.leads, turn.over] == [False, True, False, True]


async def test_a_slice_is_repeated_until_nothing_is_left_or_the_time_is_over(
    instances: Instances,
) -> None:
    task = Counter()
    one = await instances("one", Task("tidy", 3600, task)).start()
    (turn,) = task.turns
    left = [5, 5, 2, 0, 9]

    async def slice_() -> int:
        return left.pop(0)

    assert await turn.repeat(slice_) == Outcome(12)
    one.clock.advance(TURN_SECONDS)
    assert await turn.repeat(slice_) == Outcome(0, more=True)
    assert left == [9]


async def test_a_task_that_hangs_is_left_alone_until_it_ends(
    instances: Instances, pool: Pool
) -> None:
    hanging: Deferred[Any] = Deferred()
    begun: list[Turn] = []
    good = Counter()

    async def hang(turn: Turn) -> Outcome:
        begun.append(turn)
        await hanging
        return Outcome()

    one = instances("one", Task("a hanging", 3600, hang), Task("good", 3600, good))
    one.leader.startService()
    await until(lambda: one.leads)
    one.scheduler.startService()
    await until(lambda: begun)
    one.clock.pump([1.0] * int(HUNG_SECONDS))
    await one.pass_time(6)
    await make_due(pool)
    await one.pass_time(3)
    assert len(begun) == 1
    assert good.turns
    error = (await states(pool))["a hanging"].error
    assert error == f"has not ended after {HUNG_SECONDS:g} s"
    hanging.callback(None)
    await make_due(pool)
    await one.pass_time(2)
    assert len(begun) == 2


async def test_a_run_that_was_asked_for_comes_at_once(instances: Instances, pool: Pool) -> None:
    task = Counter(Outcome(), Outcome(2, more=True), Outcome(1))
    one = await instances("one", Task("tidy", 3600, task)).start()
    await pool.query(REQUEST, ("tidy",))
    await one.pass_time(1)
    assert len(task.turns) == 2
    assert (await states(pool))["tidy"].requested_at is not None
    await one.pass_time(1)
    assert len(task.turns) == 3
    assert (await states(pool))["tidy"].requested_at is None


async def test_health_says_what_is_late_and_when_nobody_leads(
    instances: Instances, pool: Pool
) -> None:
    one = await instances("one", Task("tidy", 3600, Counter())).start()
    assert one.scheduler.finding().state is State.OK
    assert one.scheduler.finding().facts == {"leading": True, "late": []}
    await pool.execute(
        "update scheduled_tasks set succeeded_at = now() - interval '8000 seconds',"
        " next_at = now() + interval '1 hour'"
    )
    await one.pass_time(1)
    assert one.scheduler.finding().state is State.DEGRADED
    assert one.scheduler.finding().facts["late"] == ["tidy"]
    await pool.execute("update scheduled_tasks set succeeded_at = now()")

    two = await instances("two", Task("tidy", 3600, Counter())).start()
    assert two.scheduler.finding().facts == {"leading": False, "late": []}
    await one.stop()
    await two.leader.stopService()
    await two.pass_time(LEADERLESS_SECONDS)
    assert two.scheduler.finding().state is State.DEGRADED


async def test_tasks_that_are_no_more_are_forgotten(instances: Instances, pool: Pool) -> None:
    one = await instances("one", Task("old", 3600, Counter())).start()
    await one.stop()
    await instances("two", Task("new", 3600, Counter())).start()
    assert set(await states(pool)) == {"new"}
