"""What is removed by age goes, slice by slice; what is young, or still needed, stays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from nizam.errors import DatabaseUnavailable
from nizam.model.identifiers import first_id_at, new_id
from nizam.store.pool import Pool, Transaction
from nizam.store.revisions import prune_revisions
from nizam.store.store import Store
from nizam.store.system import partitions, retention
from tests.store.conftest import WHO, Workshop

DAY = 24 * 3600


async def until_nothing(prune: Callable[[], Awaitable[int]]) -> list[int]:
    """What each call has removed, up to the one that removes nothing."""
    removed = [await prune()]
    while removed[-1]:
        removed.append(await prune())
    return removed


def id_of(days_ago: float) -> UUID:
    """An id that was made so many days ago."""
    past = first_id_at(datetime.fromtimestamp(datetime.now(UTC).timestamp() - days_ago * DAY, UTC))
    return UUID(int=past.int | new_id().int & (1 << 64) - 1)


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SLICE", 2)


async def test_the_feed_of_changes_loses_its_beginning(acme: Workshop, pool: Pool) -> None:
    for number in range(1001, 1006):
        await acme.create("extension", number=str(number), display_name="X")
    before = await pool.query("select id from changes order by id")
    old = [it for (it,) in before[:5]]
    await pool.execute(
        "update changes set changed_at = now() - interval '31 days' where id = any(%s)", (old,)
    )
    assert await until_nothing(partial(retention.prune_changes, pool, 30)) == [2, 2, 1, 0]
    assert await pool.query("select id from changes order by id") == before[5:]


async def test_idempotency_keys_go_after_24_hours(pool: Pool) -> None:
    for hours in (1, 23, 25, 26, 27):
        await pool.execute(
            "insert into idempotency_keys (owner, key, request_hash, created_at)"
            " values ('x', %s, 'h', now() - make_interval(hours => %s))",
            (str(hours), hours),
        )
    assert await until_nothing(partial(retention.prune_idempotency_keys, pool)) == [2, 1, 0]
    assert await pool.query("select key from idempotency_keys order by key") == [("1",), ("23",)]


@pytest.mark.parametrize(
    ("status", "days", "left"),
    [
        ("succeeded", 31, 0),
        ("dead", 31, 0),
        ("succeeded", 29, 1),
        ("pending", 400, 1),
        ("delivering", 400, 1),
    ],
)
async def test_webhook_deliveries_go_when_they_have_ended_for_long(
    pool: Pool, status: str, days: int, left: int
) -> None:
    identifier = id_of(days)
    await pool.execute(
        "insert into webhook_deliveries (id, event_id, event_occurred_at, event_type, webhook_id,"
        " tenant_id, status, updated_at) values (%(id)s, 'evt', now(), 'call.ended', %(id)s,"
        " %(id)s, %(status)s, now() - make_interval(days => %(days)s))",
        {"id": identifier, "status": status, "days": days},
    )
    await pool.execute(
        "insert into webhook_attempts (delivery_id, webhook_id, tenant_id, number, started_at,"
        " duration_ms) values (%(id)s, %(id)s, %(id)s, 1, now(), 5)",
        {"id": identifier},
    )
    await until_nothing(partial(retention.prune_deliveries, pool, 30))
    for table in ("webhook_deliveries", "webhook_attempts"):
        assert await pool.query(f"select count(*) from {table}") == [(left,)]  # noqa: S608


async def test_a_delivery_that_was_replayed_lately_stays(pool: Pool) -> None:
    await pool.execute(
        "insert into webhook_deliveries (id, event_id, event_occurred_at, event_type, webhook_id,"
        " tenant_id, status) values (%(id)s, 'evt', now(), 'call.ended', %(id)s, %(id)s, 'dead')",
        {"id": id_of(90)},
    )
    assert await retention.prune_deliveries(pool, 30) == 0


async def test_former_configurations_go_and_the_one_of_that_moment_stays(
    acme: Workshop, rival: Workshop, store: Store, pool: Pool
) -> None:
    made = await acme.create("extension", number="1001", display_name="0")
    for number in range(1, 6):
        await acme.change("extension", made.id, display_name=str(number))
    await pool.execute(
        "update revisions set created_at = now() - interval '400 days' where revision <= 5"
    )
    year_ago = await retention.days_ago(pool, 365)

    async def prune() -> int:
        return sum(await prune_revisions(pool, year_ago, most=2))

    removed = await until_nothing(prune)
    assert len(removed) > 3
    kept = await pool.query(
        "select revision from revisions where tenant_id = %s order by 1", (acme.tenant_id,)
    )
    assert kept == [(5,), (6,), (7,)]
    versions = await pool.query(
        "select revision, body ->> 'display_name' from resource_versions"
        " where resource_id = %s order by 1",
        (made.id,),
    )
    assert versions == [(5, "3"), (6, "4"), (7, "5")]
    assert await pool.query(
        "select count(*) from revisions where tenant_id = %s", (rival.tenant_id,)
    ) == [(1,)]
    await store.delete(made.resource, acme.tenant_id, made.id, WHO)


# -- months ---------------------------------------------------------------------------------------


async def months(pool: Pool, table: str) -> list[str]:
    rows = await pool.query(
        "select right(relname, 7) from pg_inherits join pg_class on oid = inhrelid"
        " where inhparent = %s::regclass and relname !~ 'default' order by 1",
        (table,),
    )
    return [it for (it,) in rows]


async def add_month(pool: Pool, ago: str) -> str:
    """A month in the past; its name."""
    ((month,),) = await pool.query(
        "select date_trunc('month', (now() at time zone 'UTC') - %s::interval)::date", (ago,)
    )
    await partitions.make_partitions(pool, 1, month)
    return f"{month:%Y_%m}"


async def drop(pool: Pool, table: str, days: int) -> int | None:
    async def work(transaction: Transaction) -> int | None:
        return await partitions.drop_oldest_partition(transaction, table, days)

    return await pool.transaction(work)


@pytest.mark.parametrize("table", partitions.PARTITIONED)
async def test_a_month_goes_when_all_of_it_is_old_enough(pool: Pool, table: str) -> None:
    present = await months(pool, table)
    oldest, old = await add_month(pool, "5 years"), await add_month(pool, "4 years")
    assert await months(pool, table) == [oldest, old, *present]
    assert await drop(pool, table, 6 * 365) is None
    assert await drop(pool, table, 3 * 365) is not None
    assert await months(pool, table) == [old, *present]
    assert await drop(pool, table, 3 * 365) is not None
    assert await drop(pool, table, 3 * 365) is None
    assert await months(pool, table) == present


async def test_this_month_never_goes(pool: Pool) -> None:
    while await drop(pool, "call_events", 1) is not None:
        pass
    (now,) = (await pool.query("select to_char(now() at time zone 'UTC', 'YYYY_MM')"))[0]
    assert now in await months(pool, "call_events")


async def test_a_month_that_is_in_use_is_dropped_another_time(pool: Pool) -> None:
    await add_month(pool, "5 years")
    waited: list[Any] = []

    async def use(transaction: Transaction) -> None:
        await transaction.query("select count(*) from call_events")
        with pytest.raises(DatabaseUnavailable):
            await drop(pool, "call_events", 365)
        waited.append(True)

    await pool.transaction(use)
    assert waited
    assert await drop(pool, "call_events", 365) is not None


async def test_rows_without_a_month_go_by_their_age(pool: Pool) -> None:
    for years in (3, 4, 5, 0):
        await pool.execute(
            "insert into call_events"
            " (occurred_at, core_id, sequence, type, id, data, position) values"
            " (now() - make_interval(years => %(years)s), 'c', %(years)s, 't', %(years)s, '{}', 1)",
            {"years": years},
        )
    prune = partial(partitions.prune_default_partition, pool, "call_events", 365, 2)
    assert await until_nothing(prune) == [2, 1, 0]
    assert await pool.query("select id from call_events") == [("0",)]


async def test_months_are_made_ahead(pool: Pool) -> None:
    await partitions.make_partitions(pool)
    for table in partitions.PARTITIONED:
        last = (await months(pool, table))[-1]
        ((wanted,),) = await pool.query(
            "select to_char((now() at time zone 'UTC') + interval '2 months', 'YYYY_MM')"
        )
        assert last >= wanted


async def test_a_tenant_can_keep_its_calls_for_fewer_days_than_everybody(
    acme: Workshop, rival: Workshop, pool: Pool
) -> None:
    await pool.execute(
        """update tenants set body = body || '{"cdr_retention_days": 30}' where id = %s""",
        (acme.tenant_id,),
    )
    for tenant, days in ((acme, 29), (acme, 31), (acme, 32), (acme, 33), (rival, 90)):
        await pool.execute(
            """
            with call as (
                insert into cdrs (call_id, started_at, tenant_id, direction, duration_ms,
                    billable_ms, result, hangup_by, source)
                values (gen_random_uuid(), now() - make_interval(days => %(days)s), %(tenant)s,
                    'internal', 0, 0, 'answered', 'caller', 'cdr')
                returning *
            ), leg as (
                insert into cdr_legs (leg_id, started_at, call_id, call_known, tenant_id,
                    from_events, from_cdr, reconciled)
                select call_id, started_at, call_id, true, tenant_id, false, true, false from call
            )
            insert into call_decisions (decided_at, channel_id, question, tenant_id, call_id, node,
                document)
            select started_at, call_id, 'q', tenant_id, call_id, 'fs1', '{}' from call
            """,
            {"days": days, "tenant": tenant.tenant_id},
        )
    assert await until_nothing(partial(retention.prune_cdrs_of_tenants, pool)) == [2, 1, 0]
    for table in ("cdrs", "cdr_legs", "call_decisions"):
        left = await pool.query(f"select tenant_id from {table}")  # noqa: S608
        assert {it for (it,) in left} == {acme.tenant_id, rival.tenant_id}
        assert len(left) == 2
