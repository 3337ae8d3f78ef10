"""What limits cost a call while it is set up:

    python -m benchmarks.limits [--seconds 6]

Dialplan questions as recorded, each of a call of its own, to NIZAM without limits and to NIZAM with
three limits for each call (calls at once, calls a minute, minutes a day), counted in a Redis on the
same machine; none is reached.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import tempfile
from pathlib import Path
from uuid import UUID

from benchmarks.http_load import paced, saturate
from benchmarks.processes import server
from benchmarks.report import Report, Row, median, percentile
from benchmarks.xml_lookup import EXTENSIONS, ROUNDS, asking, requests
from nizam.embedded.process import free_port
from nizam.embedded.redis import PrivateRedis

RATE = 200
AMOUNT = 20_000
TENANTS = 10
_UNIQUE_ID = re.compile(rb"(?<=&Unique-ID=)[0-9a-f-]{36}")


def calls() -> list[bytes]:
    """Dialplan questions of so many calls."""
    chosen = random.Random(1)
    dialplan = [it for it in requests(TENANTS) if b"section=dialplan" in it]
    return [
        _UNIQUE_ID.sub(str(UUID(int=chosen.getrandbits(128))).encode(), chosen.choice(dialplan))
        for _ in range(AMOUNT)
    ]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="What limits cost a call")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each single measurement")
    options = parser.parse_args()
    report, asked = Report("limits"), calls()
    rates: dict[str, list[float]] = {"nizam": [], "limited": []}
    latencies: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="nizam-benchmark-") as folder,
        PrivateRedis(Path(folder) / "redis", durable=False) as redis,
    ):
        os.environ["REDIS_URL"] = redis.url()
        ports = {kind: free_port() for kind in rates}
        program = (sys.executable, "-m", "benchmarks.xml_servers")
        sizes = (str(TENANTS), str(EXTENSIONS))
        with (
            server(*program, "nizam", str(ports["nizam"]), *sizes),
            server(*program, "limited", str(ports["limited"]), *sizes),
        ):
            for port in ports.values():
                saturate(asking(port), asked, 1.0)
            for _ in range(ROUNDS):
                for kind, port in ports.items():
                    rates[kind].append(saturate(asking(port), asked, options.seconds))
            for kind, port in ports.items():
                latencies[kind] = paced(asking(port), asked, RATE, options.seconds * 2)
    report.add(
        Row(
            "calls with three limits, saturated",
            median(rates["limited"]),
            "/s",
            rates["limited"],
            "without limits",
            median(rates["nizam"]),
            rates["nizam"],
        )
    )
    for name, fraction in (("p50", 0.5), ("p99", 0.99)):
        found = {kind: percentile(samples, fraction) for kind, samples in latencies.items()}
        report.add(
            Row(
                f"{name} at {RATE}/s",
                found["limited"],
                "ms",
                latencies["limited"],
                "without limits",
                found["nizam"],
                latencies["nizam"],
                lower_is_better=True,
            )
        )
    report.publish()


if __name__ == "__main__":
    main()
