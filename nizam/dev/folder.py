"""The state folder of `nizam dev`: who uses it, its secrets, and dev.json."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nizam.errors import NizamError


class FolderInUseError(NizamError):
    """Another `nizam dev` runs on the folder; the detail names it."""

    code = "folder_in_use"
    status = 409
    title = "The state folder is in use"


def default_folder() -> Path:
    """Where the state is without --state-dir: a place that an unprivileged server can reach."""
    if os.geteuid() == 0:
        return Path("/var/lib/nizam-dev")
    return Path.home() / ".local" / "state" / "nizam"


class StateFolder:
    """One state folder, held by this process from `take` until it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    @property
    def dev_json(self) -> Path:
        """What programs need to know about the running system; only there while it runs."""
        return self.path / "dev.json"

    def take(self) -> None:
        """Make the folder if it is not there and hold it; raises FolderInUseError if it is held.

        The lock goes with the process, however that ends.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 200).decode(errors="replace").strip()
            os.close(lock)
            raise FolderInUseError(
                f"nizam dev already runs on {self.path} ({holder or 'starting'}); "
                "stop it, or choose another folder with --state-dir"
            ) from None
        self._lock = lock
        self.dev_json.unlink(missing_ok=True)
        self.announce(f"process {os.getpid()}")

    def announce(self, text: str) -> None:
        """What a second start is told about us."""
        assert self._lock is not None, "take the folder first"  # noqa: S101
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, text.encode(), 0)

    def secret(self, name: str) -> str:
        """The secret called `name`, made at the first call and kept with mode 600."""
        kept = self._secrets()
        if name not in kept:
            kept[name] = secrets.token_urlsafe(24)
            self._write(self.path / "secrets.json", kept)
        return kept[name]

    def encryption_key(self) -> str:
        """The key for stored passwords, in the form of NIZAM_SECRET_KEYS."""
        return "dev:" + base64.b64encode(self._bytes("encryption_key")).decode()

    def webhook_secret(self) -> str:
        """The signing secret of the demo webhook (Standard Webhooks' form)."""
        return "whsec_" + base64.b64encode(self._bytes("webhook_secret")).decode()

    def keep(self, name: str, secret: str) -> None:
        """Keep a secret that was made elsewhere."""
        self._write(self.path / "secrets.json", self._secrets() | {name: secret})

    def kept(self, name: str) -> str | None:
        """The secret called `name`, None if there is none yet."""
        return self._secrets().get(name)

    def write_dev_json(self, content: Mapping[str, Any]) -> None:
        """Write dev.json, in one step, readable by its owner only."""
        self._write(self.dev_json, content)

    def _bytes(self, name: str) -> bytes:
        # token_urlsafe(24) gives 32 characters, so this has the size that a key needs.
        return self.secret(name).encode()[:32]

    def _secrets(self) -> dict[str, str]:
        try:
            kept: dict[str, str] = json.loads((self.path / "secrets.json").read_text())
        except FileNotFoundError:
            return {}
        return kept

    def _write(self, path: Path, content: Mapping[str, Any]) -> None:
        unfinished = path.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(
            os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w"
        ) as file:
            json.dump(content, file, indent=2)
            file.write("\n")
        unfinished.rename(path)
