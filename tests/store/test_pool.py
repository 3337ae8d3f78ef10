"""The pool: bounded waits, live connections only, tenants kept apart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import psycopg2
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogLevel, globalLogPublisher
from zope.interface import provider

from nizam.errors import DatabaseUnavailable
from nizam.store.listener import NotificationListener
from nizam.store.pool import Pool, Transaction
from tests.chaos.proxy import FaultyProxy

TENANT = UUID("01937a5e-0000-7000-8000-0000000000aa")


@pytest_twisted.async_yield_fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    made = Pool(reactor, database, size=2, name="test")
    await made.start()
    yield made
    await made.stop()


async def pause(seconds: float) -> None:
    await deferLater(reactor, seconds, lambda: None)


async def until(condition: Any) -> None:
    while not condition():
        await pause(0.01)


async def test_rows_and_row_counts_come_back(pool: Pool) -> None:
    assert await pool.query("select 1, %s::text", ("+90",)) == [(1, "+90")]
    assert await pool.query("select %(a)s::jsonb", {"a": {"x": [1]}}) == [({"x": [1]},)]
    assert await pool.execute("update platform_state set revision = revision") == 1
    assert await pool.query("set application_name to 'x'") == []


async def test_a_transaction_commits_what_returns_and_rolls_back_what_raises(pool: Pool) -> None:
    async def add(transaction: Transaction) -> None:
        await transaction.execute("update platform_state set revision = revision + 1")

    async def add_and_fail(transaction: Transaction) -> None:
        await add(transaction)
        raise LookupError

    await pool.transaction(add)
    with pytest.raises(LookupError):
        await pool.transaction(add_and_fail)
    assert await pool.query("select revision from platform_state") == [(1,)]
    assert pool.in_use == 0


async def test_what_is_written_last_goes_with_the_commit_and_gives_its_result(pool: Pool) -> None:
    """`ending` is called when both are on their way, and what fails then is rolled back."""
    (before,) = (await pool.query("select revision from platform_state"))[0]
    told: list[str] = []

    async def raise_it(transaction: Transaction, divisor: int) -> Any:
        moved = "with moved as (update platform_state set revision = revision + 1 returning 1)"
        value = "jsonb_build_array((select count(*) from moved), 'é', 1 / %(divisor)s)"
        given = await transaction.commit_with(moved, value, {"divisor": divisor})
        told.append("committed")
        return given

    given = await pool.transaction(
        lambda it: raise_it(it, 1), ending=lambda: told.append("on its way")
    )
    assert given == [1, "é", 1]
    assert told == ["on its way", "committed"]
    with pytest.raises(psycopg2.errors.DivisionByZero):
        await pool.transaction(lambda it: raise_it(it, 0))
    assert await pool.query("select revision from platform_state") == [(before + 1,)]


async def test_more_work_than_connections_waits_its_turn(pool: Pool) -> None:
    running = [
        Deferred.fromCoroutine(pool.query("select %s, pg_sleep(0.02)", (n,))) for n in range(10)
    ]
    answers = await gatherResults(running)
    assert [rows[0][0] for rows in answers] == list(range(10))


async def test_waiting_for_a_connection_is_bounded(database: str) -> None:
    pool = Pool(reactor, database, size=1, name="test", wait=0.1, queue_limit=1)
    await pool.start()
    slow = Deferred.fromCoroutine(pool.query("select pg_sleep(0.5)"))
    waiting = Deferred.fromCoroutine(pool.query("select 1"))
    with pytest.raises(DatabaseUnavailable, match="too many"):
        await pool.query("select 1")
    with pytest.raises(DatabaseUnavailable, match="no connection"):
        await waiting
    await slow
    await pool.stop()


async def test_a_deadline_ends_the_wait_and_not_the_connection(pool: Pool) -> None:
    with pytest.raises(DatabaseUnavailable, match="did not answer within"):
        await pool.query("select pg_sleep(0.3)", deadline=0.05)
    assert pool.in_use == 1
    await until(lambda: pool.in_use == 0)
    assert await pool.query("select 1") == [(1,)]


async def test_a_transaction_past_its_deadline_is_rolled_back(pool: Pool) -> None:
    async def slow(transaction: Transaction) -> None:
        await transaction.execute("update platform_state set revision = 99")
        await transaction.query("select pg_sleep(0.2)")

    with pytest.raises(DatabaseUnavailable):
        await pool.transaction(slow, deadline=0.05)
    await until(lambda: pool.in_use == 0)
    assert await pool.query("select revision from platform_state") == [(0,)]


async def test_the_server_ends_a_statement_that_takes_too_long(database: str) -> None:
    pool = Pool(reactor, database, size=1, name="test", statement_seconds=0.1)
    await pool.start()
    with pytest.raises(DatabaseUnavailable, match="took too long"):
        await pool.query("select pg_sleep(5)")
    assert await pool.query("select 1") == [(1,)]
    await pool.stop()


async def test_killed_connections_are_replaced_and_reads_survive_it(
    pool: Pool, database: str
) -> None:
    await until(lambda: len(pool._connections._all) == 2)
    before = {row[0] for row in await pool.query("select pg_backend_pid()")}
    reading = Deferred.fromCoroutine(pool.query("select 'read', pg_sleep(0.3)"))
    with psycopg2.connect(database) as other, other.cursor() as cursor:
        cursor.execute(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
    other.close()
    assert (await reading)[0][0] == "read"
    for _ in range(20):
        assert await pool.query("select 1") == [(1,)]
    assert before.isdisjoint({row[0] for row in await pool.query("select pg_backend_pid()")})


async def test_without_a_server_callers_are_told_in_time() -> None:
    pool = Pool(reactor, "postgresql://x@127.0.0.1:1/x", size=2, name="test", wait=0.2)
    await pool.start()
    assert not pool.available
    with pytest.raises(DatabaseUnavailable):
        await pool.query("select 1")
    await pool.stop()


async def test_tenant_statements_run_as_the_unprivileged_role(pool: Pool) -> None:
    seen = await pool.tenant_query(
        TENANT, "select current_user::text, current_setting('nizam.tenant')"
    )
    assert seen == [("nizam_tenant", str(TENANT))]
    after = await pool.query("select current_user::text, current_setting('nizam.tenant', true)")
    assert after[0][0] == "nizam"
    assert not after[0][1]

    async def look(transaction: Transaction) -> Any:
        return await transaction.query("select current_user::text")

    assert await pool.tenant_transaction(TENANT, look) == [("nizam_tenant",)]
    assert await pool.query("select current_user::text") == [("nizam",)]


async def test_a_connection_that_stays_silent_is_replaced(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nizam.store.pool.ABANDON_SECONDS", 0.05)
    with pytest.raises(DatabaseUnavailable):
        await pool.query("select pg_sleep(10)", deadline=0.05)
    await until(lambda: pool.in_use == 0)
    assert await pool.query("select 1") == [(1,)]


async def test_notifications_arrive_in_order_and_again_after_the_connection_was_lost(
    pool: Pool, database: str
) -> None:
    heard: list[str] = []
    listener = NotificationListener(reactor, database, "some_channel", heard.append)
    listener.start()
    await until(lambda: listener.listening)
    numbers = [str(n) for n in range(200)]
    await pool.query("select pg_notify('some_channel', n::text) from generate_series(0, 199) as n")
    await until(lambda: len(heard) == 200)
    assert heard == numbers
    await pool.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen%'"
    )
    await until(lambda: not listener.listening)
    await until(lambda: listener.listening)
    await pool.query("select pg_notify('some_channel', 'again')")
    await until(lambda: heard[-1] == "again")
    await listener.stop()


async def test_a_transaction_begins_on_a_live_connection_after_a_restart(
    pool: Pool, database: str
) -> None:
    await until(lambda: len(pool._connections._all) == 2)
    with psycopg2.connect(database) as other, other.cursor() as cursor:
        cursor.execute(
            "select count(pg_terminate_backend(pid, 1000)) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
    other.close()

    async def add(transaction: Transaction) -> None:
        await transaction.execute("update platform_state set revision = revision + 1")

    await pool.transaction(add)
    assert await pool.query("select revision from platform_state") == [(1,)]


async def test_connections_that_are_reset_idle_or_new_are_replaced_without_a_word(
    database: str,
) -> None:
    url = urlsplit(database)
    proxy = FaultyProxy(reactor, [(url.hostname or "", url.port or 0)], Random(1))
    proxy.start()
    netloc = f"{url.netloc.rpartition('@')[0]}@127.0.0.1:{proxy.port}"
    pool = Pool(reactor, urlunsplit(url._replace(netloc=netloc)), size=2, name="test")
    logged: list[Any] = []

    @provider(ILogObserver)
    def observe(event: Any) -> None:
        logged.append(event)

    globalLogPublisher.addObserver(observe)
    try:
        await pool.start()
        for refuse in (False, True, False):
            proxy.weather.refuse = refuse
            proxy.reset()
            if refuse:
                with pytest.raises(DatabaseUnavailable):
                    await pool.query("select 1", deadline=1.0)
        assert await pool.query("select 1", deadline=10.0) == [(1,)]
    finally:
        globalLogPublisher.removeObserver(observe)
        await pool.stop()
        await proxy.stop()
    assert [it for it in logged if it["log_level"] in (LogLevel.error, LogLevel.critical)] == []
