"""Every call is accounted for: its events, one summary, its legs and its webhooks, none twice."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

import psycopg2
import pytest
from twisted.internet.task import deferLater

from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.process import free_port
from nizam.embedded.redis import PrivateRedis
from tests.chaos.checkers.calls import expected_result
from tests.daemon.process import frozen, until
from tests.daemon.site import Site, connected

pytestmark = pytest.mark.time_limit(60)


async def test_all_is_well(site: Site) -> None:
    await site.call_for(5.0)
    await _assert_account_is_right(site)
    # Calls of every kind came in: a run of nothing but simple ones would prove little.
    results = Counter(map(expected_result, site.switch.truth.calls))
    assert results.keys() >= {"answered", "voicemail", "cancelled"}
    assert not site.daemon.logged("error", "critical")


async def test_postgresql_drops_its_connections_and_hangs(
    site: Site, postgres: PrivatePostgres
) -> None:
    await site.call_for(1.0)
    _drop_connections(postgres)
    await site.call_for(1.0)
    with frozen(postgres.pid):
        await site.call_for(3.0)
    await site.call_for(1.0)
    await _assert_account_is_right(site)
    assert "is kept in Redis" in "".join(site.daemon.logged("warning"))


async def test_redis_forgets_everything_and_hangs_with_postgresql_or_alone(
    site: Site, redis_server: PrivateRedis, postgres: PrivatePostgres
) -> None:
    await site.call_for(1.0)
    redis_server.flush()
    await site.call_for(0.5)
    with frozen(redis_server.pid):
        await site.call_for(2.0)
        with frozen(postgres.pid):
            await site.call_for(1.0)
    redis_server.flush()
    await site.call_for(0.5)
    await _assert_account_is_right(site)


async def test_two_instances_listen_to_one_switch(site: Site, tmp_path: Path) -> None:
    second = site.daemon.another(free_port(), tmp_path / "second.log")
    second.start()
    try:
        await second.ready()
        assert await until(site.reactor, lambda: len(site.switch.connections) >= 4, 10.0)
        await site.call_for(4.0)
        await _assert_account_is_right(site)
    finally:
        second.kill()
    assert not second.logged("error", "critical")


async def test_events_come_twice_or_out_of_order_and_either_side_stalls(site: Site) -> None:
    for _ in range(6):
        site.switch.faults.duplicate, site.switch.faults.reorder = 5, 3
        await site.call_for(0.25)
    site.switch.stall()
    await site.call_for(1.5)
    site.switch.stall(False)
    with frozen(site.daemon.pid):
        await site.call_for(1.5)
    await site.call_for(0.5)
    await _assert_account_is_right(site)


async def test_links_are_cut(site: Site) -> None:
    site.switch.calls.start(20.0)
    for _ in range(2):
        await deferLater(site.reactor, 1.0)
        site.switch.cut()
        assert await until(site.reactor, lambda: not site.switch.connections, 5.0)
        await connected(site)
    site.switch.stop_calls()
    await _assert_records_are_right(site)
    # FreeSWITCH repeats nothing: some events were heard by nobody, which is told.
    assert not await site.unmarked()


async def test_events_are_lost_without_a_word(site: Site) -> None:
    site.switch.faults.lose_every = 8
    await site.call_for(1.5)
    site.switch.faults.lose_every = 0
    await _assert_records_are_right(site)
    assert site.switch.faults.lost > 20


def _drop_connections(postgres: PrivatePostgres) -> None:
    with contextlib.closing(psycopg2.connect(postgres.dsn("postgres"))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'nizam'"
            )
            assert cursor.rowcount > 0


async def _assert_account_is_right(site: Site) -> None:
    wrong = await site.settled()
    assert not wrong, "\n".join([*wrong[:20], *site.daemon.logged("error", "warning")[-10:]])
    truth = site.switch.truth
    assert len(truth.calls) == truth.placed > 20
    assert not truth.problems


async def _assert_records_are_right(site: Site) -> None:
    """Summaries and legs soon, and whatever was promised was told; events may be missing."""
    await site.switch.drain()
    assert await until(site.reactor, lambda: not site.call_problems(), 5.0), site.call_problems()
    wrong = await site.settled(whole=False)
    assert not wrong, "\n".join(wrong[:20])
