"""The ledger comes to what the summaries of calls say, whatever comes late, and only grows."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import attrs
import psycopg2
import pytest

from nizam.events.legs import Leg
from nizam.store.pool import Pool
from nizam.store.system import usage
from nizam.store.system.cdrs import write_legs
from nizam.store.system.partitions import make_partitions
from tests.store.conftest import Workshop, acme, pool, rival, store
from tests.store.test_event_tables import cdr_legs, replayed

__all__ = ["acme", "pool", "rival", "store"]

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
_LEDGER = """
select call_id, tenant_id, direction, country, gateway, sum(calls), sum(duration_ms),
    sum(billable_ms) from usage_entries where kind = 'call' group by 1, 2, 3, 4, 5
having sum(calls) <> 0 order by call_id
"""
_CDRS = """
select call_id, tenant_id, direction, country, gateway, 1, duration_ms, billable_ms
from cdrs where tenant_id is not null order by call_id
"""


async def stored(pool: Pool, *legs: Leg) -> None:
    await pool.transaction(lambda transaction: write_legs(transaction, legs), 20.0)


async def rows(pool: Pool) -> int:
    ((count,),) = await pool.query("select count(*) from usage_entries")
    return int(count)


def leg(tenant_id: UUID | None, seconds: int = 60, **more: Any) -> Leg:
    """The first leg of a call that was answered at once."""
    leg_id = uuid4()
    facts: dict[str, Any] = {
        "call_id": leg_id,
        "direction": "inbound",
        "extension_id": UUID(int=1),
        "answered_at": AT,
        "ended_at": AT + timedelta(seconds=seconds),
        "hangup_cause": "NORMAL_CLEARING",
        "from_events": True,
    }
    return Leg(leg_id=leg_id, started_at=AT, tenant_id=tenant_id, **(facts | more))


@pytest.mark.parametrize("order", ["events first", "CDRs first", "mixed in small batches"])
async def test_the_ledger_agrees_with_the_cdrs_in_whatever_order_legs_come(
    pool: Pool, order: str
) -> None:
    legs = [*replayed("calls").legs, *cdr_legs("calls")]
    if order == "CDRs first":
        legs.reverse()
    elif order != "events first":
        random.Random(7).shuffle(legs)
    for start in range(0, len(legs), 9):
        await stored(pool, *legs[start : start + 9])
    booked = await pool.query(_LEDGER)
    assert booked == await pool.query(_CDRS)
    assert len(booked) > 20
    before = await rows(pool)
    await stored(pool, *legs)
    assert await rows(pool) == before


async def test_what_comes_late_is_added_as_a_difference(pool: Pool) -> None:
    first = leg(UUID(int=7))
    await stored(pool, first)
    await stored(pool, attrs.evolve(first, ended_at=AT + timedelta(seconds=90), from_cdr=True))
    found = await pool.query("select calls, billable_ms from usage_entries order by recorded_at")
    assert found == [(1, 60_000), (0, 30_000)]


async def test_what_a_call_turns_out_to_be_is_booked_there_and_taken_back_here(pool: Pool) -> None:
    first = leg(UUID(int=7))
    await stored(pool, first)
    out = Leg(
        leg_id=uuid4(),
        started_at=AT,
        call_id=first.call_id,
        tenant_id=UUID(int=7),
        direction="outbound",
        gateway="trunk",
        from_events=True,
    )
    await stored(pool, out, attrs.evolve(first, destination="+4930123456", from_cdr=True))
    found = await pool.query(
        "select direction, country, gateway, sum(calls)::int, sum(billable_ms)::int"
        " from usage_entries group by 1, 2, 3 order by 1"
    )
    assert found == [("internal", None, None, 0, 0), ("outbound", "DE", "trunk", 1, 60_000)]


async def test_a_call_is_booked_once_its_tenant_is_known(pool: Pool) -> None:
    first = leg(None)
    await stored(pool, first)
    assert await rows(pool) == 0
    await stored(pool, attrs.evolve(first, tenant_id=UUID(int=7), from_cdr=True))
    assert [row[1:3] for row in await pool.query(_LEDGER)] == [(UUID(int=7), "internal")]


async def test_a_leg_that_was_taken_for_a_call_is_taken_back(pool: Pool) -> None:
    first = leg(UUID(int=7))
    second = attrs.evolve(leg(UUID(int=7)), call_id=None, direction="outbound")
    await stored(pool, attrs.evolve(second, call_id=second.leg_id))
    await stored(pool, first, attrs.evolve(second, call_id=first.leg_id, from_cdr=True))
    assert [row[0] for row in await pool.query(_LEDGER)] == [first.leg_id]
    assert await pool.query(_LEDGER) == await pool.query(_CDRS)


@pytest.mark.parametrize(
    "change",
    [
        "update usage_entries set billable_ms = 0",
        "delete from usage_entries",
        "truncate usage_entries",
    ],
)
async def test_the_database_refuses_to_change_the_ledger(pool: Pool, change: str) -> None:
    await stored(pool, leg(UUID(int=7)))
    with pytest.raises(psycopg2.errors.RestrictViolation, match="never changed or removed"):
        await pool.execute(change)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        await pool.tenant_query(UUID(int=7), change)
    assert await rows(pool) == 1


async def test_rows_move_into_the_partition_of_their_month(pool: Pool) -> None:
    await pool.execute(
        "insert into usage_entries (at, tenant_id, kind, quantity)"
        " values ('2031-05-06Z', %s, 'peak_calls', 3)",
        (UUID(int=7),),
    )
    await make_partitions(pool, 1, datetime(2031, 5, 1, tzinfo=UTC).date())
    assert await pool.query("select quantity from usage_entries_2031_05") == [(3,)]
    with pytest.raises(psycopg2.errors.RestrictViolation):
        await pool.execute("delete from usage_entries_2031_05")


# -- what is sampled ------------------------------------------------------------------------------

_CALL = """
insert into cdrs (call_id, started_at, ended_at, tenant_id, direction, duration_ms, billable_ms,
    result, hangup_by, source)
