"""Backups as the doctor sees them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2

from nizam.ops.backup import verification
from nizam.ops.backup.folder import name_of
from nizam.ops.backup.verify import Check, Verified
from nizam.ops.doctor import Area, Finding
from nizam.ops.doctor.backups import judge_age, judge_room, judge_verified
from nizam.store.system.backups import NOTE as NOTED
from tests.database_settings import database_settings
from tests.ops.backup.test_manifest import manifest_at, put
from tests.ops.doctor.findings import FAILURE, NOTE, WARNING, found_with, is_right, is_wrong

BACKUPS = Area.BACKUPS
GONE = {"DB_PORT": "1", "NIZAM_MEDIA_ROOT": "/nowhere"}
NOW = datetime.now(UTC)


def backup(folder: Path, days: int = 0) -> Path:
    """A backup that ended so many days ago: a manifest, and the file that it names."""
    moment = NOW - timedelta(days=days)
    manifest = manifest_at(moment, name_of(moment))
    path = put(folder / manifest.name, manifest).parent
    (path / "postgresql.dump").write_bytes(b"PGDMP")
    return path


def verified(path: Path, problem: str = "", days: int = 0) -> None:
    """Notes that it was verified so many days ago."""
    check = Check(name="postgresql", found="3 rows", problems=(problem,) if problem else ())
    manifest = manifest_at(NOW, path.name)
    it = Verified(path=path, manifest=manifest, checks=(check,))
    verification.keep(it, NOW - timedelta(days=days))


def found_in(folder: Path, **more: str) -> list[Finding]:
    return found_with(GONE | {"NIZAM_BACKUP_FOLDER": str(folder)} | more, BACKUPS)


def test_a_backup_of_tonight_that_was_verified_is_well(tmp_path: Path, database: str) -> None:
    verified(backup(tmp_path, 7))
    backup(tmp_path)
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(NOTED, {"part": "postgresql", "name": "b", "finished_at": NOW, "bytes": 5})
    connection.close()
    found = found_in(tmp_path, **database_settings(database))
    is_right(found, "backups.age", "backups.folder", "backups.whole", "backups.verified")
    is_right(found, "backups.room")


def test_no_backup_and_an_old_one_are_told_of(tmp_path: Path, database: str) -> None:
    found = found_in(tmp_path, **database_settings(database))
    is_wrong(found, "backups.age", WARNING, "never been one")
    old = [judge_age(NOW - timedelta(hours=27), NOW)]
    is_wrong(old, "backups.age", WARNING, "ended 27 hours ago")
    older = [judge_age(NOW - timedelta(days=8), NOW)]
    is_wrong(older, "backups.age", FAILURE, "ended 8 days ago")
    is_wrong(found_in(tmp_path), "backups.age", NOTE, "not known: connection to server")


def test_a_folder_that_says_nothing_is_told_of(tmp_path: Path) -> None:
    is_wrong(found_in(tmp_path / "none"), "backups.folder", NOTE, "not on this machine")
    beside = found_in(tmp_path, NIZAM_MEDIA_ROOT=str(tmp_path))
    is_wrong(beside, "backups.folder", NOTE, "on one disk")
    (tmp_path / "file").touch()
    is_wrong(found_in(tmp_path / "file"), "backups.folder", WARNING, "cannot be read")


def test_a_backup_that_is_not_whole_is_told_of(tmp_path: Path) -> None:
    older, newest = backup(tmp_path, 1), backup(tmp_path)
    (newest / "postgresql.dump").write_bytes(b"PG")
    is_wrong(found_in(tmp_path), "backups.whole", FAILURE, "dump has 2 bytes, and had 5")
    (newest / "postgresql.dump").unlink()
    is_wrong(found_in(tmp_path), "backups.whole", FAILURE, "dump: No such file")
    (older / "manifest.json").write_text("{}")
    is_wrong(found_in(tmp_path), "backups.whole", WARNING, "is no manifest")
    (newest / "manifest.json").unlink()
    is_wrong(found_in(tmp_path), "backups.whole", FAILURE, "it has no manifest.json")


def test_backups_that_nobody_has_restored_are_told_of(tmp_path: Path) -> None:
    path = backup(tmp_path)
    is_wrong(found_in(tmp_path), "backups.verified", WARNING, "was ever verified")
    verified(path, days=20)
    is_wrong(found_in(tmp_path), "backups.verified", WARNING, "found good 20 days ago")
    verified(path, problem="tenants has 2 rows when restored, and had 3")
    is_wrong(found_in(tmp_path), "backups.verified", FAILURE, "not good: postgresql: tenants has 2")
    (path / verification.FILE).write_text("{")
    is_wrong(found_in(tmp_path), "backups.verified", WARNING, "was ever verified")
    good = verification.Verification(verified_at=NOW, good=True)
    bad = verification.Verification(verified_at=NOW - timedelta(days=1), good=False, problem="x")
    is_right([judge_verified("f", [("b", good), ("a", bad)], NOW)], "backups.verified")


def test_room_for_the_next_one_is_judged() -> None:
    is_right([judge_room("f", 10, 20)], "backups.room")
    is_wrong([judge_room("f", 10, 19)], "backups.room", WARNING, "are free")
    is_wrong([judge_room("f", 10, 9)], "backups.room", FAILURE, "are free")
