"""`nizam dev` as a process of its own, and asking it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent.parent
UP_SECONDS = 60.0


def until(holds: Callable[[], bool]) -> None:
    """Ask another process until it holds: it has no way to tell us."""
    deadline = time.monotonic() + UP_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.05)


class Dev:
    """One `nizam dev` on a folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "nizam.cli", "dev", "--state-dir", folder, *options],
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def up(self) -> dict[str, Any]:
        until(lambda: self.process.poll() is not None or (self.folder / "dev.json").exists())
        assert self.process.poll() is None, self.process.communicate()[0]
        found: dict[str, Any] = json.loads((self.folder / "dev.json").read_text())
        return found

    def stop(self) -> float:
        started = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(20) == 0
        return time.monotonic() - started


def get(url: str, key: str | None = None) -> Any:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - our own addresses
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        return json.load(answer)
