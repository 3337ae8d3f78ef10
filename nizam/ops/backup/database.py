"""PostgreSQL for a backup: one snapshot of it, counted and dumped.

`pg_dump` works in the very snapshot in which the rows were counted, so that what is restored can be
compared to the row. The tables have row-level security that binds even their owner, who has a
policy of its own that lets it through: `pg_dump` is told to go by the policies, as otherwise it
refuses tables that have any unless a superuser asks.
"""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import attrs
import orjson
import psycopg2
import psycopg2.extensions
from psycopg2 import sql

from nizam.ops.backup.errors import BackupError, PeerUnreachable
from nizam.ops.backup.manifest import DatabaseFacts, FileFacts, SecretFacts
from nizam.ops.backup.programs import connection_of, find_program, run
from nizam.ops.backup.writing import Progress, facts_of, new_file, said
from nizam.store import secret_rotation
from nizam.store.system.secret_keys import STORED_KEY_ID

APPLICATION: Final = "nizam backup"
CONNECT_SECONDS: Final = 10
LOCK_SECONDS: Final = 60
"""How long is waited for a table that a migration holds."""
_BATCH: Final = 1000

_TABLES = """
select c.oid::regclass::text, n.nspname, c.relname from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^(pg_|information_schema$)'
order by n.nspname, c.relname
"""
_ROLES = """
with named as (
    select (aclexplode(relacl)).grantee as oid from pg_class
    where relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
    union select unnest(polroles) from pg_policy
    union select (aclexplode(nspacl)).grantee from pg_namespace where nspname !~ '^pg_'
    union select (aclexplode(proacl)).grantee from pg_proc
    where pronamespace::regnamespace::text !~ '^(pg_|information_schema$)'
    union select (aclexplode(defaclacl)).grantee from pg_default_acl
)
select rolname from named join pg_roles using (oid) where rolname !~ '^pg_' order by 1
"""
_FACTS = """
select current_database(), current_user, now(),
    case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
    current_setting('server_version'), pg_database_size(current_database())
"""
_OBJECTS = """
select id, tenant_id, object_key, bytes, sha256 from recordings
where storage = 's3' and object_key is not null and state = 'available' order by id
"""


@contextlib.contextmanager
def connected(dsn: str, application: str = APPLICATION) -> Iterator[Any]:
    """A connection in which every statement is a transaction of its own, until told otherwise.

    Raises PeerUnreachable when there is none, or when it is lost.
    """
    try:
        with closing(
            psycopg2.connect(dsn, connect_timeout=CONNECT_SECONDS, application_name=application)
        ) as connection:
            connection.autocommit = True
            yield connection
    except psycopg2.errors.LockNotAvailable:
        raise BackupError(
            f"a table was locked for more than {LOCK_SECONDS} s, as by a migration: try again"
        ) from None
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise PeerUnreachable(f"PostgreSQL: {' '.join(str(error).split())}") from None
    except psycopg2.errors.InsufficientPrivilege as error:
        raise BackupError(f"PostgreSQL refuses: {' '.join(str(error).split())}") from None


def answers(dsn: str) -> bool:
    """Whether the server still answers."""
    try:
        with connected(dsn):
            return True
    except BackupError:
        return False


