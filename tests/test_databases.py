"""What one test leaves in its database is not there for the next."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from tests.databases import Databases


@contextlib.contextmanager
def connected(dsn: str) -> Iterator[Any]:
    with contextlib.closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


def counted(dsn: str, *selects: str) -> list[Any]:
    with connected(dsn) as cursor:
        found = []
        for it in selects:
            cursor.execute(it)
            found.append(cursor.fetchone()[0])
        return found


TENANTS = (
    "insert into tenants (id, body) select gen_random_uuid(), '{}' from generate_series(1, %s)"
)


@pytest.mark.parametrize("rows", [1, 2000])
def test_rows_are_gone_however_many_and_counting_begins_anew(
    databases: Databases, rows: int
) -> None:
    with databases.migrated() as it, connected(it.dsn) as cursor:
        cursor.execute("set session_replication_role = replica")
        cursor.execute(TENANTS, (rows,))
        cursor.execute("update platform_state set revision = 42")
        cursor.execute("select nextval('changes_id_seq'), nextval('changes_id_seq')")
    with databases.migrated() as again:
        assert again.name == it.name
        assert counted(
            again.dsn,
            "select count(*) from tenants",
            "select revision from platform_state",
            "select nextval('changes_id_seq')",
        ) == [0, 0, 1]


@pytest.mark.parametrize(
    "statement",
    [
        "create table more ()",
        "drop table changes cascade",
        "alter table tenants add column more text",
        "alter table tenants disable trigger user",
        "create index more on tenants (id)",
        "revoke all on tenants from nizam_tenant",
    ],
)
def test_a_database_whose_schema_was_changed_is_not_used_again(
    databases: Databases, statement: str
) -> None:
    with databases.migrated() as it, connected(it.dsn) as cursor:
        cursor.execute(statement)
    with databases.migrated() as again:
        assert again.name != it.name


def test_neither_is_one_whose_test_failed(databases: Databases) -> None:
    with databases.migrated() as it:
        it.spoilt = True
    with databases.migrated() as again:
        assert again.name != it.name


def test_whoever_is_still_connected_is_cut_off_before_it_commits(databases: Databases) -> None:
    with databases.migrated() as it:
        late = psycopg2.connect(it.dsn)
        with late.cursor() as cursor:
            cursor.execute("update platform_state set revision = 42")
    with pytest.raises(psycopg2.OperationalError):
        late.commit()
    with databases.migrated() as again:
        assert again.name == it.name
        assert counted(again.dsn, "select revision from platform_state") == [0]


def test_a_test_may_end_every_connection_of_the_server(databases: Databases) -> None:
    with databases.migrated() as it, connected(it.dsn) as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where pid <> pg_backend_pid() and backend_type = 'client backend'"
        )
    with databases.migrated() as again:
        assert again.name == it.name
