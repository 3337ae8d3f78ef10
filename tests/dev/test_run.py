"""`nizam dev` as a person uses it: up, second start, calls that reach the receiver, down, again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dev.running import REPOSITORY, Dev, get, until

pytestmark = pytest.mark.time_limit(150)


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
