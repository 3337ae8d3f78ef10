"""Tenants stay apart even when every statement forgets to ask for the tenant.

The predicates on `tenant_id` are taken out of what is sent to PostgreSQL in a tenant's name. What
is left is row-level security, under a role that owns nothing; without that as well, everything
leaks, so the first test says something. What may run in the system's name is counted out by its
tables: a read that forgets the role fails too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest

from nizam.http.route import TENANT
from nizam.store.connection import Arguments, Connection, Result
from nizam.store.pool import TENANT_ROLE
from tests.http import access_site
from tests.http.access_matrix import MATRIX
from tests.http.conftest import Server
from tests.http.isolation import furnish, leaks

_VALUE = r"(?:'[0-9a-f-]{36}'(?:::uuid)*|(?:\w+\.)?tenant_id)"
_MEMBER = r"(?:\w+\.)?body\['memberships'\]\s*@>\s*CAST\('[^']*' AS JSONB\)"
_PREDICATE = re.compile(
    rf"(?<![\w.])(?:(?:\w+\.)?tenant_id\s*=\s*{_VALUE}|{_MEMBER})", re.IGNORECASE
)
_TABLE = re.compile(r"\b(?:from|join|update|into) (\w+)", re.IGNORECASE)
_ENTER = f"set_config('role', '{TENANT_ROLE}'"
_LEAVE = "set_config('role', 'none'"


_OUTSIDE = {
    *("tenants", "api_keys", "platform_state", "resource_references"),
    *("revisions", "resource_versions", "changes", "call_events", "webhook_deliveries", "webhooks"),
    "dids",
    *("recordings", "recording_receipts", "voicemail_messages", "voicemail_receipts"),
}
"""The tables that statements name which run outside of the role while a tenant uses the API: the
tenant's own row, by the id in the path and after that was held against the key; keys, by hash or
id; the marks that every change leaves, which the role must not be able to write; and whether the
public numbers that are made many at once are another tenant's; and a recording or message that was
marked for deletion in the tenant's name, once its file is gone."""


class Stripper:
    """Takes the tenant's predicate out of every statement that is run in a tenant's name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stripped: list[str] = []
        self.kept: list[str] = []
        self.outside: set[str] = set()
        """The tables that statements name which are not run in a tenant's name."""
        self._scoped: set[Connection] = set()
        self._in_transaction: set[Connection] = set()
        run = Connection.run
        stripper = self

        async def run_stripped(
            connection: Connection, sql: str, arguments: Arguments = ()
        ) -> Result:
            cursor = connection._inner.cursor()
            text = cursor.mogrify(sql, arguments or None).decode()
            return await run(
                connection, stripper.rewrite(connection, text).replace("%", "%%"), {"_": 0}
            )

        monkeypatch.setattr(Connection, "run", run_stripped)

    def rewrite(self, connection: Connection, text: str) -> str:
        """The statements without the predicates, wherever they run as the tenant's role."""
        scoped, parts = connection in self._scoped, []
        for statement in text.split("; "):
            if statement.strip() == "begin":
                self._in_transaction.add(connection)
            if statement.strip() in ("commit", "rollback"):
                self._in_transaction.discard(connection)
            if _LEAVE in statement:
                scoped = False
            if _ENTER in statement:
                scoped = True
            elif scoped:
                statement = self._bare(statement)
            else:
                self.outside |= set(_TABLE.findall(statement))
            parts.append(statement)
        # The role is set until the end of the transaction; without one, of the message.
        if scoped and connection in self._in_transaction:
            self._scoped.add(connection)
        else:
            self._scoped.discard(connection)
        return "; ".join(parts)

    def _bare(self, statement: str) -> str:
        bare, count = _PREDICATE.subn("true", statement)
        if count:
            self.stripped.append(bare)
        if re.search(r"\bwhere\b.*tenant_id", bare, re.DOTALL | re.IGNORECASE):
            self.kept.append(bare)
        return bare


def _sql(database: str, statement: str, *args: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(database)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, args or None)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def _tables_under_row_level_security(database: str) -> Sequence[str]:
    return [
        it
        for (it,) in _sql(database, "select oid::regclass::text from pg_class where relrowsecurity")
    ]


_THEIRS = {"tenants": "id = %(other)s", "users": "body::text like '%%' || %(other)s || '%%'"}
"""Where a table says in its own way whose a row is."""
_UNTRIED = {"purge_receipts"}
"""Tables that have no row of a tenant who is still there."""


@contextmanager
def _as_tenant(
    database: str, tenant_id: str, before: str, given: Mapping[str, Any] | None = None
) -> Iterator[tuple[Any, Any]]:
    """A cursor under the role, for a tenant, in a transaction that is rolled back; and what the
    query `before` gives whoever owns everything."""
    connection = psycopg2.connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(before, given)
            row = cursor.fetchone()
            cursor.execute("select set_config('nizam.tenant', %s, true)", (tenant_id,))
            cursor.execute(f"set local role {TENANT_ROLE}")
            yield cursor, row and row[0]
    finally:
        connection.rollback()
        connection.close()


