"""From an event to the webhook's bytes on the wire, and how many deliveries a worker sustains.

    python -m benchmarks.webhooks [--seconds 20] [--black-holes]

The endpoint is a process of its own. PostgreSQL commits to disk and Redis keeps its append-only
file. Latency is open-loop: counted from the moment at which an event was due to be written, at a
fixed rate. Every delivery is signed and every attempt stored.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from benchmarks import report
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from nizam.model.events import Event
from nizam.model.identifiers import new_id
from nizam.store.migrate import upgrade

RATE = 200
SATURATED = 10_000
ENDPOINTS = 8
BLACK_HOLES = 5
BLACK_HOLE, NOT_KEPT = "?black-hole", "?not-kept"
BLACK_HOLE_RATE = 10
"""Events a second, each to all of these endpoints."""
ONSET_SECONDS = 4.0
ROUNDS = 3
_CHUNK = 500


class Bench:
    """A worker under test, over its own servers."""

    def __init__(self, reactor: Any, endpoint: subprocess.Popen[str]) -> None:
        assert endpoint.stdin
        assert endpoint.stdout
        self.reactor = reactor
        self.commands, self.answers = endpoint.stdin, endpoint.stdout
        self.port = int(self.answers.readline())
        self.tenant_id = new_id()
        self._sequence = 0

    async def start(self, dsn: str, redis: PrivateRedis) -> None:
        """Connect everything."""
        from nizam.kv.single import SingleRedis
        from nizam.store.pool import Pool
        from nizam.webhooks.egress import EgressAgent
        from nizam.webhooks.queue import DeliveryQueue
        from nizam.webhooks.worker import WebhookWorker

        self.key_value = SingleRedis(self.reactor, redis.host, redis.port, redis.password)
        self.database = Pool(self.reactor, dsn, 8, "benchmark")
        await self.database.start()
        await self.key_value.start()
        self.worker = WebhookWorker(
            self.reactor,
            self.database,
            DeliveryQueue(self.key_value),
            EgressAgent(self.reactor, [ip_network("127.0.0.0/8")]),
            lambda _, field, stored: stored,
            name="benchmark",
        )
        self.worker.startService()

    async def stop(self) -> None:
        """Disconnect everything."""
        await self.worker.stopService()
        await self.key_value.stop()
        await self.database.stop()

    async def add_webhook(self, event_type: str) -> UUID:
        """A webhook to the endpoint."""
        from nizam.model.webhook import Webhook
        from nizam.webhooks.signing import new_secret

        identifier = new_id()
        body = Webhook(
            url=f"http://127.0.0.1:{self.port}/{identifier}", event_types=(event_type,), headers={}
        ).model_dump_json(exclude={"secret"})
        await self.database.query(
            "insert into webhooks (id, tenant_id, body, secrets)"
            " values (%s, %s, %s::jsonb, jsonb_build_object('secret', %s::text))",
            (identifier, self.tenant_id, body, new_secret()),
        )
        return identifier

    def event(self, kind: str, due: float) -> Event:
        """An event as large as those of calls are."""
        self._sequence += 1
        return Event(
            type=kind,
            occurred_at=datetime.fromtimestamp(due, UTC),
            core_id="benchmark",
            sequence=self._sequence,
            tenant_id=self.tenant_id,
            node="fs1",
            data={"due": due, "from": "1001", "to": "1002", "padding": "x" * 300},
        )

    async def write(self, events: list[Event]) -> None:
        """Store events with their deliveries and hand these in, as the intake does."""
        from nizam.store.system.events import write_events

        self.worker.enqueue((await write_events(self.database, events)).deliveries)

    async def pause(self, seconds: float) -> None:
        """Let the reactor run."""
        await deferLater(self.reactor, seconds, lambda: None)

    async def point(self, webhooks: list[UUID], path: str) -> None:
        """Let webhooks be sent to the endpoint's path, and what it said before be forgotten."""
        await self.give_up(webhooks)
        await self.database.execute(
            "update webhooks set body = body || jsonb_build_object('status', 'active', 'url',"
            " %s::text || id::text || %s::text, 'timeout_seconds', 3) where id = any(%s::uuid[])",
            (f"http://127.0.0.1:{self.port}/", path, webhooks),
        )

    async def give_up(self, webhooks: list[UUID]) -> None:
        """Wait for nothing of these any more."""
        await self.database.execute(
            "update webhook_deliveries set status = 'succeeded'"
            " where status = 'pending' and webhook_id = any(%s::uuid[])",
            (webhooks,),
        )
        while await self.left(webhooks):
            await self.pause(0.1)
            await self.database.execute(
                "update webhook_deliveries set status = 'succeeded'"
                " where status = 'pending' and webhook_id = any(%s::uuid[])",
                (webhooks,),
            )

    async def left(self, webhooks: list[UUID] | None = None) -> int:
        """How many deliveries of these webhooks, or of all, have not succeeded."""
        ((left,),) = await self.database.query(
            "select count(*) from webhook_deliveries where status <> 'succeeded'"
            " and (%(ids)s::uuid[] is null or webhook_id = any(%(ids)s::uuid[]))",
            {"ids": webhooks},
        )
        return int(left)

    async def settled(self, webhooks: list[UUID] | None = None) -> None:
        """Until every delivery has succeeded and its attempt is stored."""
        while True:
            left = await self.left(webhooks)
            if not left:
                return
            await self.pause(0.05)

    def latencies(self) -> list[float]:
        """Seconds from due to arrival, of every event since the last time."""
        self.commands.write("figures\n")
        self.commands.flush()
        figures: list[float] = json.loads(self.answers.readline())
        return figures


