"""FreeSWITCH's lookups answered by two processes on one port, against one process:

    python -m benchmarks.instances [--seconds 8] [--share 0.25]

Real `twistd nizam` daemons with the role `xml`, over one PostgreSQL and one Redis, share the port
(NIZAM_HTTP_REUSE_PORT) as an operator would have them do. The load needs a processor too: so that
two processes can be told from one on two cores, each may use only `--share` of a core (a control
group's quota, as of a container; needs root). Two processes of a bare twisted.web that share a port
in the same way say how much of it this machine gives at all. Unlike in `xml_lookup`, the daemon
is whole: it keeps with every call how it was routed, and tells the other instances whose it is.
"""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import attrs

from benchmarks.http_load import Connection, saturate
from benchmarks.processes import DAEMON, cpu_quota, cpu_seconds, environment, server
from benchmarks.report import REPOSITORY, Report, Row, median
from benchmarks.xml_lookup import EXTENSIONS, ROUNDS, asking, requests
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.process import free_port
from nizam.embedded.redis import PrivateRedis
from nizam.store.migrate import upgrade

CONNECTIONS = 16
READY_SECONDS = 30.0
TENANTS = 10


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="Lookups: two processes against one")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each single measurement")
    parser.add_argument("--share", type=float, default=0.25, help="of a core for each process")
    options = parser.parse_args()
    report = Report("instances")
    ours: dict[int, list[Measured]] = {1: [], 2: []}
    free: dict[int, list[Measured]] = {1: [], 2: []}
    bare: dict[int, list[Measured]] = {1: [], 2: []}
    with (
        tempfile.TemporaryDirectory(prefix="nizam-benchmark-") as folder,
        PrivatePostgres(Path(folder) / "postgres", durable=False) as postgres,
        PrivateRedis(Path(folder) / "redis", durable=False) as redis,
    ):
        upgrade(postgres.dsn())
        settings = {
            **environment(postgres, redis, Path(folder), free_port()),
            "API_RATE_LIMIT": "60000",
        }
        asked = requests(TENANTS, authorization=_fill(settings, Path(folder)))
        shared = {**settings, "NIZAM_ROLES": "xml", "NIZAM_HTTP_REUSE_PORT": "true"}
        port, bare_port = int(settings["NIZAM_HTTP_PORT"]), free_port()
        for _ in range(ROUNDS):
            for amount in ours:
                for share, found in ((options.share, ours), (None, free)):
                    logs = [Path(folder) / f"daemon-{number}.log" for number in range(amount)]
                    daemons = [_daemon(shared, log) for log in logs]
                    found[amount].append(_measure(daemons, share, port, asked, options.seconds))
                sites = [_bare(bare_port) for _ in range(amount)]
                bare[amount].append(
                    _measure(sites, options.share, bare_port, asked, options.seconds)
                )
    of_a_core = f"{options.share:.0%} of a core each"
    for what, unit, found, must, aim in (
        (f"lookups of two processes, {of_a_core}", "/s", ours, 1.7, 1.9),
        (f"bare twisted.web, two processes, {of_a_core}", "/s", bare, None, None),
        ("processor time for 1,000 lookups, two processes", "s", free, None, None),
        ("lookups of two processes beside the load", "/s", free, None, None),
    ):
        samples = {
            amount: [it.seconds if unit == "s" else it.rate for it in found[amount]]
            for amount in found
        }
        report.add(
            Row(
                what,
                median(samples[2]),
                unit,
                samples[2],
                "one process",
                median(samples[1]),
                samples[1],
                must,
                aim,
                lower_is_better=unit == "s",
            )
        )
    rates, peers = ([it.rate for it in found[1]] for found in (ours, bare))
    report.add(
        Row(
            "lookups of the whole daemon, one process",
            median(rates),
            "/s",
            rates,
            "bare twisted.web",
            median(peers),
            peers,
            0.6,
            0.85,
        )
    )
    report.publish()


@attrs.frozen
class Measured:
    """Lookups a second, and seconds of the servers' processor time for 1,000 of them."""

    rate: float
    seconds: float


def _measure(
    servers: Sequence[AbstractContextManager[int]],
    share: float | None,
    port: int,
    asked: list[bytes],
    seconds: float,
) -> Measured:
    """What these servers, which give their process ids, answer with so much of a core each."""
    with ExitStack() as stack:
        pids = [stack.enter_context(it) for it in servers]
        saturate(asking(port), asked, 1.0, CONNECTIONS)
        if share is not None:
            for pid in pids:
                stack.enter_context(cpu_quota(pid, share))
        began, used = time.perf_counter(), sum(map(cpu_seconds, pids))
        rate = saturate(asking(port), asked, seconds, CONNECTIONS)
        answered = rate * (time.perf_counter() - began)
        return Measured(rate, 1000 * (sum(map(cpu_seconds, pids)) - used) / answered)


@contextmanager
def _bare(port: int) -> Iterator[int]:
    """twisted.web with the same answers, none of which it looks up."""
    arguments = ("-m", "benchmarks.xml_servers", "bare", str(port), "1", str(EXTENSIONS))
    with server(sys.executable, *arguments) as process:
        yield process.pid


@contextmanager
def _daemon(settings: Mapping[str, str], log: Path) -> Iterator[int]:
    """A daemon that is ready, which its log says: the port is not its own alone."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            DAEMON, cwd=REPOSITORY, env=dict(settings), stdout=out, stderr=subprocess.STDOUT
        )
    try:
        end = time.monotonic() + READY_SECONDS
        while "ready: " not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, "the daemon did not become ready"
            time.sleep(0.05)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _fill(settings: Mapping[str, str], folder: Path) -> str:
    """Make tenants with extensions, and a switch; the credentials of its questions."""
    with _daemon(settings, folder / "filling.log"):
        key = _key(settings)
        connection = Connection(int(settings["NIZAM_HTTP_PORT"]))

        def create(path: str, body: Mapping[str, object]) -> dict[str, str]:
            sent = json.dumps(body).encode()
            head = (
                f"POST /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
            )
            made: dict[str, str] = json.loads(connection.ask(head.encode() + sent))
            return made

        for tenant in range(TENANTS):
            slug = f"t{tenant}"
            named = {"name": slug, "slug": slug, "domain": f"{slug}.example.test"}
            owner = create("/tenants", named)["id"]
            for number in range(1000, 1000 + EXTENSIONS):
                extension = {
                    "number": str(number),
                    "display_name": f"User {number}",
                    "sip_password": f"{slug}-{number}-password",
                }
                create(f"/tenants/{owner}/extensions", extension)
        node = create(
            "/switch-nodes",
            {
                "name": "fs1",
                "esl_host": "127.0.0.1",
                "esl_port": free_port(),
                "esl_password": "nobody-listens-there",
                "xml_username": "fs1",
            },
        )
        connection.close()
    return base64.b64encode(f"fs1:{node['xml_password']}".encode()).decode()


def _key(settings: Mapping[str, str]) -> str:
    """An API key that may do everything."""
    words = ("admin", "bootstrap", "--key", "benchmark", "--json")
    done = subprocess.run(
        (sys.executable, "-m", "nizam.cli", *words),
        cwd=REPOSITORY,
        env=dict(settings),
        check=True,
        capture_output=True,
    )
    key: str = json.loads(done.stdout)["key"]
    return key


if __name__ == "__main__":
    main()