def _columns_under_row_level_security(database: str) -> dict[str, list[str]]:
    """The tables, but for the parts of others, with the columns that can be written."""
    found: dict[str, list[str]] = {}
    for table, column in _sql(
        database,
        "select c.oid::regclass::text, a.attname::text from pg_class c"
        " join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
        " and a.attgenerated = '' and a.attidentity = ''"
        " where c.relrowsecurity and not c.relispartition order by 1, a.attnum",
    ):
        found.setdefault(table, []).append(column)
    return found


@pytest.mark.time_limit(90)
async def test_row_level_security_alone_keeps_tenants_apart(
    server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants = await furnish(server, database)
    stripper = Stripper(monkeypatch)
    assert await leaks(server, tenants) == []
    assert len(stripper.stripped) > 60
    assert stripper.kept == []


@pytest.mark.time_limit(60)
async def test_nothing_of_a_tenant_is_read_in_the_systems_name(
    server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await access_site.furnish(server, database)
    stripper = Stripper(monkeypatch)
    routes = {it.operation: it for it in server.api.routes()}
    for operation, row in MATRIX.items():
        if row.place == "tenant":
            route = routes[operation]
            answer = await site.ask(route, "platform_key", passing=True)
            assert answer.status in (row.answers or (route.status,)), (operation, answer.body)
    tables = {it for (it,) in _sql(database, "select tablename::text from pg_tables")}
    assert stripper.outside & tables <= _OUTSIDE


@pytest.mark.time_limit(90)
async def test_without_row_level_security_the_same_requests_would_leak(
    server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants = await furnish(server, database)
    tables = _tables_under_row_level_security(database)
    for table in tables:
        _sql(database, f"alter table {table} disable row level security")
    Stripper(monkeypatch)
    found = await leaks(server, tenants)
    assert len(found) > 50
    assert f"{TENANT}/cdrs shows what is the other's" in found


@pytest.mark.time_limit(60)
async def test_without_row_level_security_the_predicates_keep_tenants_apart(
    server: Server, database: str
) -> None:
    tenants = await furnish(server, database)
    for table in _tables_under_row_level_security(database):
        _sql(database, f"alter table {table} disable row level security")
    assert await leaks(server, tenants) == []


async def test_the_role_sees_and_touches_the_rows_of_one_tenant_alone(
    server: Server, database: str
) -> None:
    tenants = await furnish(server, database)
    own, other = (str(server.tenant_id(it)) for it in (tenants.own, tenants.other))
    reached, untried = [], set()
    for table, columns in _columns_under_row_level_security(database).items():
        theirs = _THEIRS.get(table, "tenant_id = %(other)s")
        select = f"select to_json(t)::text from {table} t where {theirs} limit 1"  # noqa: S608
        given = {"other": other, "row": None}
        with _as_tenant(database, own, select, given) as (cursor, found):
            if found is None:
                untried.add(table)
                continue
            given["row"] = found
            names = ", ".join(columns)
            for statement in (
                f"select from {table} where {theirs}",
                f"update {table} set {columns[0]} = {columns[0]} where {theirs}",  # noqa: S608
                f"delete from {table} where {theirs}",  # noqa: S608
                f"insert into {table} ({names}) select {names}"  # noqa: S608
                f" from json_populate_record(null::{table}, %(row)s)",
            ):
                cursor.execute("savepoint before")
                try:
                    cursor.execute(statement, given)
                    reached += [statement] if cursor.rowcount else []
                except psycopg2.errors.InsufficientPrivilege:
                    cursor.execute("rollback to savepoint before")
    assert reached == []
    assert untried <= _UNTRIED


async def test_without_a_tenant_the_role_sees_nothing(server: Server, database: str) -> None:
    await furnish(server, database)
    for table in _columns_under_row_level_security(database):
        count = f"select count(*) from {table}"  # noqa: S608
        with _as_tenant(database, "", count) as (cursor, there):
            assert there or table in _UNTRIED, table
            cursor.execute(count)
            assert cursor.fetchone() == (0,), table


def test_the_tenants_role_runs_nothing_with_the_rights_of_others(database: str) -> None:
    callable_by_it = """
        select p.oid::regprocedure::text from pg_proc p
        where p.pronamespace = 'public'::regnamespace and p.prosecdef
          and has_function_privilege(%s, p.oid, 'execute')
    """
    assert _sql(database, callable_by_it, TENANT_ROLE) == []


def test_the_tenants_role_owns_nothing_and_passes_no_policy_by(database: str) -> None:
    role = "select rolsuper, rolbypassrls, rolcanlogin from pg_roles where rolname = %s"
    assert _sql(database, role, TENANT_ROLE) == [(False, False, False)]
    assert _sql(database, "select from pg_class where relowner = %s::regrole", TENANT_ROLE) == []


def test_every_table_with_a_tenant_is_under_row_level_security(database: str) -> None:
    free = """
        select c.oid::regclass::text from pg_class c join pg_attribute a on a.attrelid = c.oid
        where a.attname = 'tenant_id' and c.relkind in ('r', 'p') and not a.attisdropped
          and c.relnamespace = 'public'::regnamespace
          and not (c.relrowsecurity and c.relforcerowsecurity)
          and has_table_privilege(%s, c.oid, 'select, insert, update, delete')
    """
    assert _sql(database, free, TENANT_ROLE) == []
