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


@attrs.frozen
class Outcome:
    """What came of a run."""

    passed: bool
    text: str


def fuzz(site: Site, folder: Path, seconds: int, *options: str) -> Outcome:
    """Run schemathesis with these options beside those of every run; it is ended after so long."""
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        f"--config-file={CONFIGURATION}",
        "run",
        f"{site.base}/api/v1/openapi.json",
        f"--url={site.base}",
        *options,
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY),
        "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
        "NIZAM_FUZZ_IDS": json.dumps(site.ids),
        "NIZAM_FUZZ_KEY": site.key,
        "NIZAM_FUZZ_TOKEN": site.token,
        "NIZAM_FUZZ_SPARE_TOKEN": site.spare_token,
    }
    done = _run(command, environment, folder, seconds)
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
