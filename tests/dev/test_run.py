"""`nizam dev` as a person uses it: up, second start, calls that reach the receiver, down, again."""

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

import pytest

pytestmark = pytest.mark.time_limit(150)
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


def processes_of(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words:
            found.append(entry.parent.name)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_a_whole_evening_with_nizam_dev(folder: Path) -> None:
    first = Dev(folder, "--port", "0", "--cps", "5")
    try:
        known = first.up()
        until(lambda: get(f"{known['http']}/api/health")["status"] == "healthy")
        second = subprocess.run(
            [sys.executable, "-P", "-m", "nizam.cli", "dev", "--state-dir", folder],
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (second.returncode, "already runs" in second.stderr) == (1, True)
        until(lambda: get(known["webhook_receiver"])["types"].get("call.ended", 0) >= 5)
        assert get(known["webhook_receiver"])["rejected"] == 0
        assert first.stop() < 5
    finally:
        first.process.kill()
    assert processes_of(folder) == []
    again = Dev(folder, "--port", "0", "--no-sim")
    try:
        kept = again.up()
        assert kept["tenant_id"] == known["tenant_id"]
        assert kept["esl"] is None
        cdrs = get(f"{kept['http']}/api/v1/tenants/{kept['tenant_id']}/cdrs", kept["api_key"])
        assert cdrs["data"]
        assert again.stop() < 5
    finally:
        again.process.kill()
    assert processes_of(folder) == []
