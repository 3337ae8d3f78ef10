"""Every list of the API finds its page by an index, in each order and by each filter."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psycopg2
import pytest

from nizam.store.migrate import upgrade
from tests.servers import Primary
from tests.store.large import fill
from tests.store.list_plans import lists, plan_of, queries_of

pytestmark = pytest.mark.time_limit(60)


def test_there_is_an_index_for_every_order_and_filter_of_every_list(database: str) -> None:
    """Whatever else there is is forbidden: what is used although it is has no index."""
    whole: list[str] = []
    connection = psycopg2.connect(database)
    with connection.cursor() as cursor:
        cursor.execute(
            "set enable_seqscan = off; set enable_sort = off; set enable_bitmapscan = off"
        )
        cursor.execute("commit")
        for it in lists():
            for query in queries_of(it, "2026-11-15T00:00:00Z"):
                plan = plan_of(cursor, query, run=False)
                if it.name == "registration-events":
                    # The index that holds nothing else; by any other all events are looked through.
                    assert all("tenant_id_occurred_at_id_idx" in i for i in plan.indexes), (
                        query.what
                    )
                allowed = "Sort" if it.bounded else "nothing"
                whole += [f"{query.what}: {i}" for i in plan.whole if not i.startswith(allowed)]
    connection.close()
    assert not whole, "\n".join(whole)


def test_a_range_of_times_looks_into_its_months_alone(database: str) -> None:
    fill(database, 400)
    connection = psycopg2.connect(database)
    with connection.cursor() as cursor:
        found = {it.name: it for it in lists()}
        for name, table in (("cdrs", "cdrs"), ("call-events", "call_events")):
            by = found[name].sort.removeprefix("-")
            (ranged,) = (
                it
                for it in queries_of(found[name], "2026-05-10T00:00:00Z")
                if it.what.endswith(f"where {by}")
            )
            plan = plan_of(cursor, ranged, run=True)
            assert plan.partitions - {"recordings"} == {f"{table}_2026_05"}
    connection.close()


def test_every_month_is_vacuumed_as_its_table_is_used(database: str) -> None:
    fill(database, 10)
    connection = psycopg2.connect(database)
    with connection.cursor() as cursor:
        cursor.execute(
            "select i.inhparent::regclass::text, c.reloptions from pg_inherits i "
            "join pg_class c on c.oid = i.inhrelid and c.relkind = 'r' "
            "where i.inhparent in ('cdrs'::regclass, 'call_events'::regclass)"
        )
        found = cursor.fetchall()
    connection.close()
    assert len(found) > 20
    for table, options in found:
        assert "autovacuum_vacuum_insert_scale_factor=0.01" in options, table
        assert ("fillfactor=90" in options) == (table == "cdrs")


ROWS = int(os.environ.get("NIZAM_TEST_ROWS", "10_000_000"))
"""How many calls, and as many events, the rehearsal is made with."""


@pytest.mark.rehearsal
@pytest.mark.time_limit(7200)
def test_every_list_is_read_by_its_index_at_10_million_rows(server_folder: Path) -> None:
    with Primary(
        server_folder / "large",
        options=["shared_buffers=512MB", "max_wal_size=8GB", "maintenance_work_mem=512MB"],
    ) as server:
        upgrade(server.dsn())
        began = time.monotonic()
        fill(server.dsn(), ROWS)
        print(f"\n{ROWS} calls and as many events made in {time.monotonic() - began:.0f} s")
        connection = psycopg2.connect(server.dsn())
        whole: list[str] = []
        slow: list[str] = []
        with connection.cursor() as cursor:
            for it in lists():
                for query in queries_of(it, "2026-06-10T00:00:00Z"):
                    # The second time, as with what is asked often.
                    plan_of(cursor, query, run=True)
                    plan = plan_of(cursor, query, run=True)
                    if not it.bounded:
                        whole += [f"{query.what}: {step}" for step in plan.whole]
                        print(
                            f"{query.what:<50} {plan.milliseconds:9.2f} ms "
                            f"{plan.looked_at:>9} rows  {', '.join(sorted(plan.indexes))}"
                        )
                        if plan.milliseconds > 50:
                            slow.append(f"{query.what}: {plan.milliseconds:.0f} ms")
            cursor.execute("select pg_size_pretty(pg_database_size(current_database()))")
            print("size", cursor.fetchall()[0][0])
        connection.close()
    print("slower than 50 ms:", *slow, sep="\n  ")
    assert not whole, "\n".join(whole)
