"""The media root on disk, one file at a time; everything here blocks and runs in a thread.

Every step below the root goes by an open directory and refuses symbolic links, so that whoever can
write somewhere under the root cannot lead NIZAM out of it. A file appears whole or not at all:
written under a passing name in its own directory, synced, then renamed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import attrs

from nizam.errors import MediaUnavailable, NizamError, StorageFull
from nizam.media.wav import WavFacts, look, repair

FILE_MODE = 0o640
DIRECTORY_MODE = 0o770
"""FreeSWITCH, in the same group, writes recordings and voicemail beside what NIZAM writes."""
_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_STEP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME = re.compile(r"[0-9a-z][0-9a-z._-]{0,99}\Z")
_PASSING = ".part"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@attrs.frozen
class Draft:
    """A file that is being written: `fd` is open for reading and writing."""

    directory: int
    name: str
    fd: int

    def keep(self, name: str) -> None:
        """Make it the file `name` of its directory, durably, in the place of one with that name.

        The draft is done with, whether or not that succeeds.
        """
        place = self.directory
        try:
            with translated("the file cannot be written"):
                os.fchmod(self.fd, FILE_MODE)
                os.fsync(self.fd)
                os.rename(self.name, _checked(name), src_dir_fd=place, dst_dir_fd=place)
                os.fsync(place)
        except BaseException:
            self.drop()
            raise
        self._close()

    def drop(self) -> None:
        """Leave nothing of it."""
        with contextlib.suppress(OSError):
            os.unlink(self.name, dir_fd=self.directory)
        self._close()

    def _close(self) -> None:
        for fd in (self.fd, self.directory):
            with contextlib.suppress(OSError):
                os.close(fd)


@attrs.frozen
class Found:
    """A file below the root: its path there, and when it was last written, in seconds since the
    epoch."""

    path: str
    written_at: float


@attrs.frozen
class MediaFolder:
    """What can be done below `root`, which itself must exist: it may be a mount."""

    root: Path

    def begin(self, directory: str) -> Draft:
        """A draft in `directory`, a path below the root, which is made if need be."""
        with translated("the media root cannot be written to"):
            place = self._enter(directory, make=True)
            name = f".{secrets.token_hex(12)}{_PASSING}"
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                return Draft(place, name, os.open(name, flags, 0o600, dir_fd=place))
            except OSError:
                os.close(place)
                raise

    def make(self, directory: str) -> None:
        """Have `directory`, a path below the root."""
        with translated("the media root cannot be written to"):
            os.close(self._enter(directory, make=True))

    def open(self, path: str, *, write: bool = False) -> BinaryIO:
        """The file at `path` below the root, for reading, with `write` for writing into it too.
        MediaUnavailable if it is not there."""
        directory, _, name = path.rpartition("/")
        with translated("the file is not in the media root"):
            place = self._enter(directory, make=False)
            try:
                access = os.O_RDWR if write else os.O_RDONLY
                flags = access | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
                fd = os.open(_checked(name), flags, dir_fd=place)
            finally:
                os.close(place)
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                os.close(fd)
                raise MediaUnavailable("what lies in its place is no file")
            return os.fdopen(fd, "r+b" if write else "rb")

    def examine(self, path: str, *, settled_before: float) -> WavFacts | None:
        """What the recorded file at `path` holds; None if it is not there. A header that does not
        count all of the sound is put right if nothing was written since `settled_before`, in
        seconds since the epoch."""
        os.close(self._root())
        try:
            with self.open(path) as file, translated("the file cannot be read"):
                facts = look(file)
                settled = os.fstat(file.fileno()).st_mtime < settled_before
        except MediaUnavailable as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return None
            raise
        if not facts.unfinished or not settled:
            return facts
        with self.open(path, write=True) as file, translated("the file cannot be put right"):
            if not repair(file):
                return facts
        # Opened again: what was read of the former header is in the file's buffer.
        with self.open(path) as file, translated("the file cannot be read"):
            return look(file)

    def remove(self, path: str, *, written_before: float | None = None) -> bool:
        """Remove a file and the directories that are empty then; whether it was there.

        One that was written since `written_before`, in seconds since the epoch, stays.
        """
        # Without the root nobody knows what is there.
        os.close(self._root())
        directory, _, name = path.rpartition("/")
        try:
            with translated("the media root cannot be written to"):
                place = self._enter(directory, make=False)
                try:
                    if written_before is not None:
                        written_at = os.stat(name, dir_fd=place, follow_symlinks=False).st_mtime
                        if written_at >= written_before:
                            return False
                    os.unlink(name, dir_fd=place)
                finally:
                    os.close(place)
        except MediaUnavailable as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return False
            raise
        self._prune(directory)
        return True

    def touch(self, path: str) -> None:
        """Have a file count as written now."""
        with self.open(path) as file, translated("the media root cannot be written to"):
            os.utime(file.fileno())

    def remove_below(self, directory: str, most: int) -> int:
        """Remove what lies in `directory` and below it, at most so many files, and then the
        directories; how many files that were. Symbolic links are removed, not followed."""
        removed = 0
        with translated("the media root cannot be written to"):
            os.close(self._enter("", make=False))
            try:
                place = self._enter(directory, make=False)
            except FileNotFoundError:
                return 0
            try:
                for _, folders, names, inside in os.fwalk(".", topdown=False, dir_fd=place):
                    for name in names[: most - removed]:
                        os.unlink(name, dir_fd=inside)
                        removed += 1
                    if removed == most:
                        return removed
                    for name in folders:
                        _remove_directory(name, inside)
            finally:
                os.close(place)
        self._prune(directory)
        return removed

    def files(self) -> Iterator[Found]:
        """Every file below the root that NIZAM writes, unfinished ones included."""
        with translated("the media root cannot be read"):
            os.close(self._enter("", make=False))
            for tenant in _directories(self.root):
                for folder in _directories(tenant):
                    for owner in _directories(folder):
                        with os.scandir(owner) as entries:
                            for it in entries:
                                if it.is_file(follow_symlinks=False):
                                    below = str(Path(it.path).relative_to(self.root))
                                    written_at = it.stat(follow_symlinks=False).st_mtime
                                    yield Found(below, written_at)

    def check(self) -> str:
        """What there is, in words; MediaUnavailable unless files can be written and read there."""
        free, _ = self.space()
        with translated("the media root cannot be read"):
            mount = ", a mount" if os.path.ismount(self.root) else ""
            return f"{self.root}, {free // 2**20} MiB free{mount}"

    def space(self) -> tuple[int, int]:
        """Bytes that are free, and bytes of the whole file system; MediaUnavailable unless files
        can be written and read there."""
        self.begin("").drop()
        with translated("the media root cannot be read"):
            found = os.statvfs(self.root)
            return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize

    def _root(self) -> int:
        with translated("the media root cannot be read"):
            return os.open(self.root, _ROOT)

    def _enter(self, directory: str, *, make: bool) -> int:
        place = os.open(self.root, _ROOT)
        try:
            for name in directory.split("/") if directory else ():
                following = _step(place, _checked(name), make=make)
                os.close(place)
                place = following
        except BaseException:
            os.close(place)
            raise
        return place

    def _prune(self, directory: str) -> None:
        """Remove `directory` and those above it, below the root, as far as they are empty."""
        while directory:
            with contextlib.suppress(OSError, NizamError):
                above, _, name = directory.rpartition("/")
                place = self._enter(above, make=False)
                try:
                    os.rmdir(name, dir_fd=place)
                finally:
                    os.close(place)
            directory = directory.rpartition("/")[0]


@contextlib.contextmanager
def translated(words: str) -> Iterator[None]:
    """StorageFull or MediaUnavailable, beginning with `words`, for an error of the file system."""
    try:
        yield
    except OSError as error:
        raise media_error(error, words) from error


def media_error(error: OSError, words: str) -> NizamError:
    """What a client is told of an error of the file system."""
    if error.errno in _FULL:
        return StorageFull()
    return MediaUnavailable(f"{words}: {error.strerror}")


def _step(place: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _STEP, dir_fd=place)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=place)
    made = os.open(name, _STEP, dir_fd=place)
    # The umask does not count, and the root's group stays where the root says so (set-group-ID).
    os.fchmod(made, DIRECTORY_MODE | os.fstat(made).st_mode & stat.S_ISGID)
    os.fsync(place)
    return made


def _remove_directory(name: str, place: int) -> None:
    try:
        os.rmdir(name, dir_fd=place)
    except NotADirectoryError:
        os.unlink(name, dir_fd=place)  # a link to one


def _checked(name: str) -> str:
    if _NAME.match(name) is None:
        raise MediaUnavailable(f"{name[:80]!r} is no name below the media root")
    return name


def _directories(path: os.PathLike[str]) -> list[Path]:
    with os.scandir(path) as entries:
        return sorted(Path(it.path) for it in entries if it.is_dir(follow_symlinks=False))
