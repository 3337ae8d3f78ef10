"""How long `twistd nizam` takes from its start to ready, and what memory it takes when idle."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from benchmarks.processes import DAEMON, environment, resident_megabytes
from benchmarks.report import Report, Row, median
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.process import free_port
from nizam.embedded.redis import PrivateRedis
from nizam.store.migrate import upgrade

READY_SECONDS = 30.0
SETTLE_SECONDS = 2.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5, help="how many starts to measure")
    arguments = parser.parse_args()
    report = Report("start")
    seconds: list[float] = []
    megabytes: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        PrivatePostgres(Path(folder) / "postgres") as postgres,
        PrivateRedis(Path(folder) / "redis") as redis,
    ):
        upgrade(postgres.dsn())
        for _ in range(arguments.starts):
            port = free_port()
            taken, memory = _start(environment(postgres, redis, Path(folder), port), port)
            seconds.append(taken)
            megabytes.append(memory)
    report.add(
        Row(
            "start to ready",
            median(seconds),
            "s",
            samples=seconds,
            must=3,
            aim=2,
            lower_is_better=True,
        )
    )
    report.add(
        Row(
            "memory when idle",
            median(megabytes),
            "MB",
            samples=megabytes,
            must=160,
            aim=120,
            lower_is_better=True,
        )
    )
    report.publish()


def _start(settings: Mapping[str, str], port: int) -> tuple[float, float]:
    """Seconds to ready, and resident megabytes two seconds after that."""
    began = time.monotonic()
    daemon = subprocess.Popen(
        DAEMON,
        env=settings,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        while not _ready(port):
            if time.monotonic() - began > READY_SECONDS or daemon.poll() is not None:
                raise SystemExit("the daemon did not become ready")
            time.sleep(0.01)
        taken = time.monotonic() - began
        time.sleep(SETTLE_SECONDS)
        return taken, resident_megabytes(daemon.pid)
    finally:
        daemon.terminate()
        daemon.wait(30)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    main()
