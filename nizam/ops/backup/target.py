"""The database that a backup is restored to: empty, or moved aside for the restored one.

A database in use is never filled or dropped. The restored one is made beside it under a passing
name, and when it is complete the two change their names, so that there is always one that is whole.
"""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import attrs
import psycopg2
from psycopg2 import sql

from nizam.ops.backup.database import connected, counts
from nizam.ops.backup.errors import BackupError, Damaged, PeerUnreachable
from nizam.ops.backup.load import APPLICATION, load_database
from nizam.ops.backup.manifest import DatabaseFacts
from nizam.ops.backup.writing import Progress

_MAINTENANCE: Final = ("postgres", "template1")
_MOST_NAME: Final = 63
_ATTEMPTS: Final = 20
_ANYTHING: Final = """
select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and n.nspname !~ '^(pg_|information_schema$)')
"""
_END_SESSIONS: Final = """
select pg_terminate_backend(pid, 2000) from pg_stat_activity
where datname = %s and pid <> pg_backend_pid() and backend_type = 'client backend'
"""


class State(enum.StrEnum):
    """What there is in the place of the database."""

    MISSING = "missing"
    EMPTY = "empty"
    IN_USE = "in use"


@attrs.frozen
class Target:
    """The database that `dsn`, a URI, names."""

    dsn: str

    @property
    def name(self) -> str:
        """The name of the database."""
        return urlsplit(self.dsn).path.removeprefix("/")

    def state(self) -> State:
        """What is there. PeerUnreachable without a server."""
        try:
            with connected(self.dsn, APPLICATION) as connection, connection.cursor() as cursor:
                cursor.execute(_ANYTHING)
                return State.IN_USE if cursor.fetchone()[0] else State.EMPTY
        except PeerUnreachable as error:
            if f'database "{self.name}" does not exist' in error.detail:
                return State.MISSING
            raise

    def fill(self, backup: Path, facts: DatabaseFacts, progress: Progress) -> list[str]:
        """Restore into the database that is missing or empty; the roles that were made."""
        if self.state() is State.MISSING:
            with self._maintenance() as connection:
                self._create(connection, self.name)
        made = load_database(self.dsn, backup, facts, progress)
        self._compare(self.dsn, facts, progress)
        return made

    def replace(
        self, backup: Path, facts: DatabaseFacts, moment: str, progress: Progress
    ) -> tuple[str, list[str]]:
        """Restore beside the database that is in use, and change places with it; the name that it
        has now, and the roles that were made. When it fails the database is as it was."""
        passing, aside = (self._beside(it, moment) for it in ("restoring", "before"))
        with self._maintenance() as connection:
            self._create(connection, passing)
            try:
                dsn = self._with_name(passing)
                made = load_database(dsn, backup, facts, progress)
                self._compare(dsn, facts, progress)
                self._change_places(connection, passing, aside)
            except BaseException:
                _drop(connection, passing)
                raise
        return aside, made

    def _change_places(self, connection: Any, passing: str, aside: str) -> None:
        name = sql.Identifier(self.name)
        with connection.cursor() as cursor:
            # Whoever is still there would come back at once.
            cursor.execute(sql.SQL("alter database {} allow_connections false").format(name))
            try:
                for attempt in range(1, _ATTEMPTS + 1):
                    cursor.execute(_END_SESSIONS, (self.name,))
                    try:
                        cursor.execute(
                            sql.SQL("alter database {} rename to {}").format(
                                name, sql.Identifier(aside)
                            )
                        )
                        break
                    except psycopg2.errors.ObjectInUse:
                        if attempt == _ATTEMPTS:
                            raise BackupError(
                                f"the database {self.name} is in use by sessions that this role "
                                "may not end: end them, and try again"
                            ) from None
            except BaseException:
                cursor.execute(sql.SQL("alter database {} allow_connections true").format(name))
                raise
            cursor.execute(
                sql.SQL("alter database {} rename to {}").format(sql.Identifier(passing), name)
            )
            cursor.execute(
                sql.SQL("alter database {} allow_connections true").format(sql.Identifier(aside))
            )

    def _compare(self, dsn: str, facts: DatabaseFacts, progress: Progress) -> None:
        with connected(dsn, APPLICATION) as connection:
            found = counts(connection, progress)
        for table, number in facts.tables.items():
            if found.get(table) != number:
                raise Damaged(
                    f"{table} has {found.get(table)} rows when restored, and had {number}: "
                    "verify the backup, and restore another"
                )

    def _create(self, connection: Any, name: str) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    sql.SQL("create database {} template template0 encoding 'UTF8'").format(
                        sql.Identifier(name)
                    )
                )
        except psycopg2.errors.InsufficientPrivilege:
            with connection.cursor() as cursor:
                cursor.execute("select current_user")
                role = cursor.fetchone()[0]
            raise BackupError(
                f"the role {role} may not make databases: as a superuser say "
                f'alter role "{role}" createdb; or restore into an empty database (DB_DATABASE)'
            ) from None
        except psycopg2.errors.DuplicateDatabase:
            raise BackupError(f"there is a database {name} already: drop it first") from None

    def _maintenance(self) -> Any:
        for name in _MAINTENANCE[:-1]:
            try:
                with connected(self._with_name(name), APPLICATION):
                    return connected(self._with_name(name), APPLICATION)
            except PeerUnreachable:
                continue
        return connected(self._with_name(_MAINTENANCE[-1]), APPLICATION)

    def _with_name(self, name: str) -> str:
        return urlunsplit(urlsplit(self.dsn)._replace(path=f"/{quote(name, safe='')}"))

    def _beside(self, what: str, moment: str) -> str:
        ending = f"_{what}_{moment}".lower().replace("-", "").replace(":", "")
        return self.name[: _MOST_NAME - len(ending)] + ending


def _drop(connection: Any, name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        )
