"""From the event socket to durable rows: decode, normalise, deduplicate, store events and CDRs.

    python -m benchmarks.intake [--seconds 20]

A process of its own sends calls of two legs over TCP; this one runs the link and the intake over
a private PostgreSQL that commits to disk, and a private Redis. Latency is counted from the time at
which an event was due to the commit of its row.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from benchmarks import report
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from nizam.store.migrate import upgrade

SATURATED_EVENTS = 60_000
BURST_EVENTS = 20_000
RATE = 1_200


class Bench:
    """The intake under test and the source of its events."""

    def __init__(self, reactor: Any, source: subprocess.Popen[str]) -> None:
        assert source.stdin
        assert source.stdout
        self.reactor = reactor
        self.commands, self.answers = source.stdin, source.stdout
        port, per_call = self.answers.readline().split()
        self.port, self.per_call = int(port), int(per_call)
        self.received = 0
        self.event_latencies: list[float] = []
        self.cdr_latencies: list[float] = []

    async def start(self, dsn: str, redis: PrivateRedis) -> None:
        """Connect everything."""
        from twisted.internet.endpoints import TCP4ClientEndpoint

        from nizam.esl.link import EslLink
        from nizam.esl.subscription import CALL_EVENTS
        from nizam.kv.single import SingleRedis
        from nizam.store.pool import Pool
        from nizam.switch.batch import Batch
        from nizam.switch.channel_index import ChannelIndex
        from nizam.switch.intake import Intake
        from nizam.switch.live import LiveState

        bench = self

        async def no_deliveries(_deliveries: Any) -> None:
            return

        self.key_value = SingleRedis(self.reactor, redis.host, redis.port, redis.password)
        await self.key_value.start()
        self.pool = Pool(self.reactor, dsn, 4, "benchmark")
        await self.pool.start()
        self.live = LiveState(self.reactor, self.key_value)
        self.intake = Intake(
            self.reactor,
            self.pool,
            self.key_value,
            self.live,
            ChannelIndex(self.reactor, self.key_value),
            tenant_of_domain=lambda _domain: None,
            on_deliveries=no_deliveries,
            leases=self.pool,
        )
        store = self.intake.writer.storing.store

        async def timed(batch: Batch, seconds: float, leases: Any = ()) -> None:
            await store(batch, seconds, leases)
            now = time.time()
            bench.event_latencies += [now - it.occurred_at.timestamp() for it in batch.events]
            bench.cdr_latencies += [
                now - it.ended_at.timestamp() for it in batch.legs if it.ended_at
            ]

        self.intake.writer.storing.store = timed  # type: ignore[method-assign]

        hearing = self.intake.listen("fs1", lambda: None)
        begun = datetime.now(UTC)

        def take(event: Any, received_at: float) -> None:
            self.received += 1
            hearing.heard(event, begun, received_at)
            self.intake.switch_event("fs1", event)

        def came_up() -> None:
            self.intake.link_up("fs1")
            up.callback(None)

        endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", self.port)
        up: Deferred[None] = Deferred()
        self.link = EslLink(
            self.reactor,
            endpoint,
            "any",
            subscription=CALL_EVENTS,
            on_event=take,
            on_up=came_up,
        )
        self.live.startService()
        self.intake.startService()
        self.link.startService()
        await up
        while self.intake.nodes.states["fs1"] != "active":
            await deferLater(self.reactor, 0.01)

    async def stop(self) -> None:
        """Leave nothing running."""
        await self.link.stopService()
        await self.intake.stopService()
        await self.live.stopService()
        await self.pool.stop()
        await self.key_value.stop()

    async def run(self, count: int, rate: float) -> tuple[int, float, float]:
        """Send events; how many it were, seconds until all were stored, CPU seconds."""
        before = await self.ended()
        received = self.received
        self.event_latencies.clear()
        self.cdr_latencies.clear()
        count -= count % self.per_call
        begin, cpu = time.time(), time.process_time()
        self.commands.write(f"send {count} {rate}\n")
        self.commands.flush()
        calls = count // self.per_call
        while self.received - received < count or self.intake.writer.buffered:
            await deferLater(self.reactor, 0.005)
            if time.time() - begin > 300:
                raise SystemExit("events were lost")
        while await self.ended() - before < calls:
            await deferLater(self.reactor, 0.01)
        seconds = time.time() - begin
        self.answers.readline()
        return count, seconds, time.process_time() - cpu

    async def ended(self) -> int:
        """Calls of which the end and the summary are stored."""
        rows = await self.pool.query(
            "select least((select count(*) from call_events where type = 'call.ended'),"
            " (select count(*) from cdrs), (select count(*) / 2 from cdr_legs))"
        )
        return int(rows[0][0])


def start_source() -> subprocess.Popen[str]:
    """The process that sends."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.intake_source"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=report.REPOSITORY,
    )


async def measure(reactor: Any, seconds: float, folder: Path) -> list[report.Row]:
    """All rows of the report."""
    source = start_source()
    try:
        with PrivatePostgres(folder / "postgres") as postgres, PrivateRedis(folder / "redis") as it:
            upgrade(postgres.dsn())
            bench = Bench(reactor, source)
            await bench.start(postgres.dsn(), it)
            await bench.run(5_000, 0)  # warm
            count, taken, cpu = await bench.run(SATURATED_EVENTS, 0)
            rows = [
                report.Row(
                    "event socket to durable rows", count / taken, "events/s", must=2500, aim=5000
                ),
                report.Row(
                    "CPU of the daemon",
                    1000 * cpu / count,
                    "s per 1,000 events",
                    lower_is_better=True,
                ),
            ]
            count, taken, _ = await bench.run(BURST_EVENTS, 0)
            rows.append(
                report.Row("burst: stored and none lost", float(count), "events", must=19_990)
            )
            rows.append(
                report.Row("burst: until the last is stored", taken, "s", lower_is_better=True)
            )
            await bench.run(int(RATE * seconds), RATE)
            for what, samples, must, aim in (
                ("event to stored, p99", bench.event_latencies, 100, 40),
                ("hang-up to CDR row, p99", bench.cdr_latencies, 150, 60),
            ):
                values = [1000 * sample for sample in samples]
                rows.append(
                    report.Row(
                        what,
                        report.percentile(values, 0.99),
                        "ms",
                        values,
                        must=must,
                        aim=aim,
                        lower_is_better=True,
                    )
                )
            await bench.stop()
            return rows
    finally:
        source.terminate()
        source.wait()


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of the paced part")
    options = parser.parse_args()
    measured = report.Report("intake")

    async def run(reactor: Any) -> None:
        with tempfile.TemporaryDirectory(prefix="nizam-benchmark-") as folder:
            for row in await measure(reactor, options.seconds, Path(folder)):
                measured.add(row)
        measured.publish()

    react(lambda reactor: Deferred.fromCoroutine(run(reactor)))


if __name__ == "__main__":
    main()
