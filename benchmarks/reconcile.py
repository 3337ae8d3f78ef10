"""How long it takes until the live state is right after the event socket was away:

    python -m benchmarks.reconcile [--channels 1000]

A switch in a process of its own has that many channels and as many phones; this process connects to
it with a whole node, over a private PostgreSQL and Redis. Measured is the time from the moment that
both connections stand until the live state is what the switch has: when all calls are new, as
after a restart of NIZAM, and when all of them have ended unheard.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import orjson
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from benchmarks.report import Report, Row, median
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from nizam.store.migrate import upgrade

ROUNDS = 5
MUST, AIM = 2.0, 0.8
PASSWORD = "any"


class Full:
    """What a switch with so many channels answers; `count` of them are there now."""

    def __init__(self, count: int) -> None:
        from tests.events.replaying import recorded

        event = next(
            it for it in recorded("calls/esl/events-json-all") if it.name == "CHANNEL_CREATE"
        )
        self.headers = dict(event.headers) | {"Event-Name": "CHANNEL_DATA"}
        self.most = self.count = count
        self.generation = 0

    def uuids(self) -> list[str]:
        """The channels that are there."""
        first = self.generation * self.most
        return [str(UUID(int=first + it)) for it in range(1, self.count + 1)]

    async def execute(self, line: str) -> str:
        """The answer to a command."""
        if line == "show channels as json":
            rows = [{"uuid": it} for it in self.uuids()]
            return orjson.dumps({"row_count": len(rows), "rows": rows}).decode()
        if line.startswith("uuid_dump "):
            return orjson.dumps(self.headers | {"Unique-ID": line.split()[1]}).decode()
        if line == "sofia status":
            return "internal\tprofile\tsip:mod_sofia@127.0.0.1:5060\tRUNNING (0)\n"
        if line == "sofia xmlstatus profile internal reg":
            return "".join(map(_phone, range(self.most)))
        if line == "conference json_list":
            return "[]"
        return "3283d0f7-afcb-4165-b2fb-e45756bbd706" if line.startswith("eval") else ""


def _phone(number: int) -> str:
    return (
        f"<registration><call-id>{number}</call-id><user>{number}@acme.example.test</user>"
        f"<contact>&lt;sip:{number}@192.0.2.1:5060&gt;</contact><agent>Example</agent>"
        "<status>Registered(UDP)(unknown) exp(2026-11-28 21:00:00) expsecs(3660)</status>"
        "<network-ip>192.0.2.1</network-ip><network-port>5060</network-port></registration>"
    )


def serve(channels: int) -> None:
    """The process of the switch: it says its port, and obeys `full`, `empty` and `cut`."""
    import threading

    from twisted.internet import reactor

    from nizam.sim.settings import Scenery
    from nizam.sim.switch import SimulatedSwitch

    full = Full(channels)
    switch = SimulatedSwitch(reactor, password=PASSWORD, scenery=Scenery())
    switch._factory.commands = cast(Any, full)

    def read() -> None:
        for line in sys.stdin:
            word = line.strip()
            if word == "full":
                full.generation += 1
            full.count = 0 if word == "empty" else full.most
            reactor.callFromThread(switch.cut)  # type: ignore[attr-defined]
        reactor.callFromThread(reactor.stop)  # type: ignore[attr-defined]

    async def begin() -> None:
        await switch.start()
        print(switch.esl_port, flush=True)
        threading.Thread(target=read, daemon=True).start()

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(begin()))
    reactor.run()


async def measure(
    reactor: Any, source: Any, dsn: str, redis: PrivateRedis, channels: int
) -> dict[str, list[float]]:
    """Seconds of each round: of new calls, and of those that have ended."""
    from nizam.kv.single import SingleRedis
    from nizam.store.pool import Pool
    from nizam.switch.channel_index import ChannelIndex
    from nizam.switch.intake import Intake
    from nizam.switch.live import LiveState
    from nizam.switch.node import Node
    from nizam.switch.node_specs import NodeSpec

    async def nothing(_deliveries: Any) -> None:
        return

    key_value = SingleRedis(reactor, redis.host, redis.port, redis.password)
    await key_value.start()
    pool = Pool(reactor, dsn, 4, "benchmark")
    await pool.start()
    live = LiveState(reactor, key_value)
    tenant = UUID(int=1)
    intake = Intake(
        reactor,
        pool,
        key_value,
        live,
        ChannelIndex(reactor, key_value),
        tenant_of_domain=lambda _domain: tenant,
        on_deliveries=nothing,
    )
    port = int(source.stdout.readline())
    node = Node(reactor, NodeSpec("fs1", "127.0.0.1", port, PASSWORD), intake)
    for service in (live, intake, node):
        service.startService()
    found: dict[str, list[float]] = {"new": [], "ended": []}

    def shown(kind: str) -> int:
        # Making a list of all of them each time would be most of what is measured.
        return live.count(kind, tenant)

    async def until(condition: Callable[[], bool]) -> float:
        while not (node.connected and node.commands.connected):
            await deferLater(reactor, 0.001)
        begin = time.monotonic()
        while not condition():
            await deferLater(reactor, 0.001)
            if time.monotonic() - begin > 60:
                raise SystemExit("the live state does not become right")
        return time.monotonic() - begin

    async def cut(word: str) -> None:
        source.stdin.write(f"{word}\n")
        source.stdin.flush()
        while node.connected:
            await deferLater(reactor, 0.001)

    await until(lambda: shown("calls") == channels)
    await cut("empty")
    await until(lambda: not shown("calls"))
    for _ in range(ROUNDS):
        await cut("full")
        found["new"].append(await until(lambda: shown("calls") == channels))
        await until(lambda: shown("registrations") == channels)
        await deferLater(reactor, 1.0)
        await cut("empty")
        found["ended"].append(await until(lambda: not shown("calls")))
        await deferLater(reactor, 1.0)
    for service in (node, intake, live):
        await service.stopService()
    await pool.stop()
    await key_value.stop()
    return found


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="Reconciliation after the event socket was away")
    parser.add_argument("--channels", type=int, default=1000)
    parser.add_argument("--serve", action="store_true", help="be the switch")
    options = parser.parse_args()
    if options.serve:
        serve(options.channels)
        return
    found: dict[str, list[float]] = {}
    program = [sys.executable, "-m", "benchmarks.reconcile", "--serve"]
    with (
        tempfile.TemporaryDirectory(prefix="nizam-benchmark-") as folder,
        PrivatePostgres(Path(folder) / "postgres") as postgres,
        PrivateRedis(Path(folder) / "redis", durable=False) as redis,
        subprocess.Popen(
            [*program, "--channels", str(options.channels)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as source,
    ):
        dsn = postgres.dsn()
        upgrade(dsn)

        async def run(reactor: Any) -> None:
            found.update(await measure(reactor, source, dsn, redis, options.channels))

        try:
            react(lambda reactor: Deferred.fromCoroutine(run(reactor)))
        except SystemExit as ended:
            if ended.code:
                raise
        finally:
            source.kill()
    report = Report("reconcile")
    for name, words in (("new", "that are new"), ("ended", "that have ended")):
        seconds = found[name]
        what = f"{options.channels} channels {words}, after reconnect"
        report.add(
            Row(what, median(seconds), "s", seconds, must=MUST, aim=AIM, lower_is_better=True)
        )
    report.publish()


if __name__ == "__main__":
    main()
