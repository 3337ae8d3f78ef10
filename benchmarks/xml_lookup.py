"""FreeSWITCH's questions against their peers:

    python -m benchmarks.xml_lookup [--peers-python .venv-peers/bin/python] [--seconds 8]

Half directory, half dialplan questions as recorded, for random extensions of random tenants, a
new connection for each as mod_xml_curl does. Saturated: as many as one process answers, against
a bare Resource of twisted.web and against FastAPI with a query for each lookup, in turn. Latency:
300 a second on a fixed schedule, counted from the intended start. Growth and memory: 1,000
tenants of 100 extensions against 10.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs
from uuid import UUID, uuid5

import psycopg2
from psycopg2.extras import execute_values

from benchmarks.http_load import MakeAsk, paced, saturate
from benchmarks.processes import resident_megabytes, server
from benchmarks.report import Report, Row, median, percentile
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.process import free_port
from tests.recordings import http_requests

EXTENSIONS = 100
ROUNDS = 3
RATE = 300
SPACE = UUID("01937a5e-0000-7000-8000-000000000000")
_AUTHORIZATION = base64.b64encode(b"fs1:s3cret").decode()


@cache
def _recorded() -> tuple[str, str]:
    """A dialplan question (1001 calls 1002 at acme) and a REGISTER's directory question."""
    dialplan = directory = ""
    for recorded in http_requests("calls"):
        body = recorded.get("body") or ""
        fields = parse_qs(body)
        if fields.get("Hunt-Destination-Number") == ["1002"] and fields.get("Hunt-Context") == [
            "acme.example.test"
        ]:
            dialplan = dialplan or body
        elif fields.get("action") == ["sip_auth"] and fields.get("user") == ["1001"]:
            directory = directory or body
    return dialplan, directory


def questions(tenant: int, number: int) -> tuple[bytes, bytes]:
    """The recorded questions for an extension of a tenant: dialplan, directory."""
    dialplan, directory = (it.replace("acme.", f"t{tenant}.") for it in _recorded())
    return (
        dialplan.replace(
            "Hunt-Destination-Number=1002", f"Hunt-Destination-Number={number}"
        ).encode(),
        directory.replace("&user=1001&", f"&user={number}&").encode(),
    )


