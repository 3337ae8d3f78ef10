"""PostgreSQL as the doctor sees it: a real one, and what rows would say of states that are rare."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest

from nizam.embedded.postgres import PrivatePostgres
from nizam.ops.doctor import Area, database, database_load
from nizam.store.pool import TENANT_ROLE
from tests.ops.doctor.findings import FAILURE, NOTE, OK, WARNING, found_with, is_right, is_wrong

APP = "doctor_app"
DATABASE = Area.DATABASE


@contextmanager
def cursor(dsn: str) -> Iterator[Any]:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        yield connection.cursor()


@pytest.fixture
def app_role(postgres: PrivatePostgres, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Settings with a role as docs/install.md has it."""
    with cursor(postgres.dsn()) as server:
        server.execute(
            f"create role {APP} login createrole password 'x' in role nizam, {TENANT_ROLE}"
        )
        try:
            yield environment | {"DB_USERNAME": APP, "DB_PASSWORD": "x"}
        finally:
            server.execute(f"drop role {APP}")


def test_a_database_as_nizam_wants_it_is_well(app_role: dict[str, str]) -> None:
    found = found_with(app_role, DATABASE)
    is_right(
        found,
        *("database.reachable", "database.version", "database.primary", "database.role"),
        *("database.tenant-role", "database.row-level-security", "database.migrations"),
        *("database.scheduled-work", "database.connections", "database.long-transactions"),
        *("database.wraparound", "database.vacuum", "database.partitions"),
        "database.replication-slots",
    )


def test_a_superuser_is_told_of(environment: dict[str, str]) -> None:
    found = found_with(environment, DATABASE)
    is_wrong(found, "database.role", FAILURE, "superuser, BYPASSRLS")


def test_a_server_that_would_lose_what_it_promised_is_told_of(environment: dict[str, str]) -> None:
    # Those of the tests are: it makes them fast.
    found = found_with(environment, DATABASE)
    is_wrong(found, "database.durability", FAILURE, "fsync, full_page_writes")
    on = dict.fromkeys(("fsync", "full_page_writes", "synchronous_commit"), "on")
    is_right([database.durability("db", on)], "database.durability")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"DB_PASSWORD": "wrong"}, "password authentication failed"),
        ({"DB_PORT": "1"}, "refused"),
        ({"DB_DATABASE": "nowhere"}, "does not exist"),
    ],
)
def test_a_server_that_lets_nobody_in_is_told_of(
    environment: dict[str, str], change: dict[str, str], text: str
) -> None:
    found = found_with(environment | change, DATABASE)
    is_wrong(found, "database.reachable", FAILURE, text)
    # Said once, and not of what is unknown by it.
    assert [it.check for it in found if it.severity is FAILURE] == ["database.reachable"]
    is_wrong(found, "database.scheduled-work", NOTE, "not known")
    assert environment["DB_PASSWORD"] not in repr(found)


def test_a_database_of_another_encoding_and_without_tables_is_told_of(
    postgres: PrivatePostgres, environment: dict[str, str]
) -> None:
    with cursor(postgres.dsn()) as server:
        server.execute(
            "create database doctor_ascii encoding 'SQL_ASCII' locale 'C' template template0"
        )
        try:
            found = found_with(environment | {"DB_DATABASE": "doctor_ascii"}, DATABASE)
        finally:
            server.execute("drop database doctor_ascii")
    is_wrong(found, "database.version", FAILURE, "SQL_ASCII")
    is_wrong(found, "database.migrations", FAILURE, "0001")
    is_wrong(found, "database.scheduled-work", NOTE, "not migrated")


def test_a_tenant_role_that_may_do_more_is_told_of(
    postgres: PrivatePostgres, environment: dict[str, str]
) -> None:
    with cursor(postgres.dsn()) as server:
        server.execute(f"alter role {TENANT_ROLE} createdb login")
        try:
            found = found_with(environment, DATABASE)
        finally:
            server.execute(f"alter role {TENANT_ROLE} nocreatedb nologin")
    is_wrong(found, "database.tenant-role", FAILURE, "CREATEDB, LOGIN")


