"""Writing files of a backup: counted, hashed on their way and synced."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from nizam.ops.backup.errors import BackupError
from nizam.ops.backup.manifest import FileFacts

CHUNK: Final = 1 << 20
FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700

Progress = Callable[[str, int], None]
"""Hears of what is under way, and of how many bytes of it are done."""


class HashedFile:
    """A new file that can only be written to; `facts` are its own when it is complete."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes) -> int:
        """Append `data`."""
        self._file.write(data)
        self._hash.update(data)
        self.bytes += len(data)
        return len(data)

    @property
    def facts(self) -> FileFacts:
        """Size and checksum of what was written so far."""
        return FileFacts(bytes=self.bytes, sha256=self._hash.hexdigest())


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[HashedFile]:
    """A file that is not there yet; synced at the end. BackupError when it cannot be written."""
    with said(path), open(path, "xb", opener=_private) as file:
        yield HashedFile(file)
        file.flush()
        os.fsync(file.fileno())


def facts_of(path: Path, progress: Progress | None = None) -> FileFacts:
    """Size and checksum of a file that is there."""
    digest, size = hashlib.sha256(), 0
    with said(path, "read"), path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if progress is not None:
                progress(f"checking {path.name}", size)
    return FileFacts(bytes=size, sha256=digest.hexdigest())


def sync_folder(path: Path) -> None:
    """Have the names in the folder on the disk."""
    with said(path):
        place = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(place)
        finally:
            os.close(place)


@contextlib.contextmanager
def said(path: Path, what: str = "written") -> Iterator[None]:
    """Turn an error of the system at `path` into one that says what to do about it."""
    try:
        yield
    except OSError as error:
        raise BackupError(_words(error, path, what)) from None


def _words(error: OSError, path: Path, what: str) -> str:
    place = error.filename or path
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk with {path} is full: make room there, or name another folder with --to"
    if error.errno == errno.EFBIG:
        return f"{path} is larger than a file may be here (ulimit -f): {error.strerror}"
    if error.errno == errno.EROFS:
        return f"the disk with {path} is mounted read-only: mount it for writing"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{place} cannot be {what}: {error.strerror}; run as a user who may"
    return f"{place} cannot be {what}: {error.strerror or error}"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, FILE_MODE)