select gen_random_uuid(), hour + %s * interval '1 minute', hour + %s * interval '1 minute', %s,
    'internal', 0, 0, 'answered', 'caller', 'events'
from (select date_trunc('hour', now()) - interval '3 hours' as hour) it
"""
_PEAKS = """
select (extract(epoch from at - date_trunc('hour', now())) / 3600)::int, sum(quantity)::int
from usage_entries where kind = 'peak_calls' and tenant_id = %s group by 1
having sum(quantity) <> 0 order by 1
"""


async def test_the_most_calls_at_once_of_each_hour(acme: Workshop, pool: Pool) -> None:
    mine = acme.tenant_id
    # (from, to) in minutes; the second begins as the first ends, the last goes on for two hours.
    for began, ended in ((5, 10), (10, 20), (15, 30), (50, 65), (55, 170)):
        await pool.execute(_CALL, (began, ended, mine))
    assert await usage.book_peaks(pool, mine, 26) == 3
    assert await pool.query(_PEAKS, (mine,)) == [(-3, 2), (-2, 2), (-1, 1)]
    assert await usage.book_peaks(pool, mine, 26) == 0
    # One that came late adds to what is booked.
    await pool.execute(_CALL, (16, 61, mine))
    assert await usage.book_peaks(pool, mine, 26) == 2
    assert await pool.query(_PEAKS, (mine,)) == [(-3, 3), (-2, 3), (-1, 1)]


async def test_samples_are_booked_once(acme: Workshop, rival: Workshop, pool: Pool) -> None:
    await acme.create("prompt", name="Welcome")
    await pool.execute("""update prompts set body = body || '{"audio": {"bytes": 3000000000}}'""")
    assert [await usage.book_storage(pool) for _ in range(2)] == [1, 0]
    counts = {acme.tenant_id: 3, rival.tenant_id: 0, UUID(int=9): 5}
    assert [await usage.book_devices(pool, counts) for _ in range(2)] == [1, 0]
    found = await pool.query("select tenant_id, kind, quantity from usage_entries order by kind")
    assert found == [
        (acme.tenant_id, "registered_devices", 3),
        (acme.tenant_id, "storage_bytes", 3_000_000_000),
    ]
