"""The folder that holds the backups: one at a time is made in it, and old ones leave it.

A backup is begun under a name that starts with `.unfinished-` and gets its real one when it is
whole and synced, by a rename. Whoever sees a real name sees a whole backup.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import attrs

from nizam.ops.backup import manifest as manifests
from nizam.ops.backup.errors import BackupError
from nizam.ops.backup.manifest import Manifest
from nizam.ops.backup.writing import FOLDER_MODE, said, sync_folder

NAME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z\Z")
_UNFINISHED: Final = ".unfinished-"
_REMOVING: Final = ".removing-"
_LOCK: Final = ".lock"


def name_of(moment: datetime) -> str:
    """The name of a backup that is begun at this moment, in UTC."""
    return moment.strftime("%Y-%m-%dT%H%M%SZ")


@attrs.frozen
class Listed:
    """A folder with the name of a backup: its manifest, or what is wrong with it."""

    path: Path
    manifest: Manifest | None
    problem: str = ""


@attrs.frozen
class BackupFolder:
    """The folder at `path`, which is made when it is first needed."""

    path: Path

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who makes backups here; BackupError while somebody else does.

        What one that was killed has left is removed first.
        """
        with said(self.path):
            self.path.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
            lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with said(self.path):
                _take(lock, self.path)
                for left in self.path.iterdir():
                    if left.name.startswith((_UNFINISHED, _REMOVING)):
                        shutil.rmtree(left)
            yield
        finally:
            os.close(lock)

    def begin(self, name: str) -> Path:
        """A new folder for the backup `name`, under a passing name."""
        if (self.path / name).exists():
            raise BackupError(f"there is a backup {name} in {self.path} already: try again")
        unfinished = self.path / f"{_UNFINISHED}{name}"
        with said(unfinished):
            unfinished.mkdir(mode=FOLDER_MODE)
        return unfinished

    def keep(self, unfinished: Path) -> Path:
        """Give a whole backup its real name, durably."""
        path = self.path / unfinished.name.removeprefix(_UNFINISHED)
        sync_folder(unfinished)
        with said(path):
            unfinished.rename(path)
        sync_folder(self.path)
        return path

    def backups(self) -> list[Listed]:
        """Everything that has the name of a backup, the newest first."""
        try:
            names = sorted((it.name for it in self.path.iterdir()), reverse=True)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise BackupError(f"{self.path} cannot be read: {error.strerror}") from None
        found = []
        for name in names:
            if NAME.match(name):
                path = self.path / name
                try:
                    found.append(Listed(path, manifests.read(path)))
                except BackupError as error:
                    found.append(Listed(path, None, error.detail))
        return found

    def find(self, name: str | None) -> Path:
        """The backup of that name or at that path; the newest whole one for None."""
        if name is None:
            for it in self.backups():
                if it.manifest is not None:
                    return it.path
            raise BackupError(f"there is no backup in {self.path}")
        if "/" in name or name in (".", ".."):
            return Path(name)
        return self.path / name

    def rotate(self, now: datetime, keep_days: int) -> list[str]:
        """Remove the backups that ended more than `keep_days` ago, 0 for none; their names.

        The newest one stays however old it is, and so does all that is no readable backup.
        """
        if not keep_days:
            return []
        whole = [it for it in self.backups() if it.manifest is not None]
        removed = []
        for it in whole[1:]:
            assert it.manifest is not None  # noqa: S101 - only those are here
            if it.manifest.finished_at < now - timedelta(days=keep_days):
                # Half removed it is no longer found under a real name.
                passing = self.path / f"{_REMOVING}{it.path.name}"
                with said(it.path, "removed"):
                    it.path.rename(passing)
                    shutil.rmtree(passing)
                removed.append(it.path.name)
        return removed


def discard(unfinished: Path) -> None:
    """Leave nothing of a backup that was begun."""
    shutil.rmtree(unfinished, ignore_errors=True)


def _take(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        who = os.pread(lock, 32, 0).decode(errors="replace").strip()
        raise BackupError(
            f"another backup is being made in {path} (process {who or 'unknown'}): wait for its end"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
