"""Bringing a database up to date: Alembic over psycopg2, synchronous.

Used by `nizam migrate`, by `nizam dev` and by the tests; the daemon itself never migrates.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg2
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from nizam.errors import DatabaseUnavailable, NizamError
from nizam.store.hosts import explained
from nizam.store.tables import all_tables

# Two that migrate at once wait for each other; the number has no meaning.
_MIGRATION_LOCK = 7_216_544
# Partitions come and go with the months; their parents are what the migrations make.
_PARTITIONS = "select relname from pg_class where relispartition and relkind = 'r'"
_REVISION = re.compile(r"\d{4}_\w+\Z")
# Months come and go; their shape is that of the table they are part of.
_PARTITION = re.compile(r"_(\d{4}_\d{2}|default)$")


class ForeignDatabase(NizamError):
    """The database has been migrated by something else."""

    code = "foreign_database"
    title = "The database is another program's"


def upgrade(dsn: str) -> None:
    """Apply every migration that is missing; raises DatabaseUnavailable without a server, and what
    `pending` raises."""
    if not pending(dsn):
        return
    with _connection(dsn) as connection:
        connection.execute(text(f"select pg_advisory_lock({_MIGRATION_LOCK})"))
        connection.commit()
        command.upgrade(_config(connection), "head")


def current(dsn: str) -> str | None:
    """The revision that the database is at; None for one that was never migrated."""
    with _connection(dsn) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def pending(dsn: str) -> list[str]:
    """The revisions that are missing, in the order in which they will be applied; none for a
    database that a newer release has migrated (`newer_than_this`). ForeignDatabase for one that is
    at no revision of NIZAM's."""
    present = current(dsn)
    if newer_than_this(present):
        return []
    scripts = ScriptDirectory.from_config(_config(None))
    if present is not None and not knows(present):
        raise ForeignDatabase(
            f"the database is at the revision {present!r}, which is none of NIZAM's: is it another "
            "program's (DB_DATABASE)?"
        )
    missing = [script.revision for script in scripts.iterate_revisions("heads", present or "base")]
    return missing[::-1]


def newer_than_this(present: str | None) -> bool:
    """Whether the database has migrations of a release that came after this one. This one can work
    with it all the same, while two versions run at once or when it was gone back to."""
    head = ScriptDirectory.from_config(_config(None)).get_current_head() or ""
    return present is not None and bool(_REVISION.match(present)) and present > head


def knows(revision: str) -> bool:
    """Whether there is a migration of that name here."""
    scripts = ScriptDirectory.from_config(_config(None))
    return any(it.revision == revision for it in scripts.walk_revisions())


def differences(dsn: str) -> list[str]:
    """How the database differs from the tables in nizam/store/tables, one line for each."""
    with _connection(dsn) as connection:
        options = {"compare_type": True, "include_name": _is_no_partition}
        context = MigrationContext.configure(connection, opts=options)
        return [str(it) for it in compare_metadata(context, all_tables())]


def _is_no_partition(name: str | None, kind: str, _parents: Mapping[str, str | None]) -> bool:
    return kind != "table" or not _PARTITION.search(name or "")


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


@contextlib.contextmanager
def _connection(dsn: str) -> Iterator[Connection]:
    # SQLAlchemy would not understand a DSN with several servers.
    engine = create_engine(
        "postgresql+psycopg2://",
        poolclass=NullPool,
        creator=lambda: psycopg2.connect(dsn, connect_timeout=10),
    )
    try:
        connection = engine.connect()
    except OperationalError as error:
        raise DatabaseUnavailable(explained(str(error.orig).strip())) from None
    with connection:
        yield connection
