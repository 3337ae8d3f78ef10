"""The end of a call that nobody heard is told from its CDR, once, when it is known to be over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest
import pytest_twisted

from nizam.events.legs import Leg
from nizam.model.events import Event
from nizam.ops.leader import Leader
from nizam.ops.unheard import SOON_SECONDS, UnheardCalls
from nizam.store.pool import Pool
from nizam.store.system.cdrs import write_legs
from nizam.store.system.events import write_events
from tests.ops.conftest import Instance, turn_of
from tests.store.conftest import pool

__all__ = ["pool"]

ACME = UUID(int=7)
UP: Mapping[str, Any] = {"fs1": {"connected": True}}


@attrs.define
class Switchboard:
    """What the nodes have, and the task that looks at it."""

    pool: Pool
    lease: Any
    links: Mapping[str, Any] = attrs.field(factory=lambda: UP)
    live: set[UUID] = attrs.field(factory=set)

    async def look(self, seconds: float = SOON_SECONDS) -> list[tuple[str, UUID]]:
        """Give the task a turn; every end that is told by now."""
        task = UnheardCalls(lambda: self.links, lambda it: it in self.live, seconds)
        await task(turn_of(self.pool, self.lease))
        return [
            (row[0], row[1])
            for row in await self.pool.query(
                "select type, call_id from call_events order by type, call_id"
            )
        ]

    async def cdr(self, *, age: float = 60.0, **facts: Any) -> UUID:
        """A call of which so many seconds ago a CDR came."""
        call_id = uuid4()
        now = datetime.now(UTC)
        leg = Leg(
            leg_id=call_id,
            call_id=call_id,
            tenant_id=ACME,
            node="fs1",
            from_cdr=True,
            direction="inbound",
            context="public",
            started_at=now - timedelta(seconds=90),
            ended_at=now - timedelta(seconds=60),
            hangup_cause="NORMAL_CLEARING",
            caller_number="+4930123456",
        )
        await self.pool.transaction(lambda it: write_legs(it, [attrs.evolve(leg, **facts)]))
        await self.pool.execute(
            "update cdrs set created_at = now() - make_interval(secs => %s) where call_id = %s",
            (age, call_id),
        )
        return call_id


@pytest_twisted.async_yield_fixture
async def board(pool: Pool) -> AsyncIterator[Switchboard]:
    one = Instance(pool, "one")
    await one.start()
    assert isinstance(one.leader, Leader)
    yield Switchboard(pool, one.leader.lease)
    await one.stop()


async def test_an_end_that_was_not_heard_is_told_once(board: Switchboard, pool: Pool) -> None:
    answered = datetime.now(UTC) - timedelta(seconds=80)
    call_id = await board.cdr(answered_at=answered)
    for _ in range(2):
        assert await board.look() == [("call.ended", call_id)]
    ((tenant_id, node, leg_id, data, at, ended_at),) = await pool.query(
        "select e.tenant_id, e.node, leg_id, data, occurred_at, ended_at"
        " from call_events e join cdrs using (call_id)"
    )
    assert (tenant_id, node, leg_id, at) == (ACME, "fs1", call_id, ended_at)
    assert (data["reconciled"], data["result"], data["from"]) == (True, "answered", "+4930123456")
    assert data["billable_ms"] > 0


async def test_who_missed_such_a_call_is_told(board: Switchboard) -> None:
    call_id = await board.cdr(hangup_cause="ORIGINATOR_CANCEL")
    assert await board.look() == [("call.ended", call_id), ("call.missed", call_id)]


async def test_the_phone_that_the_api_rang_has_missed_nothing(board: Switchboard) -> None:
    call_id = await board.cdr(hangup_cause="NO_ANSWER", direction="outbound", context=None)
    assert await board.look() == [("call.ended", call_id)]


async def test_an_end_that_was_heard_is_not_told_again(board: Switchboard, pool: Pool) -> None:
    call_id = await board.cdr()
    heard = Event(
        type="call.ended",
        occurred_at=datetime.now(UTC) - timedelta(seconds=59),
        core_id="core",
        sequence=4711,
        call_id=call_id,
        tenant_id=ACME,
    )
    await pool.transaction(lambda it: write_events(it, [heard]))
    assert await board.look() == [("call.ended", call_id)]


@pytest.mark.parametrize(
    "why", ["it has just come", "the switch has the call", "the link is down", "no such node"]
)
async def test_what_may_not_be_over_is_left_alone(board: Switchboard, why: str) -> None:
    call_id = await board.cdr(age=5 if why == "it has just come" else 60)
    if why == "the switch has the call":
        board.live = {call_id}
    elif why == "the link is down":
        board.links = {"fs1": {"connected": False}}
    elif why == "no such node":
        board.links = {"fs2": {"connected": True}}
    assert await board.look() == []


async def test_a_cdr_that_came_long_ago_is_found_by_the_hourly_look(board: Switchboard) -> None:
    call_id = await board.cdr(age=20 * 3600)
    assert await board.look() == []
    assert await board.look(26 * 3600) == [("call.ended", call_id)]