def requests(
    tenants: int, amount: int = 2000, *, authorization: str = _AUTHORIZATION
) -> list[bytes]:
    """Whole HTTP requests, half of each kind, for random extensions."""
    chosen = random.Random(1)
    found = []
    for _ in range(amount // 2):
        tenant, number = chosen.randrange(tenants), 1000 + chosen.randrange(EXTENSIONS)
        for body in questions(tenant, number):
            head = (
                "POST /freeswitch/xml HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Authorization: Basic {authorization}\r\nUser-Agent: freeswitch-xml/1.0\r\n"
                f"Accept: */*\r\nContent-Length: {len(body)}\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
            )
            found.append(head.encode() + body)
    return found


def ask(port: int, request: bytes) -> bytes:
    """One request on a connection of its own; the body of the answer, which must be 200."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request)
        answer = connection.recv(65536)
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(65536)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(65536)
    assert b"not found" not in body, body
    return body


def asking(port: int) -> MakeAsk:
    """Asks `port`, as FreeSWITCH does, on a new connection each time."""
    return lambda: partial(ask, port)


def one_after_another(port: int, asked: list[bytes], seconds: float) -> list[float]:
    """Milliseconds of each two lookups, one of each kind, as a profile looks up REGISTERs."""
    samples = []
    end = time.perf_counter() + seconds
    for index in count():
        started = time.perf_counter()
        if started > end:
            break
        ask(port, asked[index % len(asked)])
        samples.append((time.perf_counter() - started) * 1000)
    # One of each kind together: the middle of two kinds that differ says nothing of either.
    return [first + second for first, second in zip(samples[::2], samples[1::2], strict=False)]


@contextmanager
def twisted_server(kind: str, tenants: int) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """NIZAM or the bare resource, on a free port."""
    port = free_port()
    arguments = ("-m", "benchmarks.xml_servers", kind, str(port), str(tenants), str(EXTENSIONS))
    with server(sys.executable, *arguments) as process:
        yield port, process


@contextmanager
def peer(python: str, tenants: int) -> Iterator[int]:
    """FastAPI over a private PostgreSQL that holds the same tenants."""
    with (
        tempfile.TemporaryDirectory(prefix="nizam-benchmark-") as folder,
        PrivatePostgres(Path(folder) / "postgres", durable=False) as postgres,
    ):
        _fill(postgres.dsn(), tenants)
        port = free_port()
        with server(python, "benchmarks/xml_peer.py", str(port), postgres.dsn()):
            yield port


def _fill(dsn: str, tenants: int) -> None:
    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute("create table tenants (id uuid primary key, domain text unique)")
        cursor.execute(
            "create table extensions (id uuid primary key, tenant_id uuid, number text,"
            " display_name text, a1_hash text, pin text, unique (tenant_id, number))"
        )
        owners = [(str(uuid5(SPACE, f"t{it}")), f"t{it}.example.test") for it in range(tenants)]
        execute_values(cursor, "insert into tenants values %s", owners)
        rows = [
            (
                str(uuid5(UUID(owner), str(number))),
                owner,
                str(number),
                f"User {number}",
                hashlib.sha256(f"{domain}{number}".encode()).hexdigest()[:32],
                "4711",
            )
            for owner, domain in owners
            for number in range(1000, 1000 + EXTENSIONS)
        ]
        execute_values(cursor, "insert into extensions values %s", rows, page_size=1000)
    connection.close()
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    connection.cursor().execute("analyze")
    connection.close()


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="FreeSWITCH's lookups against their peers")
    parser.add_argument("--peers-python", default=".venv-peers/bin/python")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each single measurement")
    options = parser.parse_args()
    report = Report("xml_lookup")
    asked = requests(10)
    ours: list[float] = []
    bare: list[float] = []
    fastapi: list[float] = []
    with (
        twisted_server("nizam", 10) as (nizam_port, _),
        twisted_server("bare", 10) as (bare_port, _),
        peer(options.peers_python, 10) as peer_port,
    ):
        for port in (nizam_port, bare_port, peer_port):
            saturate(asking(port), asked, 1.0)
        for _ in range(ROUNDS):
            ours.append(saturate(asking(nizam_port), asked, options.seconds))
            bare.append(saturate(asking(bare_port), asked, options.seconds))
            fastapi.append(saturate(asking(peer_port), asked, options.seconds))
        latencies = paced(asking(nizam_port), asked, RATE, options.seconds * 2)
        small = one_after_another(nizam_port, asked, options.seconds)
        peer_latencies = paced(asking(peer_port), asked, RATE, options.seconds)
        with twisted_server("nizam", 1000) as (large_port, process):
            empty = resident_megabytes(process.pid)
            many = requests(1000, 8000)
            one_after_another(large_port, many, 1.0)
            large = one_after_another(large_port, many, options.seconds)
            small += one_after_another(nizam_port, asked, options.seconds)
            large += one_after_another(large_port, many, options.seconds)
            megabytes = resident_megabytes(process.pid)
    rate = median(ours)
    report.add(
        Row(
            "lookups, saturated",
            rate,
            "/s",
            ours,
            "bare twisted.web",
            median(bare),
            bare,
            0.6,
            0.85,
        )
    )
    report.add(
        Row(
            "lookups, saturated",
            rate,
            "/s",
            ours,
            "FastAPI + asyncpg",
            median(fastapi),
            fastapi,
            2,
            4,
        )
    )
    for name, fraction, must, aim in (("p50", 0.5, 4, 2), ("p99", 0.99, 12, 6)):
        report.add(
            Row(
                f"{name} at {RATE}/s",
                percentile(latencies, fraction),
                "ms",
                latencies,
                must=must,
                aim=aim,
                lower_is_better=True,
            )
        )
    growth = median(large) / median(small)
    report.add(
        Row("p50, 1,000 tenants to 10", growth, "x", must=1.2, aim=1.05, lower_is_better=True)
    )
    report.add(
        Row(
            "memory, 100,000 extensions",
            megabytes,
            "MB",
            must=512,
            aim=300,
            lower_is_better=True,
        )
    )
    report.notes["FastAPI p50, p99 at 300/s, ms"] = [
        percentile(peer_latencies, 0.5),
        percentile(peer_latencies, 0.99),
    ]
    report.notes["two lookups one after the other, p50 ms"] = {
        "10": median(small),
        "1000": median(large),
    }
    report.notes["memory before the first lookup, MB"] = empty
    report.publish()


if __name__ == "__main__":
    main()