@attrs.frozen
class Snapshot:
    """One state of the database, read through a transaction that stays open."""

    dsn: str
    connection: Any
    identifier: str
    facts: tuple[Any, ...]

    @classmethod
    @contextlib.contextmanager
    def of(cls, dsn: str) -> Iterator[Snapshot]:
        """The state of this moment, for as long as the context is open."""
        with connected(dsn) as connection:
            connection.set_session(
                isolation_level=psycopg2.extensions.ISOLATION_LEVEL_REPEATABLE_READ,
                readonly=True,
                autocommit=False,
            )
            with connection.cursor() as cursor:
                cursor.execute("set statement_timeout = 0")
                cursor.execute(f"set lock_timeout = '{LOCK_SECONDS}s'")
                cursor.execute("set idle_in_transaction_session_timeout = 0")
                cursor.execute("select pg_export_snapshot()")
                identifier = cursor.fetchone()[0]
                cursor.execute(_FACTS)
                facts = cursor.fetchone()
            yield cls(dsn, connection, identifier, facts)

    @property
    def bytes(self) -> int:
        """What the database takes on the server's disk."""
        return int(self.facts[5])

    def dump(self, path: Path, progress: Progress) -> tuple[DatabaseFacts, FileFacts]:
        """Write the custom format of pg_dump to `path`; what is in it, and the file's own facts."""
        database, owner, moment, position, version, _ = self.facts
        version = version.split()[0]
        major = int(version.split(".")[0])
        program = find_program("pg_dump", major, f"the server is PostgreSQL {version}")
        revision = self._revision()
        tables = self._counts(progress)
        self._dump(program.path, path, progress)
        with self.connection.cursor() as cursor:
            cursor.execute(_ROLES)
            roles = tuple(row[0] for row in cursor.fetchall())
        facts = DatabaseFacts(
            file=path.name,
            database=database,
            server_version=version,
            dump_version=program.version,
            revision=revision,
            wal_position=str(position),
            snapshot_at=moment,
            owner=owner,
            roles=roles,
            tables=tables,
        )
        return facts, facts_of(path, progress)

    def _revision(self) -> str:
        with self.connection.cursor() as cursor:
            cursor.execute("select to_regclass('alembic_version')")
            if cursor.fetchone()[0] is None:
                raise BackupError("the database is not migrated, so there is nothing to back up")
            cursor.execute("select version_num from alembic_version")
            return str(cursor.fetchone()[0])

    def _counts(self, progress: Progress) -> dict[str, int]:
        return counts(self.connection, progress)

    def _dump(self, program: Path, path: Path, progress: Progress) -> None:
        connection, environment = connection_of(self.dsn, APPLICATION)
        command = [
            *(str(program), f"--dbname={connection}", f"--file={path}", "--format=custom"),
            *(f"--snapshot={self.identifier}", "--enable-row-security", "--no-password"),
            f"--lock-wait-timeout={LOCK_SECONDS}s",
        ]

        def tick() -> None:
            with contextlib.suppress(FileNotFoundError):
                progress("PostgreSQL", path.stat().st_size)

        with said(path):
            # It would be made for others to read.
            path.touch(mode=0o600, exist_ok=False)
        run(command, environment, lambda: answers(self.dsn), tick)

    def secrets(self) -> SecretFacts:
        """Which keys have encrypted how much of it."""
        found = secret_rotation.counts_of(self.connection)
        total: dict[str, int] = {}
        for it in found.values():
            for key, number in it.items():
                total[key] = total.get(key, 0) + number
        with self.connection.cursor() as cursor:
            cursor.execute("select from secret_keys where id = %s", (STORED_KEY_ID,))
            return SecretFacts(keys=total, stored_key=cursor.rowcount > 0)

    def list_objects(self, path: Path) -> tuple[int, int, FileFacts]:
        """Write one line for each recording that is in object storage, compressed; how many they
        are, and their bytes."""
        number = size = 0
        with new_file(path) as file:
            with (
                gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as compressed,  # type: ignore[call-overload]
                self.connection.cursor(name="objects") as cursor,
            ):
                cursor.itersize = _BATCH
                cursor.execute(_OBJECTS)
                names = ("recording_id", "tenant_id", "object_key", "bytes", "sha256")
                for row in cursor:
                    line = dict(zip(names, (str(row[0]), str(row[1]), *row[2:]), strict=True))
                    compressed.write(orjson.dumps(line) + b"\n")
                    number += 1
                    size += row[3] or 0
            return number, size, file.facts


def counts(connection: Any, progress: Progress) -> dict[str, int]:
    """How many rows each table has, partitions by themselves."""
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        for shown, schema, table in cursor.fetchall():
            cursor.execute(
                sql.SQL("select count(*) from only {}").format(sql.Identifier(schema, table))
            )
            found[shown] = int(cursor.fetchone()[0])
            progress(f"counting {shown}", 0)
    return found
