"""Tenants stay apart even when every statement forgets to ask for the tenant.

The predicates on `tenant_id` are taken out of what is sent to PostgreSQL in a tenant's name. What
is left is row-level security, under a role that owns nothing; without that as well, everything
leaks, so the first test says something.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg2
import pytest

from nizam.store.connection import Arguments, Connection, Result
from nizam.store.pool import TENANT_ROLE
from tests.http.conftest import Server
from tests.http.isolation import furnish, leaks

_VALUE = r"(?:'[0-9a-f-]{36}'(?:::uuid)*|(?:\w+\.)?tenant_id)"
_PREDICATE = re.compile(rf"(?<![\w.])(?:\w+\.)?tenant_id\s*=\s*{_VALUE}", re.IGNORECASE)
_ENTER = f"set_config('role', '{TENANT_ROLE}'"
_LEAVE = "set_config('role', 'none'"


class Stripper:
    """Takes the tenant's predicate out of every statement that is run in a tenant's name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stripped: list[str] = []
        self.kept: list[str] = []
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


@pytest.mark.time_limit(90)
async def test_row_level_security_alone_keeps_tenants_apart(
    server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants = await furnish(server, database)
    stripper = Stripper(monkeypatch)
    assert await leaks(server, tenants) == []
    assert len(stripper.stripped) > 60
    assert stripper.kept == []


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
    assert "cdrs shows what is the other's" in found


@pytest.mark.time_limit(60)
async def test_without_row_level_security_the_predicates_keep_tenants_apart(
    server: Server, database: str
) -> None:
    tenants = await furnish(server, database)
    for table in _tables_under_row_level_security(database):
        _sql(database, f"alter table {table} disable row level security")
    assert await leaks(server, tenants) == []


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
