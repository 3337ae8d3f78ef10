"""The media root: whole in every backup, stored once, put back where it is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nizam.ops.backup.errors import BackupError, Damaged
from nizam.ops.backup.manifest import TreeFacts
from nizam.ops.backup.tree import check, copy, entries, put_back
from tests.ops.backup.conftest import quiet


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A media root with some files."""
    root = tmp_path / "media"
    for name, content in {"a.wav": b"aaaa", "t/recordings/b.wav": b"bb", "t/c.wav": b""}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def copied(root: Path, backup: Path, before: Path | None = None) -> TreeFacts:
    backup.mkdir()
    return copy(root, backup, before, quiet)[0]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(it.relative_to(folder)): it.read_bytes() for it in folder.rglob("*") if it.is_file()
    }


def test_every_backup_has_all_files_and_what_is_old_takes_no_room(
    root: Path, tmp_path: Path
) -> None:
    assert copied(root, tmp_path / "1").linked == 0
    (root / "new.wav").write_bytes(b"new")
    (root / "a.wav").write_bytes(b"other")
    facts = copied(root, tmp_path / "2", tmp_path / "1")
    assert (facts.files, facts.bytes, facts.linked) == (4, 10, 2)
    assert files(tmp_path / "2" / "media") == files(root)
    assert files(tmp_path / "1" / "media")["a.wav"] == b"aaaa"
    same = [tmp_path / it / "media/t/recordings/b.wav" for it in "12"]
    assert same[0].samefile(same[1])


def test_links_and_what_is_no_file_are_not_followed(root: Path, tmp_path: Path) -> None:
    (root / "out").symlink_to("/etc")
    (root / "passwd").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe")
    copied(root, tmp_path / "1")
    assert {it.path for it in entries(tmp_path / "1")} == {"a.wav", "t/recordings/b.wav", "t/c.wav"}


def test_folders_that_are_not_wanted_are_left_out(root: Path, tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    copy(root, tmp_path / "1", None, quiet, lambda folder: folder != "t/recordings")
    assert set(files(tmp_path / "1" / "media")) == {"a.wav", "t/c.wav"}


def test_a_byte_that_has_changed_and_a_file_that_is_missing_are_found(
    root: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "1"
    copied(root, backup)
    assert list(check(backup, quiet)) == []
    (backup / "media/a.wav").write_bytes(b"aaab")
    (backup / "media/t/c.wav").unlink()
    assert sorted(check(backup, quiet)) == [
        "media/a.wav is not what was written: its SHA-256 is another",
        "media/t/c.wav cannot be read: No such file or directory",
    ]


def test_what_is_missing_is_put_back_and_nothing_else_is_touched(
    root: Path, tmp_path: Path
) -> None:
    backup, before = tmp_path / "1", files(root)
    copied(root, backup)
    (root / "t/recordings/b.wav").unlink()
    (root / "t/recordings").rmdir()
    (root / "a.wav").write_bytes(b"changed")
    (root / "new.wav").write_bytes(b"new")
    put = put_back(backup, root, False, quiet)
    assert (put.restored, put.present, put.different) == (1, 1, ("a.wav",))
    assert files(root) == before | {"a.wav": b"changed", "new.wav": b"new"}
    assert put_back(backup, root, True, quiet).restored == 1
    assert files(root) == before | {"new.wav": b"new"}
    assert put_back(backup, root, True, quiet).restored == 0, "their times were put back too"


def test_a_damaged_file_is_not_put_back(root: Path, tmp_path: Path) -> None:
    copied(root, tmp_path / "1")
    (tmp_path / "1/media/a.wav").write_bytes(b"aaab")
    (root / "a.wav").unlink()
    with pytest.raises(Damaged, match=r"a\.wav is not what was written"):
        put_back(tmp_path / "1", root, False, quiet)
    assert not list(root.glob("*a.wav*"))


@pytest.mark.parametrize("path", ["/etc/cron.d/x", "../x", "a/../../x"])
def test_a_list_that_leads_out_of_the_root_is_refused(
    root: Path, tmp_path: Path, path: str
) -> None:
    backup = tmp_path / "1"
    copied(root, backup)
    listing = backup / "media.list"
    listing.write_bytes(listing.read_bytes().replace(b'"a.wav"', f'"{path}"'.encode()))
    with pytest.raises(BackupError, match="is no path below the root"):
        put_back(backup, tmp_path / "other", False, quiet)
