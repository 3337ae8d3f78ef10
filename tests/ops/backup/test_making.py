"""A backup of real servers: everything is in it, or it is not there."""

from __future__ import annotations

import json
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nizam.ops.backup import make, programs
from nizam.ops.backup import manifest as manifests
from nizam.ops.backup.errors import BackupError, PeerUnreachable
from nizam.ops.backup.make import Wanted
from nizam.ops.backup.redis_connection import RedisConnection
from tests.cli.conftest import nizam
from tests.ops.backup.conftest import KEY, Installation


def test_everything_is_in_it(installation: Installation, redis: RedisConnection) -> None:
    redis.ask("SET", "nizam:mark", "x")
    made = installation.backup()
    it = manifests.read(made.path)
    assert it == made.manifest
    assert (it.database.tables["tenants"], it.database.tables["extensions"]) == (1, 1)
    assert it.database.revision in {p.stem for p in Path("nizam/store").rglob("0*.py")}
    assert it.secrets.keys == {"k1": 2}, "the password, and the one of its former configuration"
    assert it.redis[0].keys == 1
    assert (made.path / "redis.rdb").read_bytes()[:5] in (b"REDIS", b"VALKE")
    with tarfile.open(made.path / "freeswitch.tar.gz") as archive:
        assert "./sip_profiles/external.xml" in archive.getnames()
    assert it.media is not None
    assert (it.media.files, (made.path / "media/t1/greeting.wav").read_bytes()) == (2, b"hello")
    assert it.left_out == {}
    assert set(it.files) == {path.name for path in made.path.iterdir()} - {"manifest.json", "media"}
    assert {path.stat().st_mode & 0o077 for path in made.path.rglob("*")} == {0}
    assert KEY.partition(":")[2] not in (made.path / "manifest.json").read_text()


def test_what_is_left_out_is_said(installation: Installation) -> None:
    nowhere = installation.with_(NIZAM_FREESWITCH_CONFIGURATION="/nowhere/freeswitch")
    wanted = Wanted(redis=False, recordings=False)
    it = make.make_backup(nowhere.settings, nowhere.folder, wanted, lambda *_: None).manifest
    assert it.left_out == {
        "redis": "--without-redis",
        "freeswitch": "/nowhere/freeswitch is not on this machine (NIZAM_FREESWITCH_CONFIGURATION)",
        "recordings": "--without-recordings",
    }
    assert (it.redis, it.freeswitch, it.media and it.media.files) == ((), None, 1)


def test_the_command_says_what_it_has_made(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = nizam(
        *("backup", "--json", "--without-media"),
        environment=installation.environment | {"NIZAM_SECRET_KEYS": ""},
    )
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["manifest"]["database"]["tables"]["tenants"] == 1
    assert document["warnings"] == ["secrets are under keys that are not configured here: k1"]
    assert "left out: media: --without-media" in done.stderr
    listed = nizam("backup", "list", "--json", environment=installation.environment)
    assert [it["name"] for it in json.loads(listed.stdout)] == [Path(document["path"]).name]


def broken(part: str) -> Any:
    def fail(*_: object) -> Any:
        raise BackupError(f"{part} is broken")

    return fail


@pytest.mark.parametrize("part", ["dump_redis", "archive.pack", "tree.copy", "write"])
def test_when_a_part_fails_nothing_is_left(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(f"nizam.ops.backup.make.{part}", broken(part))
    monkeypatch.setattr(make._Making, "_database", lambda self: _no_database())
    with pytest.raises(BackupError, match="is broken"):
        installation.backup()
    assert [it.name for it in installation.folder.path.iterdir()] == [".lock"]


def _no_database() -> tuple[Any, Any, Any]:
    from tests.ops.backup.test_manifest import NOW, manifest_at

    it = manifest_at(NOW)
    return it.database, None, it.secrets


def test_a_stop_leaves_nothing_and_ends_with_its_own_status(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> Iterator[None]:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("it went on")

    monkeypatch.setattr("nizam.ops.backup.make.dump_redis", stopped)
    done = nizam("backup", environment=installation.environment)
    assert done.exit_code == 143
    assert [it.name for it in installation.folder.path.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"DB_PORT": "1"}, "PostgreSQL: .*port 1"), ({"REDIS_PORT": "1"}, "Redis at 127.0.0.1:1: ")],
)
def test_a_server_that_is_away_is_3(
    installation: Installation, changed: dict[str, str], said: str
) -> None:
    with pytest.raises(PeerUnreachable, match=said):
        installation.with_(**changed).backup()
    done = nizam("backup", "--without-media", environment=installation.environment | changed)
    assert (done.exit_code, done.stdout) == (3, "")
    assert [it.name for it in installation.folder.path.iterdir()] == [".lock"]


def test_a_database_that_was_never_migrated_is_refused(
    installation: Installation, empty_database: str
) -> None:
    name = empty_database.rpartition("/")[2]
    with pytest.raises(BackupError, match="not migrated"):
        installation.with_(DB_DATABASE=name).backup(Wanted(redis=False))


def test_a_backup_is_not_put_into_what_it_backs_up(installation: Installation) -> None:
    inside = installation.media / "backups"
    done = nizam("backup", "--to", str(inside), environment=installation.environment)
    assert (done.exit_code, inside.exists()) == (1, False)
    assert "below the media root" in done.stderr


def test_a_pg_dump_that_is_too_old_is_said_with_what_to_install() -> None:
    with pytest.raises(BackupError, match=r"found 1\d.*install version 99 .*postgresql-client-99"):
        programs.find_program("pg_dump", 99, "the server is PostgreSQL 99.1")


def test_a_password_is_not_in_the_list_of_processes() -> None:
    address, environment = programs.connection_of("postgresql://u:hush@h:5/d?sslmode=disable", "x")
    assert "hush" not in address
    assert environment["PGPASSWORD"] == "hush"
    assert "sslmode=disable" in address


@pytest.mark.parametrize(
    ("script", "kind", "said"),
    [
        ("kill -9 $$", BackupError, "ended by signal 9: out of memory"),
        ("echo broken pipe >&2; exit 3", BackupError, "exit status 3: broken pipe"),
        ("echo 'No space left on device'; exit 1", BackupError, "the disk is full"),
        ("echo 'server closed the connection'; exit 1", PeerUnreachable, "has lost PostgreSQL"),
    ],
)
def test_a_program_that_fails_is_told_of(script: str, kind: type[BackupError], said: str) -> None:
    with pytest.raises(kind, match=said):
        programs.run(["/bin/sh", "-c", script], {}, lambda: True, lambda: None)


def test_a_program_whose_server_is_silent_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "ALIVE_SECONDS", 0.0)
    monkeypatch.setattr(programs, "SILENT_SECONDS", 0.0)
    with pytest.raises(PeerUnreachable, match="has not answered for 0 s; sleep was ended"):
        programs.run(["/bin/sleep", "20"], {}, lambda: False, lambda: None)
