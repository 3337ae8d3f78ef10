"""Databases for tests: migrated once, emptied after each test, and copied anew where that will not
do."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg2

from nizam.embedded.postgres import PrivatePostgres
from nizam.store.migrate import upgrade

_TEMPLATE = "migrated_template"
_END_MILLISECONDS = 10_000
# A table of more pages than this is truncated: deleted rows would stay in its file.
_MOST_PAGES = 8

_RESTART = """
select setval(seqrelid::regclass, seqstart, false) from pg_sequence
where seqrelid = %(name)s::regclass
"""
# What changes the schema is noted, so that its database is not used again.
_GUARD = """
create schema guard;
create table guard.altered (command text not null);
create function guard.note() returns event_trigger language plpgsql security definer as $$
begin
    insert into guard.altered values (tg_tag);
end $$;
create event trigger note on ddl_command_end execute function guard.note();
"""
_TABLES = """
select c.oid::regclass::text, c.relkind from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'S') and n.nspname !~ '^(pg_|information_schema$|guard$)'
order by 1
"""
_END_OTHERS = """
select pg_terminate_backend(pid, %s) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""


class Databases:
    """The databases of one server, for one test at a time each."""

    def __init__(self, server: PrivatePostgres) -> None:
        self._server = server
        self._numbers = itertools.count(1)
        self._clean: list[_Database] = []
        self.template = _TEMPLATE
        with _connected(server) as cursor:
            cursor.execute(f"create database {_TEMPLATE}")
        upgrade(server.dsn(_TEMPLATE))
        with _connected(server, _TEMPLATE) as cursor:
            cursor.execute(_GUARD)
            self._contents = _Contents.of(cursor)

    @contextlib.contextmanager
    def migrated(self) -> Iterator[_Database]:
        """A database as migrations leave it, of this test alone."""
        database = self._clean.pop() if self._clean else self._copy()
        yield database
        if database.spoilt or not database.emptied():
            database.close()
            self._drop(database.name)
        else:
            self._clean.append(database)

    @contextlib.contextmanager
    def empty(self) -> Iterator[str]:
        """The DSN of a database without any tables, of this test alone."""
        name = self._create("template1")
        yield self._server.dsn(name)
        self._drop(name)

    def close(self) -> None:
        """End the connections."""
        for it in self._clean:
            it.close()

    def _copy(self) -> _Database:
        name = self._create(_TEMPLATE)
        return _Database(name, self._server.dsn(name), self._contents)

    def _create(self, template: str) -> str:
        name = f"test_{next(self._numbers)}"
        with _connected(self._server) as cursor:
            # A copy of files takes half the time that one through the log does.
            cursor.execute(f"create database {name} template {template} strategy file_copy")
        return name

    def _drop(self, name: str) -> None:
        with _connected(self._server) as cursor:
            cursor.execute(f"drop database {name} with (force)")


class _Contents:
    """What is in a database as it was migrated: the rows of its tables, and its sequences."""

    def __init__(self, tables: dict[str, str | None], sequences: Sequence[str]) -> None:
        self._tables = tables
        self._sequences = sequences
        found = [f"(select exists (select from only {it}))" for it in tables]  # noqa: S608
        found += [f"(select is_called from {it})" for it in sequences]  # noqa: S608
        look = f"select exists (select from guard.altered), {', '.join(found)}"  # noqa: S608
        self.preparation = (
            "set session_replication_role = replica; set statement_timeout = '10s';"
            f" prepare look as {look}"
        )
        """What a connection that restores runs first: foreign keys and triggers are not for it."""

    @classmethod
    def of(cls, cursor: Any) -> _Contents:
        cursor.execute(_TABLES)
        names = cursor.fetchall()
        tables = {name: _rows(cursor, name) for name, kind in names if kind == "r"}
        return cls(tables, [name for name, kind in names if kind == "S"])

    def restore(self, cursor: Any) -> bool:
        """Make the database's the same; False when it cannot be."""
        cursor.execute("execute look")
        altered, *found = cursor.fetchone()
        if altered:
            return False
        names = (*self._tables, *self._sequences)
        used = {name for name, it in zip(names, found, strict=True) if it}
        _empty(cursor, [it for it, rows in self._tables.items() if rows is None and it in used])
        for table, rows in self._tables.items():
            if rows is not None and _rows(cursor, table) != rows:
                _fill(cursor, table, rows)
        for it in self._sequences:
            if it in used:
                cursor.execute(_RESTART, {"name": it})
        return True


class _Database:
    """One database, and a connection to it that empties it."""

    def __init__(self, name: str, dsn: str, contents: _Contents) -> None:
        self.name = name
        self.dsn = dsn
        self.spoilt = False
        """Whether something may still be at work on it, as after a test that failed."""
        self._contents = contents
        self._connection: Any = None

    def emptied(self) -> bool:
        """Whether it is again as it was; whoever is connected to it no longer is."""
        for _ in range(2):
            # A test may have ended every connection of the server, ours too; or dropped tables.
            with contextlib.suppress(psycopg2.Error):
                return self._empty()
            self.close()
        return False

    def _empty(self) -> bool:
        if self._connection is None:
            self._connection = psycopg2.connect(self.dsn, connect_timeout=10)
            with self._connection, self._connection.cursor() as cursor:
                cursor.execute(self._contents.preparation)
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute(_END_OTHERS, (_END_MILLISECONDS,))
            ended = all(it for (it,) in cursor.fetchall())
            return ended and self._contents.restore(cursor)

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _rows(cursor: Any, table: str) -> str | None:
    """All that is in a table, as JSON; None when nothing is."""
    cursor.execute(f"select jsonb_agg(it order by it::text)::text from only {table} it")  # noqa: S608
    found: str | None = cursor.fetchone()[0]
    return found


def _fill(cursor: Any, table: str, rows: str) -> None:
    cursor.execute(f"delete from only {table}")  # noqa: S608 - names that PostgreSQL gave
    cursor.execute(
        f"insert into {table} select * from jsonb_populate_recordset(null::{table}, %s)",  # noqa: S608
        (rows,),
    )


def _empty(cursor: Any, tables: Sequence[str]) -> None:
    if not tables:
        return
    cursor.execute("select it, pg_relation_size(it::regclass) / 8192 from unnest(%s) it", (tables,))
    pages = dict(cursor.fetchall())
    large = [it for it in tables if pages[it] > _MOST_PAGES]
    small = [f"delete from only {it}" for it in tables if it not in large]  # noqa: S608
    if small:
        cursor.execute("; ".join(small))
    if large:
        # What refers to them was emptied, or is large too.
        cursor.execute(f"truncate only {', '.join(large)} cascade")


@contextlib.contextmanager
def _connected(server: PrivatePostgres, database: str = "postgres") -> Iterator[Any]:
    connection = psycopg2.connect(server.dsn(database), connect_timeout=10)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()
