"""Events and CDRs in a real database: stored once, merged whichever source comes first."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import attrs
import psycopg2
import pytest
import pytest_twisted

from nizam.events.legs import Leg, leg_from_json_cdr
from nizam.store.pool import Pool, Transaction
from nizam.store.system.cdrs import write_legs
from nizam.store.system.events import write_events
from nizam.store.system.partitions import PARTITIONED, make_partitions
from tests import recordings
from tests.events.replaying import Replayed, feed, normaliser, recorded

JSON_CDR = "/freeswitch/cdr/json?"
_ENTRIES_READ = """
select sum(pg_stat_get_xact_tuples_returned(indexrelid)) from pg_index
where indrelid in (select relid from pg_partition_tree('call_events'))
"""


@pytest_twisted.async_yield_fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    """A pool on a migrated database."""
    from twisted.internet import reactor

    pool = Pool(reactor, database, 2, "test")
    await pool.start()
    yield pool
    await pool.stop()


def replayed(run: str) -> Replayed:
    return feed(normaliser(), recorded(f"{run}/esl/events-json-all"))


def cdr_legs(run: str) -> list[Leg]:
    import orjson

    return [
        leg_from_json_cdr(orjson.loads(request["body"]), "fs1")
        for request in recordings.http_requests(run)
        if request["path"].startswith(JSON_CDR)
    ]


async def store_legs(pool: Pool, legs: list[Leg]) -> None:
    await pool.transaction(lambda transaction: write_legs(transaction, legs), 20.0)


async def test_events_written_twice_are_stored_once(pool: Pool) -> None:
    events = replayed("calls").events
    first = await write_events(pool, events)
    second = await write_events(pool, events)
    assert (len(first.event_ids), len(second.event_ids)) == (len(events), 0)
    rows = await pool.query("select id from call_events")
    assert {row[0] for row in rows} == {event.id for event in events}


async def test_a_call_ends_once_even_when_two_sources_say_so(pool: Pool) -> None:
    ended = next(it for it in replayed("calls").events if it.type == "call.ended")
    await write_events(pool, [ended])
    again = attrs.evolve(ended, sequence=0)
    assert (await write_events(pool, [again])).event_ids == ()


async def test_what_a_call_has_once_is_looked_for_among_its_events_alone(pool: Pool) -> None:
    """Also in a month of which PostgreSQL has no statistics yet, as each one is when it begins."""
    ended = next(it for it in replayed("calls").events if it.type == "call.ended")
    others = [
        attrs.evolve(ended, call_id=uuid4(), sequence=number, data={}) for number in range(1000)
    ]
    await write_events(pool, others)

    async def entries_read(transaction: Transaction) -> int:
        before = await transaction.query(_ENTRIES_READ)
        await write_events(transaction, others[:10])
        return int((await transaction.query(_ENTRIES_READ))[0][0]) - int(before[0][0])

    # One for each, or a dead one more; never all of the day's.
    assert 10 <= await pool.transaction(entries_read) < 100


async def test_text_with_nul_is_stored_without_it(pool: Pool) -> None:
    event = attrs.evolve(replayed("calls").events[0], data={"phrase": "a\x00b"})
    await write_events(pool, [event])
    rows = await pool.query("select data->>'phrase' from call_events")
    assert rows == [("ab",)]


async def summaries(pool: Pool) -> dict[Any, tuple[Any, ...]]:
    rows = await pool.query(
        "select call_id, tenant_id, direction, from_number, to_number, started_at, answered_at,"
        " ended_at, duration_ms, billable_ms, result, hangup_cause, hangup_by, mos, source"
        " from cdrs"
    )
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize("order", ["events first", "CDRs first", "mixed in small batches"])
async def test_both_sources_make_the_same_cdrs_in_any_order(pool: Pool, order: str) -> None:
    from_events, from_cdrs = replayed("calls").legs, cdr_legs("calls")
    if order == "mixed in small batches":
        legs = [*from_events, *from_cdrs, *from_events[:20]]
        random.Random(4).shuffle(legs)
        for start in range(0, len(legs), 7):
            await store_legs(pool, legs[start : start + 7])
    else:
        batches = [from_events, from_cdrs]
        for batch in batches if order == "events first" else batches[::-1]:
            await store_legs(pool, batch)
    rows = await pool.query("select leg_id from cdr_legs")
    assert {row[0] for row in rows} == {leg.leg_id for leg in from_events}
    found = await summaries(pool)
    ended = replayed("calls").ended()
    assert found.keys() == ended.keys()
    for call_id, event in ended.items():
        shown = found[call_id]
        assert shown[-1] == "both"
        assert (shown[1], shown[7], shown[9], shown[10], shown[11]) == (
            event.data["direction"],
            event.data["duration_ms"],
            event.data["result"],
            event.data["hangup_cause"],
            event.data["hangup_by"],
        )


async def test_months_without_a_partition_lose_nothing(pool: Pool) -> None:
    """Rows of the default partition move when their month is made."""
    event = attrs.evolve(replayed("calls").events[0], occurred_at=datetime(2031, 5, 6, tzinfo=UTC))
    await write_events(pool, [event])
    assert await make_partitions(pool, 2, date(2031, 5, 1)) == 2 * len(PARTITIONED)
    assert await make_partitions(pool, 2, date(2031, 5, 1)) == 0
    assert await pool.query("select id from call_events_2031_05") == [(event.id,)]
    assert await write_events(pool, [event]) == await write_events(pool, [])


async def test_a_tenant_sees_its_own_events_and_no_others(database: str, pool: Pool) -> None:
    events = replayed("calls").events
    await write_events(pool, events)
    tenant_id = next(event.tenant_id for event in events if event.tenant_id)
    assert tenant_id is not None
    rows = await pool.tenant_query(tenant_id, "select distinct tenant_id from call_events")
    assert [str(row[0]) for row in rows] == [str(tenant_id)]
    with pytest.raises(psycopg2.Error):
        await pool.tenant_query(tenant_id, "delete from call_events")
