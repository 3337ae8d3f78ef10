"""One run of schemathesis, as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from tests.daemon.process import REPOSITORY
from tests.fuzz.site import Site

CONFIGURATION = Path(__file__).parent / "schemathesis.toml"
GRACE_SECONDS = 120


@attrs.frozen
class Outcome:
    """What came of a run; `requests` is how many answers were looked at."""

    passed: bool
    text: str


def fuzz(site: Site, folder: Path, seconds: int, *options: str) -> Outcome:
    """Run schemathesis for about so long, with these options beside those of every run."""
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        f"--config-file={CONFIGURATION}",
        "run",
        f"{site.base}/api/v1/openapi.json",
        f"--url={site.base}",
        f"--header=Authorization: Bearer {site.key}",
        f"--max-time={seconds}",
        *options,
    ]
    shown = {"ids": site.ids, "token": site.token}
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY),
        "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
        "NIZAM_FUZZ_SITE": json.dumps(shown),
    }
    done = _run(command, environment, folder, seconds + GRACE_SECONDS)
    return Outcome(done.returncode == 0, done.stdout)


def _run(
    command: Sequence[str], environment: dict[str, str], folder: Path, seconds: int
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
