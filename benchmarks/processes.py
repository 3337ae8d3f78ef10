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


@contextmanager
def cpu_quota(pid: int, share: float) -> Iterator[None]:
    """Let a process use so much of one processor (0.4: 40 %) meanwhile, by a control group.

    Raises OSError where this user may not make one. The quota is for every 5 ms, so that a process
    that has used it up does not hold its requests for long.
    """
    period, quota = 5000, int(5000 * share)
    groups = Path("/sys/fs/cgroup")
    name = f"nizam-benchmark-{pid}"
    if (groups / "cgroup.controllers").exists():
        parent, limits = groups, {"cpu.max": f"{quota} {period}"}
    else:
        parent = groups / "cpu"
        limits = {"cpu.cfs_period_us": str(period), "cpu.cfs_quota_us": str(quota)}
    group = parent / name
    group.mkdir()
    try:
        for file, limit in limits.items():
            (group / file).write_text(limit)
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        (parent / "cgroup.procs").write_text(str(pid))
        group.rmdir()


def resident_megabytes(pid: int) -> float:
    """The memory of a process that is not swapped out."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
