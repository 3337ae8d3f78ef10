"""Putting what is in a backup into servers that are empty: real ones and scratch ones alike."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg2
from psycopg2 import sql

from nizam.embedded.process import EmbeddedServerError
from nizam.embedded.redis import PrivateRedis
from nizam.ops.backup.database import answers, connected
from nizam.ops.backup.errors import BackupError, Damaged
from nizam.ops.backup.manifest import DatabaseFacts, Manifest, RedisFacts
from nizam.ops.backup.programs import connection_of, find_program, run
from nizam.ops.backup.redis_connection import RedisConnection
from nizam.ops.backup.writing import Progress, facts_of
from nizam.store.migrate import knows

APPLICATION: Final = "nizam restore"

_POLICIES: Final = """
select c.oid::regclass::text, p.polname from pg_policy p join pg_class c on c.oid = p.polrelid
where (select oid from pg_roles where rolname = %s) = any(p.polroles)
"""


def check_files(backup: Path, manifest: Manifest, progress: Progress) -> Iterator[str]:
    """What is wrong with the files that the manifest names, one line for each."""
    for name, facts in manifest.files.items():
        path = backup / name
        if not path.is_file():
            yield f"{name} is missing"
            continue
        found = facts_of(path, progress)
        if found.bytes != facts.bytes:
            yield f"{name} has {found.bytes} bytes, and {facts.bytes} were written"
        elif found != facts:
            yield f"{name} is not what was written: its SHA-256 is another"


def check_version(manifest: Manifest) -> None:
    """BackupError when the backup is of a newer NIZAM than this one."""
    revision = manifest.database.revision
    if not knows(revision):
        raise BackupError(
            f"the backup was made by NIZAM {manifest.nizam_version}, whose tables ({revision}) are "
            "newer than this NIZAM: install that version or a newer one, and restore with it"
        )


def load_database(dsn: str, backup: Path, facts: DatabaseFacts, progress: Progress) -> list[str]:
    """Fill the empty database at `dsn`, whole or not at all; the roles that were made for it.

    Everything belongs to the role of `dsn` afterwards, whoever it belonged to before.
    """
    dump_major = int(facts.dump_version.split(".")[0])
    with connected(dsn, APPLICATION) as connection:
        server_major = connection.server_version // 10_000
        if server_major < facts.server_major:
            raise BackupError(
                f"the backup is of PostgreSQL {facts.server_version}, and the server is "
                f"{server_major}: restore it to version {facts.server_major} or newer"
            )
        made = _make_roles(connection, facts)
    program = find_program(
        "pg_restore", dump_major, f"the backup was made by pg_dump {facts.dump_version}"
    )
    address, environment = connection_of(dsn, APPLICATION)
    command = [
        *(str(program.path), f"--dbname={address}", "--no-owner", "--no-password"),
        *("--single-transaction", "--exit-on-error", str(backup / facts.file)),
    ]
    progress("restoring PostgreSQL", 0)
    run(
        command,
        environment,
        lambda: answers(dsn),
        lambda: progress("restoring PostgreSQL", 0),
    )
    with connected(dsn, APPLICATION) as connection:
        _take_policies(connection, facts.owner)
        return _without_owner(connection, made, facts.owner)


def _make_roles(connection: Any, facts: DatabaseFacts) -> list[str]:
    """Have the roles that rights and policies name: without login, as nobody uses them so far."""
    made = []
    with connection.cursor() as cursor:
        for role in dict.fromkeys((facts.owner, *facts.roles)):
            cursor.execute("select from pg_roles where rolname = %s", (role,))
            if cursor.rowcount:
                continue
            try:
                cursor.execute(sql.SQL("create role {} nologin").format(sql.Identifier(role)))
            except psycopg2.errors.InsufficientPrivilege:
                raise BackupError(
                    f"the backup names the role {role}, which is not here and which this role may "
                    f'not make: create role "{role}" nologin; or give it CREATEROLE'
                ) from None
            made.append(role)
        cursor.execute("select pg_has_role('nizam_tenant', 'member')")
        if not cursor.fetchone()[0]:
            cursor.execute("grant nizam_tenant to current_user")
    return made


def _take_policies(connection: Any, owner: str) -> None:
    """The policies that let the owner through are of the role that was the owner then."""
    with connection.cursor() as cursor:
        cursor.execute("select current_user")
        if cursor.fetchone()[0] == owner:
            return
        cursor.execute(_POLICIES, (owner,))
        for table, policy in cursor.fetchall():
            cursor.execute(
                sql.SQL("alter policy {} on " + table + " to current_user").format(
                    sql.Identifier(policy)
                )
            )


def _without_owner(connection: Any, made: list[str], owner: str) -> list[str]:
    if owner not in made:
        return made
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("drop role {}").format(sql.Identifier(owner)))
    except psycopg2.errors.DependentObjectsStillExist:
        return made
    return [it for it in made if it != owner]


@contextmanager
def scratch_redis(backup: Path, facts: RedisFacts) -> Iterator[RedisConnection]:
    """A server of our own that has loaded a dump. Damaged when it cannot."""
    with tempfile.TemporaryDirectory(prefix="nizam-redis-") as folder:
        server = PrivateRedis(Path(folder, "redis"), durable=False, dump=backup / facts.file)
        try:
            server.start()
        except EmbeddedServerError as error:
            raise Damaged(
                f"{facts.file}, of Redis {facts.version}, cannot be loaded: {error.detail}"
            ) from None
        try:
            with RedisConnection.to(
                server.host, server.port, password=server.password, database=facts.database
            ) as connection:
                yield connection
        finally:
            server.stop()
