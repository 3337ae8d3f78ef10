"""The media root in a backup: its files as they are, those that have not changed as hard links.

A file with the size and time that it had in the backup before is that file: it is linked and takes
no room, so that each backup is whole by itself and costs only what is new. `media.list` beside the
files has a line for each: path, bytes, time and SHA-256. Symbolic links and what is no file are not
followed and not copied. A file that vanishes meanwhile was deleted and is left out; one that
grows, a recording under way, is copied as far as it has come, and again in the next backup.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import attrs
import orjson

from nizam.ops.backup.errors import BackupError, Damaged
from nizam.ops.backup.manifest import FileFacts, TreeFacts
from nizam.ops.backup.writing import (
    CHUNK,
    FILE_MODE,
    FOLDER_MODE,
    Progress,
    new_file,
    said,
    sync_folder,
)

FOLDER: Final = "media"
LIST: Final = "media.list"
PASSING: Final = ".restored-part"
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@attrs.frozen
class Entry:
    """A file: its path below the root, and what was copied of it."""

    path: str
    bytes: int
    time_ns: int
    sha256: str


def copy(
    root: Path,
    backup: Path,
    before: Path | None,
    progress: Progress,
    enters: Callable[[str], bool] = lambda folder: True,
) -> tuple[TreeFacts, FileFacts]:
    """Copy what is below `root` into `backup`; `before` is the backup to link to. `enters` says
    of a folder's path below the root whether it is wanted."""
    known = {it.path: it for it in _known(before)}
    target = backup / FOLDER
    number = size = linked = 0
    made: list[Path] = []
    with said(target):
        target.mkdir(mode=FOLDER_MODE)
    with new_file(backup / LIST) as listing:
        for path, folder in _below(root, enters):
            if folder:
                made.append(target / path)
                with said(target / path):
                    (target / path).mkdir(mode=FOLDER_MODE)
                continue
            entry, same = _copy(root, path, target, before, known.get(path))
            if entry is None:
                continue
            listing.write(orjson.dumps(attrs.asdict(entry)) + b"\n")
            number += 1
            size += entry.bytes
            linked += same
            progress("media", size)
        facts = listing.facts
    for it in (target, *made):
        sync_folder(it)
    tree = TreeFacts(root=str(root), file=LIST, files=number, bytes=size, linked=linked)
    return tree, facts


def entries(backup: Path) -> Iterator[Entry]:
    """The files that the backup lists. Damaged when the list cannot be read."""
    path = backup / LIST
    try:
        with path.open("rb") as file:
            for line in file:
                entry = Entry(**orjson.loads(line))
                if entry.path.startswith("/") or ".." in entry.path.split("/"):
                    raise ValueError(f"{entry.path} is no path below the root")
                yield entry
    except (OSError, ValueError, TypeError) as error:
        raise Damaged(f"{path} cannot be read: {error}") from None


def check(backup: Path, progress: Progress) -> Iterator[str]:
    """What is wrong with the files of the backup, one line for each."""
    done = 0
    for entry in entries(backup):
        path = backup / FOLDER / entry.path
        try:
            found = _digest(path)
        except OSError as error:
            yield f"{FOLDER}/{entry.path} cannot be read: {error.strerror}"
            continue
        if found != (entry.bytes, entry.sha256):
            yield f"{FOLDER}/{entry.path} is not what was written: its SHA-256 is another"
        done += entry.bytes
        progress("checking media", done)


@attrs.frozen
class PutBack:
    """How many files were put back, were there already, and are there with another content."""

    restored: int
    present: int
    different: tuple[str, ...]


def put_back(backup: Path, root: Path, replace: bool, progress: Progress) -> PutBack:
    """Copy the files of the backup into `root`, where they are not there yet.

    One that is there with another size or time stays, unless `replace`; nothing is removed.
    """
    restored = present = done = 0
    different = []
    with said(root):
        root.mkdir(parents=True, exist_ok=True)
    owner = root.stat()
    for entry in entries(backup):
        path = root / entry.path
        state = _look(path)
        if state is not None and (state.st_size, state.st_mtime_ns) == (entry.bytes, entry.time_ns):
            present += 1
        elif state is not None and not replace:
            different.append(entry.path)
        else:
            _restore(backup / FOLDER / entry.path, path, root, owner, entry)
            restored += 1
        done += entry.bytes
        progress("media", done)
    return PutBack(restored, present, tuple(different))


def _restore(source: Path, path: Path, root: Path, owner: os.stat_result, entry: Entry) -> None:
    with said(path):
        for folder in reversed(path.relative_to(root).parents[:-1]):
            place = root / folder
            if not place.is_dir():
                place.mkdir(mode=0o770)
                _give(place, owner)
        passing = path.with_name(f".{path.name}{PASSING}")
        passing.unlink(missing_ok=True)
        with source.open("rb") as file, passing.open("xb") as copied:
            digest = hashlib.sha256()
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                copied.write(chunk)
            copied.flush()
            os.fchmod(copied.fileno(), 0o640)
            os.fsync(copied.fileno())
        if digest.hexdigest() != entry.sha256:
            passing.unlink()
            raise Damaged(f"{source} is not what was written: its SHA-256 is another")
        _give(passing, owner)
        os.utime(passing, ns=(entry.time_ns, entry.time_ns))
        passing.replace(path)


def _give(path: Path, owner: os.stat_result) -> None:
    """Have it belong to whom the root belongs to: only the superuser can."""
    if os.geteuid() == 0:
        os.chown(path, owner.st_uid, owner.st_gid)


def _below(root: Path, enters: Callable[[str], bool]) -> Iterator[tuple[str, bool]]:
    """The paths of folders and files below `root`, a folder before what is in it."""
    waiting = [""]
    while waiting:
        place = waiting.pop()
        with said(root / place, "read"):
            try:
                found = sorted(os.scandir(root / place), key=lambda it: it.name)
            except FileNotFoundError:
                if not place:
                    raise
                continue
        for it in found:
            path = f"{place}/{it.name}".lstrip("/")
            if it.is_dir(follow_symlinks=False):
                if enters(path):
                    waiting.append(path)
                    yield path, True
            elif it.is_file(follow_symlinks=False) and not it.name.endswith(PASSING):
                yield path, False


def _copy(
    root: Path, path: str, target: Path, before: Path | None, known: Entry | None
) -> tuple[Entry | None, bool]:
    """What was copied, None if it is gone; and whether it is linked."""
    state = _look(root / path)
    if state is None or not stat.S_ISREG(state.st_mode):
        return None, False
    same = known is not None and (known.bytes, known.time_ns) == (state.st_size, state.st_mtime_ns)
    if before is not None and same:
        with suppress(OSError):
            # Not on every file system, and not for ever: then it is copied.
            os.link(before / FOLDER / path, target / path, follow_symlinks=False)
            return known, True
    with said(root / path, "read"):
        try:
            source = os.open(root / path, _READ)
        except FileNotFoundError:
            return None, False
    digest, size = hashlib.sha256(), 0
    with os.fdopen(source, "rb") as file, said(target / path):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(target / path, flags, FILE_MODE), "wb") as copied:
            while chunk := file.read(CHUNK):
                copied.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            copied.flush()
            os.fsync(copied.fileno())
    return Entry(path, size, state.st_mtime_ns, digest.hexdigest()), False


def _known(backup: Path | None) -> list[Entry]:
    try:
        return [] if backup is None else list(entries(backup))
    except BackupError:
        # Nothing can be linked to it then, and all is copied.
        return []


def _look(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _digest(path: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(path, _READ), "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()
