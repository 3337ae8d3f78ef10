"""The folder of backups: one is made at a time, none is there before it is whole, old ones go."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from nizam.ops.backup.errors import BackupError
from nizam.ops.backup.folder import BackupFolder, name_of
from tests.ops.backup.test_manifest import NOW, manifest_at, put


def with_backups(path: Path, *ages: int) -> BackupFolder:
    """A folder with backups of so many days ago."""
    for days in ages:
        moment = NOW - timedelta(days=days)
        put(path / name_of(moment), manifest_at(moment, name_of(moment)))
    return BackupFolder(path)


def names(folder: BackupFolder) -> list[str]:
    return [it.path.name for it in folder.backups()]


def test_a_backup_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    folder = BackupFolder(tmp_path / "new")
    with folder.locked():
        unfinished = folder.begin("2026-03-04T050607Z")
        assert names(folder) == []
        (unfinished / "manifest.json").write_bytes(b"")
        assert folder.keep(unfinished) == tmp_path / "new" / "2026-03-04T050607Z"
    assert names(folder) == ["2026-03-04T050607Z"]
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_two_are_not_made_at_once(tmp_path: Path) -> None:
    folder = BackupFolder(tmp_path)
    refused = pytest.raises(BackupError, match=r"another backup .*process \d+")
    with folder.locked(), refused, folder.locked():
        pytest.fail("it was let in")
    with folder.locked():
        pass


def test_what_a_killed_one_has_left_is_removed_by_the_next(tmp_path: Path) -> None:
    folder = BackupFolder(tmp_path)
    with folder.locked():
        (folder.begin("2026-03-04T050607Z") / "half").write_text("x")
    with folder.locked():
        assert [it.name for it in tmp_path.iterdir()] == [".lock"]


def test_old_ones_go_and_the_rest_stays(tmp_path: Path) -> None:
    folder = with_backups(tmp_path, 0, 29, 31, 60)
    gone = [name_of(NOW - timedelta(days=it)) for it in (31, 60)]
    assert folder.rotate(NOW, 30) == gone
    assert names(folder) == [name_of(NOW - timedelta(days=it)) for it in (0, 29)]


def test_the_last_good_one_stays_however_old_it_is(tmp_path: Path) -> None:
    folder = with_backups(tmp_path, 100, 200)
    damaged = tmp_path / name_of(NOW)
    damaged.mkdir()
    assert folder.rotate(NOW, 30) == [name_of(NOW - timedelta(days=200))]
    assert names(folder) == [name_of(NOW), name_of(NOW - timedelta(days=100))]


@pytest.mark.parametrize("name", ["precious", "2020-01-01", "2020-01-01T000000Z"])
def test_what_is_no_backup_of_ours_is_never_removed(tmp_path: Path, name: str) -> None:
    folder = with_backups(tmp_path, 0, 1)
    (tmp_path / name).mkdir()
    (tmp_path / name / "data").write_text("x")
    assert folder.rotate(NOW, 1) == []
    assert folder.rotate(NOW + timedelta(days=9), 1) == [name_of(NOW - timedelta(days=1))]
    assert (tmp_path / name / "data").read_text() == "x"


def test_none_goes_when_they_are_kept_for_ever(tmp_path: Path) -> None:
    assert with_backups(tmp_path, 0, 4000).rotate(NOW, 0) == []


def test_the_newest_that_can_be_read_is_meant_without_a_name(tmp_path: Path) -> None:
    folder = with_backups(tmp_path, 1, 2)
    (tmp_path / name_of(NOW)).mkdir()
    assert folder.find(None).name == name_of(NOW - timedelta(days=1))
    assert folder.find("other") == tmp_path / "other"
    assert folder.find("./other") == Path("other")
    with pytest.raises(BackupError, match="there is no backup in"):
        BackupFolder(tmp_path / "nothing").find(None)
