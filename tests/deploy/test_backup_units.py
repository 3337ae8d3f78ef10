"""The nightly backup under systemd: units that it accepts, hardened, for a command we have."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nizam.cli.root import COMMANDS
from tests.deploy.files import REPOSITORY

UNITS = REPOSITORY / "systemd"
SERVICE, TIMER = "nizam-backup.service", "nizam-backup.timer"
MOST_EXPOSED = 2.0

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with the programs of this environment."""
    for name in (SERVICE, TIMER):
        text = (UNITS / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/nizam/bin", str(Path(sys.prefix, "bin"))))
    return tmp_path


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, timeout=25, check=False
    )


def test_systemd_accepts_the_service_and_the_timer(units: Path) -> None:
    done = analyze("verify", units / SERVICE, units / TIMER)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_may_do_little(units: Path) -> None:
    done = analyze("security", "--offline=true", units / SERVICE)
    exposed = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert exposed is not None, done.stderr
    assert float(exposed.group(1)) <= MOST_EXPOSED


def test_the_service_runs_a_command_that_there_is() -> None:
    started = re.search(r"^ExecStart=\S+/nizam (\S+)$", (UNITS / SERVICE).read_text(), re.MULTILINE)
    assert started is not None
    assert started.group(1) in COMMANDS


def test_the_timer_comes_every_night() -> None:
    when = re.search(r"^OnCalendar=(.+)$", (UNITS / TIMER).read_text(), re.MULTILINE)
    assert when is not None
    done = analyze("calendar", "--iterations=2", when.group(1))
    assert (done.returncode, done.stdout.count("02:30:00 UTC") >= 2) == (0, True), done.stdout
