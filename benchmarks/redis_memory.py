"""What NIZAM's keys take of Redis's memory:

    python -m benchmarks.redis_memory [--amount 20000] [--calls 200]

Each kind is written by the code that the daemon writes it with, into a real Redis, and the memory
that Redis has more afterwards is divided by their number. Calls are those of a simulated switch
through a whole daemon, while they are up.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from nizam.dev.demo import extension_body
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from nizam.http.sign_ins import SignIns
from nizam.kv.single import SingleRedis
from nizam.model.extension import Extension
from nizam.model.identifiers import new_id
from nizam.routing.rows import Row
from nizam.sim.settings import Durations
from nizam.store.migrate import upgrade
from nizam.switch.channel_index import ChannelIndex
from nizam.switch.snapshot_copy import SnapshotCopy
from nizam.webhooks.queue import PARTITIONS, DeliveryQueue
from tests.daemon.site import build_site, demo_scenery, stop_site

UP = Durations(ring=(0.1, 0.2), talk=(900.0, 900.0), message=(900.0, 900.0), give_up=(900.0, 900.0))
_PREFIX = re.compile(r"nizam:[a-z{}-]+")


async def memory(redis: SingleRedis) -> int:
    """Bytes that Redis has in use."""
    answer: Any = await redis.command("INFO", "memory")
    text = answer.decode() if isinstance(answer, bytes) else str(answer)
    found = re.search(r"used_memory:(\d+)", text)
    assert found is not None, text
    return int(found[1])


async def measured(
    redis: SingleRedis, amount: int, write: Callable[[int], Awaitable[Any]]
) -> float:
    """Bytes for each of `amount` things that `write` writes."""
    await write(0)
    before = await memory(redis)
    for number in range(1, amount + 1):
        await write(number)
    return (await memory(redis) - before) / amount


async def kinds(reactor: Any, redis: SingleRedis, amount: int) -> dict[str, float]:
    """Bytes of one thing of each kind that is written by itself."""
    now = datetime.now(UTC)
    queue, sign_ins = DeliveryQueue(redis), SignIns(redis, lambda: now)
    copy, channels = SnapshotCopy(redis, reactor), ChannelIndex(reactor, redis)
    webhooks = [new_id() for _ in range(20)]
    body = Extension.model_validate(extension_body("1001")).model_dump_json().encode()
    people = [new_id() for _ in range(1000)]
    tenants: dict[int, UUID] = {}

    async def ready(number: int) -> None:
        await queue.push([(new_id(), webhooks[number % 20])])

    async def delayed(number: int) -> None:
        item = (new_id(), webhooks[number % 20])
        await queue.push([item], {item[0]: now.timestamp() + 3600})

    async def session(number: int) -> None:
        await sign_ins.begin(
            "session",
            people[number % 1000],
            b"fingerprint-of-32-bytes---------",
            name="",
            address="203.0.113.7",
            user_agent="Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537",
            expires_at=now + timedelta(hours=12),
        )

    async def extensions(number: int) -> None:
        tenant = tenants.setdefault(number, new_id())
        rows = [Row("extension", new_id(), tenant, 1, body) for _ in range(100)]
        await copy.replace(tenant, 1, rows)

    async def channel(number: int) -> None:
        await channels._share(redis, str(new_id()), f"{new_id()} {new_id()}")

    found = {
        "a delivery that is ready": await measured(redis, amount, ready),
        "a delivery that waits for its next attempt": await measured(redis, amount, delayed),
        "a session or token": await measured(redis, amount, session),
        "an extension in the copy of routing data": await measured(redis, amount // 100, extensions)
        / 100,
        "the call of a channel, for 6 hours": await measured(redis, amount, channel),
    }
    depth = [await queue.depth(it, now.timestamp()) for it in range(PARTITIONS)]
    assert sum(it.ready for it in depth) == amount + 1
    return found


async def calls(
    reactor: Any, redis: SingleRedis, url: str, amount: int
) -> tuple[float, Counter[str]]:
    """Bytes of one call that is up, through a daemon, and what of it each kind of key has."""
    with tempfile.TemporaryDirectory(prefix="nizam-redis-") as name:
        folder = Path(name)
        with PrivatePostgres(folder / "postgres", durable=False) as postgres:
            database = postgres.dsn("postgres")
            upgrade(database)
            site = await build_site(reactor, database, url, folder, demo_scenery(1.0, UP))
            try:
                await deferLater(reactor, 3.0)
                before, keys = await memory(redis), await by_prefix(redis)
                site.switch.calls.start(20.0)
                path = f"/api/v1/tenants/{site.tenant_id}/calls"
                up = 0
                while up < amount:
                    await deferLater(reactor, 1.0)
                    up = len((await site.api.request("GET", path, limit="200"))["data"])
                    print(f"{up} calls", flush=True)
                site.switch.stop_calls()
                await deferLater(reactor, 3.0)
                up = len((await site.api.request("GET", path, limit="200"))["data"])
                each = (await memory(redis) - before) / up
                more = await by_prefix(redis)
                more.subtract(keys)
                return each, Counter({it: round(more[it] / up) for it in more if more[it] > 0})
            finally:
                await stop_site(site)


async def by_prefix(redis: SingleRedis) -> Counter[str]:
    """Bytes of all keys of each kind."""
    found: Counter[str] = Counter()
    for key in await redis.scan("nizam:*"):
        kind = _PREFIX.match(key.decode())
        size = await redis.command("MEMORY", "USAGE", key)
        found[kind[0] if kind else "other"] += int(size or 0)
    return found


async def run(reactor: Any, given: argparse.Namespace) -> None:
    """Measure and print."""
    with (
        tempfile.TemporaryDirectory(prefix="nizam-redis-") as name,
        PrivateRedis(Path(name) / "redis", durable=False) as server,
    ):
        it = urlsplit(server.url())
        redis = SingleRedis(reactor, it.hostname or "", it.port or 0, it.password, 0)
        await redis.start()
        empty = await memory(redis)
        found = await kinds(reactor, redis, given.amount)
        for what, size in found.items():
            print(f"{size:10,.0f} bytes  {what}", flush=True)
        server.flush()
        each, keys = await calls(reactor, redis, server.url(), given.calls)
        await redis.stop()
    print(f"{empty / 1e6:.1f} MB for the empty server")
    print(f"{each:10,.0f} bytes  a call that is up, with its events")
    for what, size in keys.most_common():
        print(f"{size:16,} of these in {what}")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--amount", type=int, default=20_000, help="of each kind (20000)")
    parser.add_argument("--calls", type=int, default=100, help="calls that are up (100)")
    given = parser.parse_args()
    react(lambda reactor: Deferred.fromCoroutine(run(reactor, given)))


if __name__ == "__main__":
    main()
