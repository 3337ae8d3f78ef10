"""The API against FastAPI + asyncpg doing the same work, over the same PostgreSQL and Redis:

    python -m benchmarks.api [--peers-python .venv-peers/bin/python] [--seconds 8]

Get, list and create, each at a fixed rate (open loop) and saturated, on kept connections, NIZAM
and the peer in turn; saturated also by the processor time that a request takes in the server,
which a busy machine distorts least. `nizam dev` without its simulated switch serves; PostgreSQL
commits to disk.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

import attrs
import psycopg2

from benchmarks.http_load import Connection, MakeAsk, paced, saturate
from benchmarks.processes import cpu_seconds, server
from benchmarks.report import REPOSITORY, Report, Row, median, percentile
from nizam.embedded.process import free_port

ROUNDS = 3
PAGE = 50
READY_SECONDS = 120.0
_PEER_TABLES = """
create table if not exists benchmark_audit (id uuid primary key, at timestamptz, body jsonb);
create table if not exists benchmark_events (id uuid primary key, at timestamptz, body jsonb);
"""


@attrs.frozen
class Work:
    """One kind of request. `rate` is a second at a fixed rate; the bounds are milliseconds."""

    name: str
    rate: int
    requests: Sequence[bytes]
    p50: tuple[float, float] | None = None
    p99: tuple[float, float] | None = None


@attrs.frozen
class Side:
    """One of the two that are compared: how it is asked, and its process."""

    make: MakeAsk
    pid: int


@attrs.frozen
class Tenant:
    """Whose objects are asked for, with a key that may."""

    key: str
    id: str
    extension: str


def works(tenant: Tenant, seconds: float) -> list[Work]:
    """What is asked of both; every create has a name of its own."""
    base = f"/api/v1/tenants/{tenant.id}"
    head = (
        f"Host: 127.0.0.1\r\nAuthorization: Bearer {tenant.key}\r\n"
        "Accept: application/json\r\nUser-Agent: benchmark\r\n"
    )

    def get(path: str) -> bytes:
        return f"GET {base}{path} HTTP/1.1\r\n{head}\r\n".encode()

    def create() -> bytes:
        body = json.dumps({"name": f"benchmark {uuid4()}", "host": "sip.example.test"})
        return (
            f"POST {base}/gateways HTTP/1.1\r\n{head}Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    # More than any of the measurements can ask, so that no name comes twice.
    creates = [create() for _ in range(int(2 * 2000 * (ROUNDS + 1) * seconds))]
    return [
        Work("get", 300, [get(f"/extensions/{tenant.extension}")], (4, 2.5), (15, 10)),
        Work("list", 100, [get(f"/extensions?limit={PAGE}")]),
        Work("create", 100, creates, None, (25, 15)),
    ]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers-python", default=".venv-peers/bin/python")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each single measurement")
    options = parser.parse_args()
    report = Report("api")
    with (
        tempfile.TemporaryDirectory(prefix="nizam-benchmark-") as folder,
        development(Path(folder)) as dev,
    ):
        tenant, port = prepare(dev), free_port()
        peer = ("benchmarks/api_peer.py", str(port), dev["database_dsn"], dev["redis_url"])
        with server(options.peers_python, *peer) as process:
            ours = Side(kept(int(dev["http"].rpartition(":")[2])), dev["pid"])
            theirs = Side(kept(port), process.pid)
            for work in works(tenant, options.seconds):
                _measure(report, work, ours, theirs, options.seconds)
    report.publish()


def _measure(report: Report, work: Work, ours: Side, peer: Side, seconds: float) -> None:
    asked = iter(work.requests) if len(work.requests) > 1 else None

    def fresh(amount: float) -> Sequence[bytes]:
        return work.requests if asked is None else [next(asked) for _ in range(int(amount))]

    for side in (ours, peer):
        saturate(side.make, fresh(2000), 1.0)
    times = {
        side: paced(side.make, fresh(work.rate * seconds), work.rate, seconds)
        for side in (ours, peer)
    }
    for name, fraction, bounds in (("p50", 0.5, work.p50), ("p99", 0.99, work.p99)):
        must, aim = bounds or (None, None)
        figure = percentile(times[ours], fraction)
        what = f"{work.name}, {name} at {work.rate}/s"
        report.add(Row(what, figure, "ms", times[ours], must=must, aim=aim, lower_is_better=True))
        report.notes[f"FastAPI + asyncpg: {what}, ms"] = percentile(times[peer], fraction)
    rates: dict[Side, list[float]] = {ours: [], peer: []}
    costs: dict[Side, list[float]] = {ours: [], peer: []}
    for _ in range(ROUNDS):
        for side, measured in rates.items():
            began, used = time.perf_counter(), cpu_seconds(side.pid)
            measured.append(saturate(side.make, fresh(2000 * seconds), seconds))
            answered = measured[-1] * (time.perf_counter() - began)
            costs[side].append(1000 * (cpu_seconds(side.pid) - used) / answered)
    for what, unit, found, must, aim in (
        ("saturated", "/s", rates, 0.6, 1.0),
        ("CPU of the server", "ms", costs, None, None),
    ):
        report.add(
            Row(
                f"{work.name}, {what}",
                median(found[ours]),
                unit,
                found[ours],
                "FastAPI + asyncpg",
                median(found[peer]),
                found[peer],
                must,
                aim,
                lower_is_better=unit == "ms",
            )
        )


def kept(port: int) -> MakeAsk:
    return lambda: Connection(port).ask


@contextmanager
def development(folder: Path) -> Iterator[dict[str, Any]]:
    """A running `nizam dev`; its dev.json, with its `pid`."""
    command = (sys.executable, "-m", "nizam.cli", "dev", "--no-sim", "--port", str(free_port()))
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            (*command, "--state-dir", str(folder / "state")),
            cwd=REPOSITORY,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        written = folder / "state" / "dev.json"
        end = time.monotonic() + READY_SECONDS
        while not written.exists():
            assert process.poll() is None, (folder / "out").read_text()
            assert time.monotonic() < end, "nizam dev did not become ready"
            time.sleep(0.1)
        yield {**json.loads(written.read_text()), "pid": process.pid}
    finally:
        process.terminate()
        process.wait(60)


def prepare(dev: dict[str, Any]) -> Tenant:
    """A tenant of its own, to which no webhook listens; the tables that only the peer writes."""

    def create(path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = Request(f"{dev['http']}/api/v1{path}", json.dumps(body).encode())  # noqa: S310
        request.add_header("Authorization", f"Bearer {dev['api_key']}")
        request.add_header("Content-Type", "application/json")
        with urlopen(request) as answer:  # noqa: S310
            made: dict[str, Any] = json.load(answer)
        return made

    names = {"name": "Benchmark", "slug": "benchmark", "domain": "benchmark.example.test"}
    tenant = create("/tenants", names)["id"]
    extensions = [
        create(f"/tenants/{tenant}/extensions", {"number": str(2000 + it), "display_name": "B"})
        for it in range(PAGE)
    ]
    connection = psycopg2.connect(dev["database_dsn"])
    with connection, connection.cursor() as cursor:
        cursor.execute(_PEER_TABLES)
    connection.close()
    return Tenant(dev["api_key"], tenant, extensions[0]["id"])


if __name__ == "__main__":
    main()
