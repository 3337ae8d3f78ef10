"""Migrations only add: what the release before says to the database goes on working after them, so
that instances of two releases can run side by side while one after the other is restarted.

Each migration is applied by itself, and what there was before is compared with what there is then.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import attrs
import psycopg2
import pytest
from alembic import command
from alembic.script import ScriptDirectory

from nizam.store import migrate

BEFORE_ANY_RELEASE = "0029_lists_and_vacuum"
"""The migrations up to this one were never applied while instances of an older release ran."""

CONTRACTED: dict[str, frozenset[str]] = {}
"""What a migration takes away on purpose, by its revision: the release before was the first that
does without it. Say so in the migration."""

_PARTITION = re.compile(r"_(\d{4}_\d{2}|default)$")
_COLUMNS = """
select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
    a.atthasdef or a.attidentity <> '' or a.attgenerated <> ''
from pg_attribute a join pg_class c on c.oid = a.attrelid
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0
    and not a.attisdropped
"""
_FUNCTIONS = (
    "select oid::regprocedure::text from pg_proc where pronamespace = 'public'::regnamespace"
)
_RULES = """
select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
where connamespace = 'public'::regnamespace and contype in ('c', 'f', 'x')
union all
select indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid)
from pg_index join pg_class on pg_class.oid = indrelid
where indisunique and relnamespace = 'public'::regnamespace
"""
_RIGHTS = """
select table_name || ': ' || privilege_type from information_schema.table_privileges
where grantee = 'nizam_tenant' and table_schema = 'public'
"""


@attrs.frozen
class Column:
    """What inserting and reading have to do with it."""

    type: str
    needed: bool
    default: bool


@attrs.frozen
class Schema:
    """What a release can rely on."""

    columns: dict[tuple[str, str], Column]
    functions: frozenset[str]
    rules: frozenset[tuple[str, str, str]]
    rights: frozenset[str]

    @property
    def tables(self) -> set[str]:
        """Their names."""
        return {table for table, _ in self.columns}

    @classmethod
    def of(cls, cursor: Any) -> Schema:
        """As it is now."""

        def ask(sql: str) -> list[Any]:
            cursor.execute(sql)
            found: list[Any] = cursor.fetchall()
            return [it for it in found if not _PARTITION.search(it[0])]

        return cls(
            {(table, name): Column(*more) for table, name, *more in ask(_COLUMNS)},
            frozenset(it for (it,) in ask(_FUNCTIONS)),
            frozenset((table, name, rule) for table, name, rule in ask(_RULES)),
            frozenset(it for (it,) in ask(_RIGHTS)),
        )


def broken(before: Schema, after: Schema) -> set[str]:
    """What the release before could do and can do no more."""
    found = {f"table {it} is gone" for it in before.tables - after.tables}
    for (table, name), was in before.columns.items():
        now = after.columns.get((table, name))
        if now is None:
            found |= {f"column {table}.{name} is gone"} if table in after.tables else set()
        elif now.type != was.type:
            found.add(f"column {table}.{name} has another type")
        elif now.needed and not was.needed and not now.default:
            found.add(f"column {table}.{name} must be given")
        elif now.needed and was.default and not now.default:
            found.add(f"column {table}.{name} has no default any more")
    for (table, name), now in after.columns.items():
        is_new = table in before.tables and (table, name) not in before.columns
        if is_new and now.needed and not now.default:
            found.add(f"new column {table}.{name} must be given")
    found |= {f"function {it} is gone" for it in before.functions - after.functions}
    found |= {f"tenants have lost {it}" for it in before.rights - after.rights}
    for table, name, _ in after.rules - before.rules:
        if table in before.tables:
            found.add(f"new rule {name} on {table}")
    return found


@contextlib.contextmanager
def cursor_to(dsn: str) -> Iterator[Any]:
    connection = psycopg2.connect(dsn, connect_timeout=10)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def revisions() -> list[str]:
    """All, from the first on."""
    scripts = ScriptDirectory.from_config(migrate._config(None))
    return [it.revision for it in scripts.walk_revisions()][::-1]


@pytest.mark.time_limit(60)
def test_what_the_release_before_does_goes_on_working(empty_database: str) -> None:
    wrong: dict[str, set[str]] = {}
    with migrate._connection(empty_database) as connection, cursor_to(empty_database) as cursor:
        config = migrate._config(connection)
        command.upgrade(config, BEFORE_ANY_RELEASE)
        connection.commit()
        for revision in (it for it in revisions() if it > BEFORE_ANY_RELEASE):
            before = Schema.of(cursor)
            command.upgrade(config, revision)
            connection.commit()
            found = broken(before, Schema.of(cursor))
            if found != CONTRACTED.get(revision, frozenset()):
                wrong[revision] = found
    assert wrong == {}


CHANGES = {
    "alter table tenants drop column slug cascade": "column tenants.slug is gone",
    "alter table tenants rename column slug to word": "column tenants.slug is gone",
    "alter table extensions alter column number type varchar(9)": (
        "column extensions.number has another type"
    ),
    "alter table leases alter column note set not null": "column leases.note must be given",
    "alter table leases add column more text not null": "new column leases.more must be given",
    "drop table leases": "table leases is gone",
    "create unique index one_each on extensions (tenant_id)": "new rule one_each on extensions",
    "revoke select on extensions from nizam_tenant": "tenants have lost extensions: SELECT",
    "drop function event_log_end()": "function event_log_end() is gone",
}
HARMLESS = (
    "alter table leases add column more text",
    "alter table leases add column more text not null default ''",
    "create table more (id int primary key, name text not null unique)",
    "create index more on extensions (tenant_id, number)",
    "alter table leases alter column expires_at type timestamptz",
)


@pytest.fixture(scope="module")
def compared(databases: Any) -> Iterator[Any]:
    """What one change to the tables of today breaks; the change is taken back."""
    with databases.migrated() as it:
        connection = psycopg2.connect(it.dsn)

        def compare(change: str) -> set[str]:
            with connection.cursor() as cursor:
                before = Schema.of(cursor)
                cursor.execute(change)
                found = broken(before, Schema.of(cursor))
            connection.rollback()
            return found

        yield compare
        connection.close()


@pytest.mark.parametrize("change", CHANGES)
def test_what_would_break_the_release_before_is_seen(compared: Any, change: str) -> None:
    assert CHANGES[change] in compared(change)


@pytest.mark.parametrize("change", HARMLESS)
def test_what_only_adds_is_let_through(compared: Any, change: str) -> None:
    assert compared(change) == set()
