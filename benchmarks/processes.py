"""Servers as processes of their own, and what they take."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.report import REPOSITORY
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis

DAEMON = (
    sys.executable,
    "-c",
    "from twisted.scripts.twistd import run; run()",
    "--nodaemon",
    "--pidfile=",
    "nizam",
)
"""`twistd nizam`; its settings come from the environment."""


def environment(
    postgres: PrivatePostgres, redis: PrivateRedis, folder: Path, port: int
) -> dict[str, str]:
    """Settings of a daemon over these servers that listens on the port, and no others."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY),
        **postgres.settings(),
        **redis.settings(),
        "NIZAM_HTTP_HOST": "127.0.0.1",
        "NIZAM_HTTP_PORT": str(port),
        "NIZAM_STATE_DIRECTORY": str(folder),
    }


@contextmanager
def server(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server process that says `ready` once it serves."""
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", "the server did not start"
        time.sleep(0.3)
        yield process
    finally:
        process.kill()
        process.wait()


def cpu_seconds(pid: int) -> float:
    """The processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    """The memory of a process that is not swapped out."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