async def measure(bench: Bench, result: report.Report, seconds: float) -> None:
    """All figures."""
    await bench.add_webhook("call.started")
    await latency(bench, 2.0)
    late = [1000 * it for it in await latency(bench, seconds)]
    what = f"event -> webhook bytes on the wire at {RATE}/s"
    for name, fraction, must, aim in (("p50", 0.5, 50, 20), ("p99", 0.99, 500, 150)):
        result.add(
            report.Row(
                what=f"{what}, {name}",
                figure=report.percentile(late, fraction),
                unit="ms",
                samples=late,
                must=must,
                aim=aim,
                lower_is_better=True,
            )
        )
    await black_holes(bench, result, seconds)
    for _ in range(ENDPOINTS):
        await bench.add_webhook("call.ended")
    rates, costs = [], []
    for _ in range(3):
        began, cpu = bench.reactor.seconds(), time.process_time()
        for _ in range(0, SATURATED // ENDPOINTS, _CHUNK):
            await bench.write([bench.event("call.ended", began) for _ in range(_CHUNK)])
        await bench.settled()
        count = ENDPOINTS * _CHUNK * -(-SATURATED // ENDPOINTS // _CHUNK)
        rates.append(count / (bench.reactor.seconds() - began))
        costs.append(1000 * (time.process_time() - cpu) / count)
    result.add(
        report.Row(
            what=f"deliveries sustained to {ENDPOINTS} endpoints, signed, attempts stored",
            figure=report.median(rates),
            unit="/s",
            samples=rates,
            must=600,
            aim=1500,
        )
    )
    result.add(
        report.Row(
            what="processor time of the worker, events written too, for 1,000 deliveries",
            figure=report.median(costs),
            unit="s",
            samples=costs,
            lower_is_better=True,
        )
    )
    ((stored,),) = await bench.database.query("select count(*) from webhook_attempts")
    result.notes["attempts_stored"] = stored


async def black_holes(bench: Bench, result: report.Report, seconds: float) -> None:
    """What it costs the healthy half of the endpoints when the other half takes connections and
    never answers: the same endpoints and events, by turns all healthy and half black-holed."""
    kind = "call.answered"
    healthy, holes = [], []
    for _ in range(BLACK_HOLES):
        healthy.append(await bench.add_webhook(kind))
        holes.append(await bench.add_webhook(kind))
    late: dict[str, list[float]] = {"well": [], "onset": [], "well again": [], "holes": []}
    for turn in range(2 * ROUNDS):
        black = turn % 2 == 1
        await bench.point(holes, BLACK_HOLE if black else NOT_KEPT)
        for part, lasting in (
            ("onset" if black else "well again", ONSET_SECONDS),
            ("holes" if black else "well", seconds / ROUNDS),
        ):
            found = await latency(bench, lasting, kind, BLACK_HOLE_RATE, healthy)
            late[part] += [1000 * it for it in found]
    await bench.give_up(holes)
    what = f"{BLACK_HOLES} healthy endpoints"
    for when, ours, peers in (
        ("that do not answer", "holes", "well"),
        (f"in the {ONSET_SECONDS:g} s in which they cease to", "onset", "well again"),
    ):
        for name, fraction in (("p50", 0.5), ("p99", 0.99)):
            result.add(
                report.Row(
                    what=f"{what} beside as many {when}, {name}",
                    figure=report.percentile(late[ours], fraction),
                    unit="ms",
                    samples=late[ours],
                    peer="all others well",
                    peer_figure=report.percentile(late[peers], fraction),
                    peer_samples=late[peers],
                    must=1 / 1.1 if (name, ours) == ("p99", "holes") else None,
                    lower_is_better=True,
                )
            )


async def latency(
    bench: Bench,
    seconds: float,
    kind: str = "call.started",
    rate: float = RATE,
    waited_for: list[UUID] | None = None,
) -> list[float]:
    """Write one event at each tick of the rate, whatever becomes of the ones before, and wait for
    the deliveries to these webhooks, by default all."""
    first = bench.reactor.seconds() + 0.1
    count = int(rate * seconds)
    writes = []
    for number in range(count):
        due = first + number / rate
        wait = due - bench.reactor.seconds()
        if wait > 0:
            await bench.pause(wait)
        event = bench.event(kind, due)
        writes.append(Deferred.fromCoroutine(bench.write([event])))
    for write in writes:
        await write
    await bench.settled(waited_for)
    return bench.latencies()


async def run(
    reactor: Any, dsn: str, redis: PrivateRedis, endpoint: Any, seconds: float, work: Any
) -> None:
    """Worker and figures."""
    result = report.Report("webhooks")
    bench = Bench(reactor, endpoint)
    await bench.start(dsn, redis)
    try:
        await work(bench, result, seconds)
    finally:
        await bench.stop()
    result.publish()


def main() -> None:
    """The command: servers, then the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--black-holes", action="store_true", help="only these")
    options = parser.parse_args()
    seconds, work = options.seconds, black_holes if options.black_holes else measure
    with tempfile.TemporaryDirectory(prefix="nizam-benchmark-") as name:
        folder = Path(name)
        with (
            PrivatePostgres(folder / "postgres") as postgres,
            PrivateRedis(folder / "redis") as redis,
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.webhooks_receiver"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            ) as endpoint,
        ):
            dsn = postgres.dsn("postgres")
            upgrade(dsn)
            react(
                lambda reactor: Deferred.fromCoroutine(
                    run(reactor, dsn, redis, endpoint, seconds, work)
                )
            )


if __name__ == "__main__":
    main()