def test_open_tables_missing_months_late_work_and_long_transactions_are_told_of(
    database: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_load, "LONG_SECONDS", 0)
    with cursor(database) as server, closing(psycopg2.connect(database)) as other:
        server.execute("alter table extensions no force row level security")
        server.execute("alter table dids disable row level security")
        server.execute("drop policy tenant_isolation on ivrs")
        server.execute("select max(relname) from pg_class where relname ~ '^cdrs_2.{6}$'")
        ((partition,),) = server.fetchall()
        server.execute(f"drop table {partition}")
        server.execute(
            "insert into scheduled_tasks (name, interval_seconds, known_since, error)"
            " values ('purge', 60, now() - interval '1 hour', 'media_unavailable: no mount')"
        )
        other.cursor().execute("select 1")
        time.sleep(0.01)
        there = {"DB_DATABASE": database.rpartition("/")[2]}
        found = found_with(environment | there, DATABASE)
    for table, how in {
        "extensions": "not forced",
        "dids": "off",
        "ivrs": "without a policy",
    }.items():
        is_wrong(
            found,
            "database.row-level-security",
            FAILURE,
            f"table {table}: row-level security is {how}",
        )
    is_wrong(found, "database.partitions", WARNING, partition)
    is_wrong(found, "database.scheduled-work", FAILURE, "purge; nobody leads it; media_unavailable")
    is_wrong(found, "database.long-transactions", WARNING, "idle in transaction")


def test_too_few_connections_are_told_of(environment: dict[str, str]) -> None:
    found = found_with(environment | {"NIZAM_DB_POOL_SIZE": "150"}, DATABASE)
    is_wrong(found, "database.connections", FAILURE, "more than there can be")
    nearly = database_load.room("db", 8, 100, 3, 90, -1, -1)
    is_wrong([nearly], "database.connections", WARNING, "90 of 97")


def test_autovacuum_that_is_off_and_a_slot_without_reader_are_told_of(
    postgres: PrivatePostgres, environment: dict[str, str]
) -> None:
    with cursor(postgres.dsn()) as server:
        server.execute("alter system set autovacuum = off")
        server.execute("select pg_reload_conf()")
        server.execute("select pg_create_physical_replication_slot('doctor', true)")
        try:
            until = time.monotonic() + 5
            while time.monotonic() < until:
                server.execute("show autovacuum")
                if server.fetchone() == ("off",):
                    break
            found = found_with(environment, DATABASE)
        finally:
            server.execute("select pg_drop_replication_slot('doctor')")
            server.execute("alter system reset autovacuum")
            server.execute("select pg_reload_conf()")
    is_wrong(found, "database.vacuum", WARNING, "autovacuum is off")
    is_wrong(found, "database.replication-slots", WARNING, "nobody reads from it")


def test_what_is_rare_is_judged_by_its_rows() -> None:
    is_wrong(
        [database.takes_changes("db", recovering=True)], "database.primary", FAILURE, "replica"
    )
    old = database_load.wraparound("db", 1_900_000_000, 1)
    is_wrong([old], "database.wraparound", FAILURE, "1900000000")
    is_wrong(
        [database_load.wraparound("db", 1, 1_100_000_000)], "database.wraparound", WARNING, "1100"
    )
    lost = list(database_load.slots("db", [("old", 20 * 2**30, "lost")]))
    is_wrong(lost, "database.replication-slots", FAILURE, "its log is lost")
    replica = list(database_load.replica("replica", "PostgreSQL 15.4", True, 0.2, 5.0))
    is_right(replica, "database.replica", "database.replica-lag")
    is_wrong(
        [database_load.behind("replica", 60.0, 5.0)], "database.replica-lag", WARNING, "60.0 s"
    )


def test_a_pooler_is_asked_too(environment: dict[str, str]) -> None:
    # PostgreSQL itself speaks as PgBouncer does.
    direct = {"DB_DIRECT_HOST": environment["DB_HOST"]}
    is_right(found_with(environment | direct, DATABASE), "database.pooler", "database.reachable")
    away = direct | {"DB_HOST": "127.0.0.1:1"}
    found = found_with(environment | away, DATABASE)
    is_wrong(found, "database.pooler", FAILURE, "pgbouncer 127.0.0.1:1: ")
    is_right(found, "database.reachable")


def test_replicas_that_are_none_or_away_are_told_of(environment: dict[str, str]) -> None:
    primary = f"{environment['DB_HOST']}:{environment['DB_PORT']}"
    hosts = {"DB_READ_HOST_1": primary, "DB_READ_HOST_2": "127.0.0.1:1"}
    found = found_with(environment | hosts, DATABASE)
    is_wrong(found, "database.replica", WARNING, "it is no replica")
    is_wrong(found, "database.replica", WARNING, "refused")
    assert all(it.severity is not OK for it in found if it.check == "database.replica")
