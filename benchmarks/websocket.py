"""One process and its WebSocket clients: how long until each of them has an event, at what cost.

    python -m benchmarks.websocket [--clients 2000] [--seconds 15] [--rate 5]

The server is `twistd nizam` as a process of its own, the clients are another. Events are stored as
the intake stores them, at a fixed rate; latency is counted from the moment at which one was due to
the moment at which a client has read it, for each client. The peer is autobahn alone, which sends
a message of the same size, prepared once, to the same clients.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater, react

from benchmarks import report
from benchmarks.processes import DAEMON, cpu_seconds, environment, resident_megabytes
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.process import free_port
from nizam.embedded.redis import PrivateRedis
from nizam.model.events import Event
from nizam.model.identifiers import new_id
from nizam.store.migrate import upgrade

_DUE = re.compile(rb'"due":([0-9.]+)')
_AT_ONCE = 50
_FILLER = "x" * 350
"""An event of a call has about so much."""


# -- the clients -----------------------------------------------------------------------------------


class _Client(Protocol):
    transport: Any

    def __init__(self, crowd: _Crowd) -> None:
        self._crowd = crowd
        self._rest = b""
        self._open = False

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        self.transport.setTcpNoDelay(True)
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            f"GET {self._crowd.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"Authorization: Bearer {self._crowd.key}\r\n\r\n".encode()
        )

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        now = time.time()
        data = self._rest + data
        if not self._open and (b'"subscribed"' in data or b'"ready"' in data):
            self._open = True
            self._crowd.open += 1
        end = 0
        for found in _DUE.finditer(data):
            self._crowd.latencies.append(now - float(found[1]))
            end = found.end()
        # What is cut in the middle of the number is read with what follows.
        self._rest = data[max(end, len(data) - 40) :]


class _Crowd(Factory):
    noisy = False

    def __init__(self, path: str, key: str) -> None:
        self.path, self.key = path, key
        self.open = 0
        self.latencies: list[float] = []

    def buildProtocol(self, addr: object) -> _Client:  # noqa: N802 - Twisted's name
        return _Client(self)


async def be_clients(reactor: Any, port: int, path: str, key: str, count: int) -> None:
    """Connect them, then answer each line of stdin with what was measured since."""
    from twisted.internet.threads import deferToThread

    crowd = _Crowd(path, key)
    endpoint = HostnameEndpoint(reactor, "127.0.0.1", port)
    for start in range(0, count, _AT_ONCE):
        wanted = min(count, start + _AT_ONCE)
        for _ in range(start, wanted):
            await endpoint.connect(crowd)
        while crowd.open < wanted:
            await deferLater(reactor, 0.01)
    print("ready", flush=True)
    while line := await deferToThread(sys.stdin.readline):
        expected = int(line) * count
        end = time.monotonic() + 20
        while len(crowd.latencies) < expected and time.monotonic() < end:
            await deferLater(reactor, 0.05)
        latencies, crowd.latencies = crowd.latencies, []
        print(json.dumps(latencies), flush=True)


# -- the peer --------------------------------------------------------------------------------------


async def be_peer(reactor: Any, port: int) -> None:
    """autobahn alone: each line of stdin, `rate seconds`, is so much to broadcast."""
    from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
    from twisted.internet.threads import deferToThread

    clients: set[Any] = set()

    class Peer(WebSocketServerProtocol):
        def onOpen(self) -> None:  # noqa: N802 - autobahn's name
            clients.add(self)
            self.sendMessage(b'{"type": "ready"}')  # type: ignore[no-untyped-call]

        def onClose(self, wasClean: bool, code: object, reason: object) -> None:  # noqa: N802, N803
            clients.discard(self)

    factory: Any = WebSocketServerFactory(reactor=reactor)  # type: ignore[no-untyped-call]
    factory.protocol = Peer
    reactor.listenTCP(port, factory, interface="127.0.0.1", backlog=1024)
    print("ready", flush=True)
    while line := await deferToThread(sys.stdin.readline):
        rate, seconds = map(float, line.split())
        begin = time.time()
        for number in range(round(rate * seconds)):
            due = begin + number / rate
            await deferLater(reactor, max(0.0, due - time.time()))
            payload = json.dumps({"due": due, "filler": _FILLER + "x" * 250}).encode()
            message = factory.prepareMessage(payload.replace(b'"due": ', b'"due":'))
            for it in clients:
                it.sendPreparedMessage(message)
        print("done", flush=True)


# -- the benchmark ---------------------------------------------------------------------------------


class _Child:
    """This module as another process, by lines."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.websocket", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def line(self) -> str:
        """The next line that it writes."""
        from twisted.internet.threads import deferToThread

        assert self.process.stdout is not None
        found: str = await deferToThread(self.process.stdout.readline)
        assert found, "a process of the benchmark ended"
        return found

    def say(self, line: str) -> None:
        """Write a line to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


async def ready(reactor: Any, port: int) -> None:
    """Wait until the server is."""
    import treq
    from twisted.internet.defer import CancelledError
    from twisted.internet.error import ConnectError
    from twisted.web.client import ResponseFailed

    end = time.monotonic() + 60
    while time.monotonic() < end:
        # It does not listen yet, or does not answer within the time.
        with suppress(ConnectError, ResponseFailed, CancelledError):
            response = await treq.get(f"http://127.0.0.1:{port}/readyz", timeout=2)
            if response.code == 200:
                return
        await deferLater(reactor, 0.1)
    raise TimeoutError("the server did not become ready")


async def measure_ours(
    reactor: Any, dsn: str, redis: PrivateRedis, tenant_id: UUID, options: argparse.Namespace
) -> int:
    """Store events at the rate; how many."""
    from nizam.kv.single import SingleRedis
    from nizam.realtime.bell import Bell
    from nizam.store.pool import Pool
    from nizam.store.system.events import write_events

    key_value = SingleRedis(reactor, redis.host, redis.port, redis.password)
    pool, bell = Pool(reactor, dsn, 2, "benchmark"), Bell(reactor, key_value)
    await pool.start()
    await key_value.start()
    begin = time.time()
    count: int = round(options.rate * options.seconds)
    for number in range(count):
        due = begin + number / options.rate
        await deferLater(reactor, max(0.0, due - time.time()))
        event = Event(
            type="call.answered",
            occurred_at=datetime.fromtimestamp(due, UTC),
            core_id=str(tenant_id),
            sequence=number,
            node="fs1",
            tenant_id=tenant_id,
            call_id=new_id(),
            leg_id=new_id(),
            data={"due": due, "filler": _FILLER},
        )
        await write_events(pool, [event])
        bell.ring()
    await deferLater(reactor, 0.1)
    bell.stop()
    await key_value.stop()
    await pool.stop()
    return count


async def run(reactor: Any, options: argparse.Namespace) -> Mapping[str, Any]:
    """Both, one after the other, with the same clients."""
    from twisted.internet.threads import deferToThread

    from nizam.client import Client
    from nizam.store.pool import Pool
    from nizam.store.system.api_keys import create_platform_key

    result = report.Report("websocket")
    folder = Path(tempfile.mkdtemp(prefix="nizam-websocket-"))
    found: dict[str, Any] = {}
    with (
        PrivatePostgres(folder / "postgres") as postgres,
        PrivateRedis(folder / "redis") as redis,
    ):
        dsn = postgres.dsn()
        upgrade(dsn)
        pool = Pool(reactor, dsn, 1, "benchmark")
        await pool.start()
        key = await create_platform_key(pool, "benchmark", 1_000_000)
        await pool.stop()
        port = free_port()
        with (folder / "nizam.log").open("wb") as log:
            server = subprocess.Popen(  # noqa: ASYNC220 - nothing else happens yet
                DAEMON,
                env=environment(postgres, redis, folder, port)
                | {
                    "APP_ENV": "development",
                    "LOG_LEVEL": "warning",
                    "NIZAM_ROLES": "api,realtime",
                    "NIZAM_MEDIA_ROOT": str(folder),
                    "NIZAM_SECRET_KEYS": f"bench:{base64.b64encode(bytes(32)).decode()}",
                },
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        children = []
        try:
            await ready(reactor, port)

            def tenant() -> UUID:
                with Client(f"http://127.0.0.1:{port}", key) as client:
                    acme = client.tenants.create(
                        name="Acme", slug="acme", domain="acme.example.test"
                    )
                    return acme.id

            tenant_id = await deferToThread(tenant)
            path = f"/api/v1/stream?types=call.*&tenant_id={tenant_id}"
            clients = _Child("--be-clients", str(port), path, key, str(options.clients))
            children.append(clients)
            await clients.line()
            found["memory"] = resident_megabytes(server.pid)
            before = cpu_seconds(server.pid)
            count = await measure_ours(reactor, dsn, redis, tenant_id, options)
            clients.say(str(count))
            found["ours"] = json.loads(await clients.line())
            found["cpu"] = (cpu_seconds(server.pid) - before) / len(found["ours"]) * 1000
            found["sent"] = count * options.clients
            clients.end()

            port = free_port()
            peer = _Child("--be-peer", str(port))
            children.append(peer)
            await peer.line()
            clients = _Child("--be-clients", str(port), "/", key, str(options.clients))
            children.append(clients)
            await clients.line()
            before = cpu_seconds(peer.process.pid)
            peer.say(f"{options.rate} {options.seconds}")
            await peer.line()
            clients.say(str(count))
            found["peer"] = json.loads(await clients.line())
            found["peer_cpu"] = (cpu_seconds(peer.process.pid) - before) / len(found["peer"]) * 1000
        finally:
            for child in children:
                child.end()
            server.terminate()
            server.wait()
    found["report"] = result
    return found


def main() -> None:
    """Parse, measure, report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rate", type=float, default=5.0, help="events a second")
    parser.add_argument("--be-clients", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--be-peer", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()

    async def go(reactor: Any) -> None:
        if options.be_clients:
            port, path, key, count = options.be_clients
            await be_clients(reactor, int(port), path, key, int(count))
        elif options.be_peer:
            await be_peer(reactor, options.be_peer)
        else:
            publish(await run(reactor, options), options)

    react(lambda reactor: Deferred.fromCoroutine(go(reactor)))


def publish(found: Mapping[str, Any], options: argparse.Namespace) -> None:
    """Say what was found."""
    ours = [it * 1000 for it in found["ours"]]
    peer = [it * 1000 for it in found["peer"]]
    lost = found["sent"] - len(ours)
    what = f"event to each of {options.clients} clients at {options.rate:g}/s"
    result: report.Report = found["report"]
    result.rows += [
        report.Row(f"{what}, p50", report.percentile(ours, 0.5), "ms", lower_is_better=True),
        report.Row(
            f"{what}, p99",
            report.percentile(ours, 0.99),
            "ms",
            must=250,
            aim=100,
            lower_is_better=True,
        ),
        report.Row(
            f"{what}, p99, against autobahn alone",
            report.percentile(ours, 0.99),
            "ms",
            peer="autobahn broadcast",
            peer_figure=report.percentile(peer, 0.99),
            lower_is_better=True,
        ),
        report.Row(
            "CPU of the server for 1,000 messages",
            found["cpu"] * 1000,
            "ms",
            peer="autobahn broadcast",
            peer_figure=found["peer_cpu"] * 1000,
            lower_is_better=True,
        ),
        report.Row("messages lost", lost, "", must=0, lower_is_better=True),
        report.Row(f"memory with {options.clients} clients", found["memory"], "MB"),
    ]
    result.publish()


if __name__ == "__main__":
    main()
