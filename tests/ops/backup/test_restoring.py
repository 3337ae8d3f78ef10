"""Restoring: everything comes back, what is in use is moved aside, and only when it is said."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from alembic import command

from nizam.embedded.redis import PrivateRedis
from nizam.ops.backup.errors import BackupError, Damaged
from nizam.ops.backup.make import Made
from nizam.ops.backup.redis_connection import RedisConnection
from nizam.ops.backup.restore import Wishes, carry_out, plan_restore
from nizam.ops.backup.target import State, Target
from nizam.store import migrate
from tests.cli.conftest import nizam
from tests.ops.backup.conftest import Installation, quiet


def ask(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def restored(installation: Installation, made: Made, wishes: Wishes | None = None) -> list[str]:
    wishes = wishes or Wishes()
    plan = plan_restore(installation.settings, made.path, wishes, quiet)
    return carry_out(installation.settings, plan, wishes, quiet)


@pytest.fixture
def elsewhere(
    installation: Installation, empty_database: str, other_redis: PrivateRedis, tmp_path: Path
) -> Installation:
    """The settings of a machine that has lost everything."""
    return installation.with_(
        DB_DATABASE=empty_database.rpartition("/")[2],
        REDIS_PORT=str(other_redis.port),
        REDIS_PASSWORD=other_redis.password,
        NIZAM_MEDIA_ROOT=str(tmp_path / "new-media"),
        NIZAM_FREESWITCH_CONFIGURATION=str(tmp_path / "new" / "freeswitch"),
    )


def test_an_older_backup_comes_back_whole_and_is_migrated(
    installation: Installation,
    elsewhere: Installation,
    redis: RedisConnection,
    database: str,
    empty_database: str,
    tmp_path: Path,
) -> None:
    with migrate._connection(database) as connection:
        command.downgrade(migrate._config(connection), "0026_replicas")
        connection.commit()
    before = ask(database, "select id, number, secrets::text from extensions")
    redis.ask("RPUSH", "nizam:intake:spill", "waits")
    made = installation.backup()
    assert "does not know of it" in made.warnings[0]

    done = restored(elsewhere, made)
    assert ask(empty_database, "select id, number, secrets::text from extensions") == before
    assert migrate.pending(empty_database) == []
    assert migrate.differences(empty_database) == []
    assert any(it.startswith("migrations: 00") for it in done), done
    assert (tmp_path / "new-media/t1/greeting.wav").read_bytes() == b"hello"
    beside = tmp_path / "new" / f"freeswitch.from-{made.manifest.name}"
    assert (beside / "sip_profiles/external.xml").read_text() == "<profile/>"
    with RedisConnection.to(
        "127.0.0.1",
        int(elsewhere.environment["REDIS_PORT"]),
        password=elsewhere.environment["REDIS_PASSWORD"],
    ) as it:
        assert it.ask("LRANGE", "nizam:intake:spill", 0, -1) == [b"waits"]


def test_a_database_in_use_is_moved_aside_and_redis_is_dumped(
    installation: Installation, elsewhere: Installation, empty_database: str
) -> None:
    made = installation.backup()
    ask(empty_database, "create table former (content text)")
    port, password = (elsewhere.environment[it] for it in ("REDIS_PORT", "REDIS_PASSWORD"))
    with RedisConnection.to("127.0.0.1", int(port), password=password) as it:
        it.ask("SET", "former", "x")
        for only in ("database", "redis"):
            with pytest.raises(BackupError, match="is not empty: with --replace"):
                restored(elsewhere, made, Wishes(only=(only,)))

        # Somebody who is still there is sent away.
        with contextlib.closing(psycopg2.connect(empty_database)):
            wishes = Wishes(replace=True, only=("database", "redis"))
            done = restored(elsewhere, made, wishes)
        assert it.ask("DBSIZE") == 0
    aside = done[0].split()[-2]
    try:
        assert aside.startswith(empty_database.rpartition("/")[2] + "_before_")
        beside = f"{empty_database.rpartition('/')[0]}/{aside}"
        assert ask(beside, "select count(*) from former") == [(0,)]
    finally:
        ask(empty_database, f"drop database {aside} with (force)")
    assert ask(empty_database, "select slug from tenants") == [("acme",)]
    assert len(list(installation.folder.path.glob("replaced-*-redis-1.rdb"))) == 1


def test_when_it_fails_the_database_is_as_it_was(
    installation: Installation, elsewhere: Installation, empty_database: str
) -> None:
    made = installation.backup()
    tables = {**made.manifest.database.tables, "tenants": 7}
    facts = made.manifest.database.model_copy(update={"tables": tables})
    ask(empty_database, "create table former (content text)")
    target = Target(elsewhere.settings.database.direct_dsn())
    with pytest.raises(Damaged, match="tenants has 1 rows when restored, and had 7"):
        target.replace(made.path, facts, "2026-03-04T050607Z", quiet)
    assert ask(empty_database, "select count(*) from former") == [(0,)]
    names = ask(empty_database, "select datname from pg_database where datname like '%restoring%'")
    assert names == []


def test_it_is_refused_while_an_instance_runs(
    installation: Installation, database: str, redis: RedisConnection
) -> None:
    made = installation.backup()
    with contextlib.closing(psycopg2.connect(database, application_name="nizam")):
        with pytest.raises(BackupError, match="instances are running: 1 connections of nizam"):
            restored(installation, made)
        forced = Wishes(force=True, replace=True, only=("database",))
        assert plan_restore(installation.settings, made.path, forced, quiet).parts == ("database",)
        # Files can be put back meanwhile.
        assert len(restored(installation, made, Wishes(only=("media",)))) == 1
    ask(
        database,
        "insert into leases values ('scheduler', 'instance-1', 1, now() + interval '1 minute')",
    )
    with pytest.raises(BackupError, match="running: instance-1 holds the lease scheduler"):
        restored(installation, made)


@contextlib.contextmanager
def changed_manifest(made: Made, **fields: Any) -> Iterator[None]:
    """The manifest with other facts about the database, signed as ours is."""
    path = made.path / "manifest.json"
    document = json.loads(path.read_bytes())
    del document["sha256"]
    document["database"] |= fields
    plain = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    document["sha256"] = hashlib.sha256(plain.encode()).hexdigest()
    before = path.read_bytes()
    path.write_text(json.dumps(document))
    yield
    path.write_bytes(before)


def test_what_cannot_be_restored_is_refused_before_anything_is_done(
    installation: Installation, elsewhere: Installation, empty_database: str
) -> None:
    made = installation.backup()
    target = Target(elsewhere.settings.database.direct_dsn())

    def refused(said: str, *arguments: str, status: int = 1) -> None:
        done = nizam("restore", made.path.name, *arguments, environment=elsewhere.environment)
        assert (done.exit_code, target.state()) == (status, State.EMPTY), done.output
        assert said in done.stderr

    refused("give --yes where nobody can be asked", status=2)
    both = ("--configuration-in-place", "--configuration-to", "/x", "--yes")
    refused("one of the two", *both, status=2)
    with changed_manifest(made, revision="9999_future"):
        refused("whose tables (9999_future) are newer than this NIZAM", "--yes")
    with changed_manifest(made, server_version="99.1"):
        # The checks of the plan have passed; the database was not begun.
        refused("the server is 1", "--yes", "--only", "database")
    name = made.manifest.database.file
    dump = (made.path / name).read_bytes()
    (made.path / name).write_bytes(dump[:-1] + bytes([dump[-1] ^ 1]))
    refused(f"{name} is not what was written: its SHA-256 is another", "--yes")
    (made.path / name).unlink()
    refused(f"{name} is missing", "--yes")
    shutil.rmtree(made.path)
    refused("is no backup", "--yes")


def test_a_part_that_the_backup_has_not_is_said(installation: Installation) -> None:
    done = nizam("backup", "--without-redis", environment=installation.environment)
    assert done.exit_code == 0, done.output
    name = installation.folder.backups()[0].path.name
    done = nizam("restore", name, "--only", "redis", environment=installation.environment)
    assert (done.exit_code, done.stderr) == (1, "the backup has no redis: --without-redis\n")


def test_the_former_configuration_is_moved_aside(installation: Installation) -> None:
    made = installation.backup()
    (installation.configuration / "freeswitch.xml").write_text("<new/>")
    wishes = Wishes(only=("configuration",), configuration_in_place=True)
    restored(installation, made, wishes)
    assert (installation.configuration / "freeswitch.xml").read_text() == "<document/>"
    aside = next(installation.configuration.parent.glob("freeswitch.before-*"))
    assert (aside / "freeswitch.xml").read_text() == "<new/>"
    wishes = Wishes(only=("configuration",), configuration_to=aside)
    with pytest.raises(BackupError, match="is there already"):
        restored(installation, made, wishes)
