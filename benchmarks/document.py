"""How long a tenant document of ten thousand extensions takes, and how long it holds the thread.

    python -m benchmarks.document [--extensions 10000]

PostgreSQL commits to disk. The document is read, applied to an empty tenant, applied again,
planned and exported as the handlers do it, in a process whose snapshot follows the changes, as
that of every daemon does. A tick every millisecond meanwhile notes the longest time that the
thread belonged to something else: a call that arrives then waits for that long. Beside it stands
how much of a processor such a time has taken at most, which does not depend on what else the
machine does.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from twisted.internet.task import LoopingCall, deferLater, react

from benchmarks import report
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from nizam.settings import SecretKey
from nizam.store.migrate import upgrade

_TICK = 0.001


class Stalls:
    """The longest time between two ticks, by the clock and of the processor; in milliseconds."""

    def __init__(self, reactor: Any) -> None:
        self._loop = LoopingCall(self._tick)
        self._loop.clock = reactor
        self._last = self._last_used = 0.0
        self._longest = self._most_used = 0.0

    def start(self) -> None:
        """Begin to tick."""
        self._last, self._last_used = time.perf_counter(), time.thread_time()
        self._loop.start(_TICK, now=False)

    def stop(self) -> None:
        """End ticking."""
        self._loop.stop()

    def forget(self) -> None:
        """Begin anew."""
        self._longest = self._most_used = 0.0

    def rows(self, what: str) -> list[report.Row]:
        """The longest ones since then, as rows of a report; `what` was done meanwhile."""
        used, gap = self._most_used * 1000, self._longest * 1000
        name = f"{what}: thread held, processor time"
        return [
            report.Row(name, used, "ms", must=50, aim=15, lower_is_better=True),
            report.Row(f"{what}: thread held, by the clock", gap, "ms"),
        ]

    def _tick(self) -> None:
        now, used = time.perf_counter(), time.thread_time()
        self._longest = max(self._longest, now - self._last)
        self._most_used = max(self._most_used, used - self._last_used)
        self._last, self._last_used = now, used


def document(extensions: int) -> bytes:
    """A document as an integrator writes it: every extension with a caller id and a forward."""
    return orjson.dumps(
        {
            "format": 1,
            "extensions": [
                {
                    "number": f"{100_000 + number}",
                    "display_name": f"Extension {number}",
                    "caller_id": {"external_number": f"+4930{1_000_000 + number}"},
                    "voicemail": {"email": f"e{number}@example.test"},
                    "forward": {
                        "no_answer": {"type": "extension", "id": f"{100_000 + number // 2}"}
                    },
                }
                for number in range(extensions)
            ],
        }
    )


async def measure(reactor: Any, dsn: str, redis: PrivateRedis, count: int) -> report.Report:
    """Every step, one after the other."""
    from nizam.kv.single import SingleRedis
    from nizam.model.registry import resource
    from nizam.routing.snapshot import Snapshot
    from nizam.store.context import SYSTEM
    from nizam.store.document_results import Applied
    from nizam.store.documents import Documents
    from nizam.store.pool import Pool
    from nizam.store.secrets import SecretBox
    from nizam.store.store import Store
    from nizam.switch.snapshots import SnapshotService

    found = report.Report("document")
    pool = Pool(reactor, dsn, 4, "benchmark")
    await pool.start()
    key_value = SingleRedis(reactor, redis.host, redis.port, redis.password)
    await key_value.start()
    snapshot = Snapshot()
    follower = SnapshotService(reactor, pool, key_value, snapshot)
    follower.startService()
    store = Store(pool, SecretBox([SecretKey("k1", bytes(32))]))
    tenants = resource("tenant")
    body = tenants.body.model_validate(
        {"name": "Acme", "slug": "acme", "domain": "acme.example.test"}
    )
    tenant = await store.create(tenants, None, body, SYSTEM, lambda it: it)
    documents = Documents(store)
    raw = document(count)
    stalls = Stalls(reactor)
    stalls.start()

    async def timed(what: str, work: Callable[[], Awaitable[Any]], must: float | None) -> Any:
        stalls.forget()
        began = time.perf_counter()
        async with documents.turn():
            result = await work()
        seconds = time.perf_counter() - began
        found.add(report.Row(what, seconds, "s", must=must, lower_is_better=True))
        for row in stalls.rows(what):
            found.add(row)
        return result

    async def apply() -> Applied:
        parsed = await documents.read(raw)
        return await documents.apply(
            tenant.id, parsed, SYSTEM, lambda it: it, permit=lambda plan: None
        )

    async def followed() -> None:
        while snapshot.counts()["objects"] < count:
            await deferLater(reactor, 0.01)

    async def plan() -> None:
        await documents.plan(tenant.id, await documents.read(raw), prune=True)

    applied = await timed(f"apply {count} new extensions", apply, 20)
    await timed("routed by the snapshot after", followed, 5)
    await timed("apply again, unchanged", apply, 20)
    await timed("plan", plan, 20)
    await timed("export", lambda: documents.export(tenant.id, SYSTEM), 20)

    async def roll_back() -> None:
        await documents.roll_back(
            tenant.id,
            applied.revision - 1,
            SYSTEM,
            lambda it: it,
            permit=lambda plan: None,
            with_tenant=False,
        )

    await timed("roll back: delete them all", roll_back, 20)
    stalls.stop()
    found.notes["document_bytes"] = len(raw)
    found.notes["at"] = datetime.now(UTC).isoformat()
    await follower.stopService()
    await key_value.stop()
    await pool.stop()
    return found


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extensions", type=int, default=10_000)
    count = parser.parse_args().extensions
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with (
            PrivatePostgres(Path(folder) / "postgres") as postgres,
            PrivateRedis(Path(folder) / "redis") as redis,
        ):
            upgrade(postgres.dsn())

            async def run(reactor: Any) -> None:
                (await measure(reactor, postgres.dsn(), redis, count)).publish()

            react(lambda reactor: _as_deferred(run(reactor)))


def _as_deferred(coroutine: Any) -> Any:
    from twisted.internet.defer import Deferred

    return Deferred.fromCoroutine(coroutine)


if __name__ == "__main__":
    main()
