"""Files below the media root: whole or not at all, and never outside it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from nizam.errors import MediaUnavailable, NizamError, StorageFull
from nizam.media.folder import MediaFolder

NAME = "0" * 64 + ".wav"


@pytest.fixture
def folder(media_root: Path) -> MediaFolder:
    return MediaFolder(media_root)


def write(folder: MediaFolder, directory: str, name: str, content: bytes) -> None:
    draft = folder.begin(directory)
    os.write(draft.fd, content)
    draft.keep(name)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_file_is_there_whole_once_it_is_kept(folder: MediaFolder, media_root: Path) -> None:
    draft = folder.begin("t1/prompts/p1")
    os.write(draft.fd, b"sound")
    place = media_root / "t1" / "prompts" / "p1"
    assert not (place / NAME).exists()
    draft.keep(NAME)
    assert (place / NAME).read_bytes() == b"sound"
    assert [it.name for it in place.iterdir()] == [NAME]
    with folder.open(f"t1/prompts/p1/{NAME}") as file:
        assert file.read() == b"sound"


def test_a_draft_that_is_dropped_leaves_nothing(folder: MediaFolder, media_root: Path) -> None:
    before = open_descriptors()
    folder.begin("t1/prompts/p1").drop()
    assert list((media_root / "t1" / "prompts" / "p1").iterdir()) == []
    assert open_descriptors() == before


def test_only_owner_and_group_may_read_whatever_the_umask(
    folder: MediaFolder, media_root: Path
) -> None:
    before = os.umask(0o077)
    try:
        write(folder, "t1/prompts/p1", NAME, b"")
    finally:
        os.umask(before)
    file = media_root / "t1" / "prompts" / "p1" / NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    for directory in file.relative_to(media_root).parents[:-1]:
        assert stat.S_IMODE((media_root / directory).stat().st_mode) == 0o770


def test_the_group_of_the_root_is_handed_down(folder: MediaFolder, media_root: Path) -> None:
    media_root.chmod(0o2770)
    write(folder, "t1/prompts/p1", NAME, b"")
    assert (media_root / "t1" / "prompts").stat().st_mode & stat.S_ISGID


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_a_symbolic_link_is_not_followed_at_any_depth(
    folder: MediaFolder, media_root: Path, tmp_path: Path, depth: int
) -> None:
    path = f"t1/prompts/p1/{NAME}"
    outside = tmp_path / "outside"
    target = outside.joinpath(*path.split("/")[depth:])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"secret")
    link = media_root.joinpath(*path.split("/")[:depth])
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    with pytest.raises(MediaUnavailable):
        folder.open(path)
    if depth < 4:
        with pytest.raises(MediaUnavailable):
            folder.begin("t1/prompts/p1")
    folder.remove(path)
    assert target.read_bytes() == b"secret"


def test_a_file_takes_the_place_of_a_link_without_writing_through_it(
    folder: MediaFolder, media_root: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    place = media_root / "t1" / "prompts" / "p1"
    place.mkdir(parents=True)
    (place / NAME).symlink_to(victim)
    write(folder, "t1/prompts/p1", NAME, b"sound")
    assert victim.read_bytes() == b"precious"
    assert not (place / NAME).is_symlink()


@pytest.mark.parametrize(
    "path",
    [
        "../x.wav",
        "t1/../../x.wav",
        "/etc/passwd",
        "t1//x.wav",
        "t1/./x.wav",
        "T1/x\0.wav",
        "..",
        "",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(folder: MediaFolder, path: str) -> None:
    with pytest.raises(MediaUnavailable):
        folder.open(path)
    with pytest.raises(MediaUnavailable):
        folder.begin(f"t1/{path}/x")


def test_what_is_no_file_is_not_opened(folder: MediaFolder, media_root: Path) -> None:
    (media_root / "t1").mkdir()
    os.mkfifo(media_root / "t1" / "pipe.wav")
    with pytest.raises(MediaUnavailable):
        folder.open("t1/pipe.wav")


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EROFS, MediaUnavailable),
        (errno.EIO, MediaUnavailable),
        (errno.ESTALE, MediaUnavailable),
    ],
)
@pytest.mark.parametrize("step", ["fsync", "rename", "fchmod"])
def test_a_file_system_that_fails_leaves_no_half_file(
    folder: MediaFolder,
    media_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    number: int,
    error: type[NizamError],
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    draft = folder.begin("t1/prompts/p1")
    before = open_descriptors()
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(error):
        draft.keep(NAME)
    assert list((media_root / "t1" / "prompts" / "p1").iterdir()) == []
    assert open_descriptors() == before - 2


def test_a_root_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path / "not-mounted")
    with pytest.raises(MediaUnavailable):
        folder.begin("t1")
    with pytest.raises(MediaUnavailable):
        list(folder.files())
    with pytest.raises(MediaUnavailable):
        folder.check()
    assert not (tmp_path / "not-mounted").exists()


def test_removing_takes_the_empty_directories_with_it(
    folder: MediaFolder, media_root: Path
) -> None:
    write(folder, "t1/prompts/p1", NAME, b"")
    write(folder, "t1/prompts/p2", NAME, b"")
    assert folder.remove(f"t1/prompts/p1/{NAME}")
    assert [it.name for it in (media_root / "t1" / "prompts").iterdir()] == ["p2"]
    assert not folder.remove(f"t1/prompts/p1/{NAME}")
    assert folder.remove(f"t1/prompts/p2/{NAME}")
    assert list(media_root.iterdir()) == []


def test_what_was_written_meanwhile_is_not_removed(folder: MediaFolder, media_root: Path) -> None:
    write(folder, "t1/prompts/p1", NAME, b"")
    path = f"t1/prompts/p1/{NAME}"
    os.utime(media_root / path, (1000, 1000))
    assert not folder.remove(path, written_before=1000)
    assert folder.remove(path, written_before=1001)


def test_a_file_that_is_touched_counts_as_written_now(
    folder: MediaFolder, media_root: Path
) -> None:
    write(folder, "t1/prompts/p1", NAME, b"")
    path = f"t1/prompts/p1/{NAME}"
    os.utime(media_root / path, (1000, 1000))
    folder.touch(path)
    assert not folder.remove(path, written_before=2000)
    with pytest.raises(MediaUnavailable):
        folder.touch("t1/prompts/p1/no.wav")


def test_every_file_is_listed_the_unfinished_ones_too(
    folder: MediaFolder, media_root: Path
) -> None:
    write(folder, "t1/prompts/p1", NAME, b"")
    draft = folder.begin("t1/music-on-hold/m1")
    (media_root / "t1" / "prompts" / "p1" / "link.wav").symlink_to("/etc/passwd")
    found = sorted(it.path for it in folder.files())
    assert found == [f"t1/music-on-hold/m1/{draft.name}", f"t1/prompts/p1/{NAME}"]
    draft.drop()


def test_all_of_a_tenant_goes_some_files_at_a_time(folder: MediaFolder, media_root: Path) -> None:
    outside = media_root.parent / "outside"
    outside.mkdir()
    (outside / "kept.wav").write_bytes(b"")
    for number in range(3):
        write(folder, f"t1/prompts/p{number}", NAME, b"")
    write(folder, "t2/prompts/p1", NAME, b"")
    folder.begin("t1/music-on-hold/m1")
    (media_root / "t1" / "prompts" / "file-link").symlink_to(outside / "kept.wav")
    (media_root / "t1" / "folder-link").symlink_to(outside)
    removed: list[int] = []
    while not removed or removed[-1]:
        removed.append(folder.remove_below("t1", 2))
    assert sum(removed) == 5
    assert max(removed) == 2
    assert [it.name for it in media_root.iterdir()] == ["t2"]
    assert [it.name for it in outside.iterdir()] == ["kept.wav"]
    assert folder.remove_below("t1", 2) == 0
    media_root.rename(media_root.parent / "unmounted")
    with pytest.raises(MediaUnavailable):
        folder.remove_below("t2", 2)
