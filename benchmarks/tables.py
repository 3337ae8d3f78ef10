"""How fast lists become files and files become objects, and how much memory that takes.

    python -m benchmarks.tables [--calls 1000000] [--extensions 10000]

The API answers on a loopback port; PostgreSQL commits to disk; the client is curl, in a process of
its own. The memory is what the daemon has more afterwards than before: pages that it kept would
show. The longest time that its thread belonged to something else is that between two ticks.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg2
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.internet.utils import getProcessOutputAndValue

from benchmarks import report
from benchmarks.document import Stalls
from benchmarks.processes import resident_megabytes
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from nizam.settings import SecretKey, load
from nizam.store.migrate import upgrade

_CALLS = """
insert into cdrs (call_id, started_at, tenant_id, direction, from_number, to_number, duration_ms,
    billable_ms, result, hangup_cause, hangup_by, source, mos)
select gen_random_uuid(), date_trunc('month', now()) + it * interval '1 second', %s, 'inbound',
    '+4930' || it, '+12025550101', 1000, 900, 'answered', 'NORMAL_CLEARING', 'caller', 'both', 4.4
from generate_series(1, %s) it
"""


async def measure(
    reactor: Any, dsn: str, redis: PrivateRedis, calls: int, extensions: int
) -> report.Report:
    """Every step, one after the other."""
    from nizam.http.api import Api
    from nizam.http.app import build_root
    from nizam.http.server import BoundedSite
    from nizam.kv.single import SingleRedis
    from nizam.media.library import MediaLibrary
    from nizam.model.registry import resource
    from nizam.routing.snapshot import Snapshot
    from nizam.store.context import SYSTEM
    from nizam.store.pool import Pool
    from nizam.store.secrets import SecretBox
    from nizam.store.store import Store
    from nizam.store.system.api_keys import create_platform_key
    from nizam.switch.live import LiveState
    from nizam.tap import set_aside_what_stays
    from nizam.webhooks.queue import DeliveryQueue

    found = report.Report("tables")
    pool = Pool(reactor, dsn, 4, "benchmark")
    await pool.start()
    key_value = SingleRedis(reactor, redis.host, redis.port, redis.password)
    await key_value.start()
    store = Store(pool, SecretBox([SecretKey("k1", bytes(32))]))
    api = Api.over(
        reactor=reactor,
        settings=load(None, {"APP_ENV": "testing"}).settings,
        store=store,
        key_value=key_value,
        snapshot=Snapshot(),
        live=LiveState(reactor),
        queue=DeliveryQueue(key_value),
        media=MediaLibrary(reactor, None),
    )
    set_aside_what_stays()
    site = BoundedSite(build_root(api, reactor, {}), reactor)
    port = reactor.listenTCP(0, site, interface="127.0.0.1")
    key = await create_platform_key(pool, "benchmark", 1_000_000)
    tenants = resource("tenant")
    body = tenants.body.model_validate(
        {"name": "Acme", "slug": "acme", "domain": "acme.example.test"}
    )
    tenant = await store.create(tenants, None, body, SYSTEM, lambda it: it)
    start = f"http://127.0.0.1:{port.getHost().port}/api/v1/tenants/{tenant.id}"
    stalls = Stalls(reactor)

    async def asked(what: str, rows: int, *options: str, must: float) -> None:
        before, began = resident_megabytes(os.getpid()), time.perf_counter()
        stalls.start()
        out, err, status = await getProcessOutputAndValue(  # type: ignore[no-untyped-call]
            "curl", ("-sS", "--fail", "-H", f"Authorization: Bearer {key}", *options)
        )
        stalls.stop()
        if status:
            raise RuntimeError(err.decode() + out.decode())
        seconds = time.perf_counter() - began
        more = resident_megabytes(os.getpid()) - before
        found.add(report.Row(f"{what}: rows", rows / seconds, "/s"))
        found.add(report.Row(f"{what}: more memory", more, "MiB", must=must, lower_is_better=True))
        for row in stalls.rows(what):
            found.add(row)
        stalls.forget()

    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "extensions.csv"
        lines = (
            f"{100_000 + it},Extension {it},e{it}@example.test,extension:{100_000 + it // 2}\r\n"
            for it in range(extensions)
        )
        table.write_text(
            "number,display_name,voicemail.email,forward.busy\r\n" + "".join(lines), newline=""
        )
        kind = ("-H", "Content-Type: text/csv", "--data-binary", f"@{table}")
        await asked(
            f"import {extensions} extensions",
            extensions,
            *kind,
            f"{start}/extensions/import",
            must=200,
        )
    out = ("-o", "/dev/null")
    for what in ("extensions as csv", "extensions as ndjson"):
        name, _, form = what.partition(" as ")
        await asked(
            f"export {extensions} {what}",
            extensions,
            *out,
            f"{start}/{name}/export?format={form}",
            must=20,
        )
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(_CALLS, (str(tenant.id), calls))
        # As autovacuum does within a minute of so many new rows.
        cursor.execute("analyze cdrs")
    for form in ("csv", "ndjson"):
        await asked(
            f"export {calls} CDRs as {form}",
            calls,
            *out,
            f"{start}/cdrs/export?format={form}",
            must=20,
        )
    await port.stopListening()
    await key_value.stop()
    await pool.stop()
    return found


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--extensions", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with (
            PrivatePostgres(Path(folder) / "postgres") as postgres,
            PrivateRedis(Path(folder) / "redis") as redis,
        ):
            upgrade(postgres.dsn())

            async def run(reactor: Any) -> None:
                made = await measure(reactor, postgres.dsn(), redis, given.calls, given.extensions)
                made.publish()

            react(lambda reactor: Deferred.fromCoroutine(run(reactor)))


if __name__ == "__main__":
    main()
