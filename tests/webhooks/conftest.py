"""Workers over real PostgreSQL and Redis, sending to a real HTTP server on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import attrs
import orjson
import pytest_twisted
from twisted.internet.defer import Deferred

from nizam.kv.single import SingleRedis
from nizam.model.events import Event
from nizam.model.identifiers import new_id
from nizam.store.pool import Pool
from nizam.store.system.events import WriteResult, write_events
from nizam.webhooks.egress import EgressAgent
from nizam.webhooks.queue import DeliveryQueue
from nizam.webhooks.signing import new_secret
from nizam.webhooks.worker import WebhookWorker
from tests.webhooks.receiver import Receiver

LOOPBACK = [ip_network("127.0.0.0/8")]


@attrs.frozen
class Attempt:
    """A recorded attempt."""

    number: int
    response_status: int | None
    response_head: str | None
    error: str | None


@attrs.define
class Bench:
    """What the tests of the worker stand on. Secrets are stored as they are: see `worker`."""

    reactor: Any
    database: Pool
    key_value: SingleRedis
    queue: DeliveryQueue
    receiver: Receiver
    tenant_id: UUID = attrs.Factory(new_id)
    secrets: dict[UUID, str] = attrs.Factory(dict)
    workers: list[WebhookWorker] = attrs.Factory(list)
    _sequence: int = 0

    def worker(self, name: str = "one", **options: Any) -> WebhookWorker:
        """A worker, not started."""
        worker = WebhookWorker(
            self.reactor,
            self.database,
            self.queue,
            EgressAgent(self.reactor, LOOPBACK),
            lambda webhook_id, field, stored: stored,
            name=name,
            **options,
        )
        self.workers.append(worker)
        return worker

    def start(self, name: str = "one", **options: Any) -> WebhookWorker:
        """A worker that runs."""
        worker = self.worker(name, **options)
        worker.startService()
        return worker

    async def add_webhook(self, path: str, **fields: Any) -> UUID:
        """A webhook that sends to the receiver's `path`."""
        identifier = new_id()
        self.secrets[identifier] = new_secret()
        body = {
            "enabled": True,
            "url": self.receiver.url(path),
            "description": "",
            "event_types": ["*"],
            "headers": {},
            "filter": {"extension_id": None, "did": None},
            "retry_schedule_seconds": [1, 1],
            "timeout_seconds": 5,
            "max_in_flight": 10,
            "rate_per_second": 0,
            "ordered": False,
            "status": "active",
        } | fields
        await self.database.query(
            "insert into webhooks (id, tenant_id, body, secrets)"
            " values (%s, %s, %s::jsonb, jsonb_build_object('secret', %s::text))",
            (identifier, self.tenant_id, orjson.dumps(body).decode(), self.secrets[identifier]),
        )
        return identifier

    def event(self, kind: str = "call.ended", **fields: Any) -> Event:
        """A new event of the tenant."""
        self._sequence += 1
        facts: dict[str, Any] = {
            "type": kind,
            "occurred_at": datetime.now(UTC),
            "core_id": "test",
            "sequence": self._sequence,
            "tenant_id": self.tenant_id,
            "node": "fs1",
            "data": {"number": self._sequence, "name": "Zoë ☎"},
        }
        return Event(**(facts | fields))

    async def write(self, *events: Event) -> WriteResult:
        return await write_events(self.database, events)

    async def statuses(self, webhook_id: UUID) -> list[str]:
        """The statuses of a webhook's deliveries, in the order of its events."""
        rows = await self.database.query(
            "select status from webhook_deliveries where webhook_id = %s"
            " order by event_occurred_at",
            (webhook_id,),
        )
        return [row[0] for row in rows]

    async def ids(self, webhook_id: UUID) -> list[UUID]:
        """The ids of a webhook's deliveries, in the order of their creation."""
        rows = await self.database.query(
            "select id from webhook_deliveries where webhook_id = %s order by created_at, id",
            (webhook_id,),
        )
        return [row[0] for row in rows]

    async def attempts(self, webhook_id: UUID) -> list[Attempt]:
        """A webhook's attempts, the newest first."""
        rows = await self.database.query(
            "select number, response_status, response_head, error from webhook_attempts"
            " where webhook_id = %s order by id desc",
            (webhook_id,),
        )
        return [Attempt(*row) for row in rows]

    async def set_status(self, webhook_id: UUID, status: str) -> None:
        await self.database.query(
            "update webhooks set body = body || jsonb_build_object('status', %s::text)"
            " where id = %s",
            (status, webhook_id),
        )

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until the condition, which may be asynchronous, holds."""
        while True:
            result = condition()
            if hasattr(result, "__await__"):
                result = await result
            if result:
                return
            await self.pause(0.01)

    async def settled(self, webhook_id: UUID) -> bool:
        """Whether every delivery of a webhook has succeeded."""
        return set(await self.statuses(webhook_id)) == {"succeeded"}

    async def until_statuses(self, webhook_id: UUID, *wanted: str) -> None:
        async def as_wanted() -> bool:
            return await self.statuses(webhook_id) == list(wanted)

        await self.until(as_wanted)

    async def pause(self, seconds: float) -> None:
        waited: Deferred[None] = Deferred()
        self.reactor.callLater(seconds, waited.callback, None)
        await waited

    async def die(self, worker: WebhookWorker) -> None:
        """End a worker as kill -9 would: nothing it holds is given back or recorded."""
        self.workers.remove(worker)
        with _cut_off(worker):
            await worker.stopService()


class _Nothing:
    """Stands in for the stores of a worker that is dead: nothing it does arrives any more."""

    def __getattr__(self, name: str) -> Any:
        async def nothing(*args: Any, **kwargs: Any) -> list[Any]:
            return []

        return nothing


@contextmanager
def _cut_off(worker: WebhookWorker) -> Iterator[None]:
    nothing: Any = _Nothing()
    worker._queue = worker._sender._queue = nothing
    for part in (worker._recovery, worker._claimer, worker._recorder):
        part._database = part._queue = nothing
    worker._sender.cut_off()
    yield


@pytest_twisted.async_yield_fixture
async def bench(database: str, redis_url: str) -> AsyncIterator[Bench]:
    from twisted.internet import reactor

    parts = urlsplit(redis_url)
    assert parts.hostname is not None
    assert parts.port is not None
    key_value = SingleRedis(reactor, parts.hostname, parts.port, parts.password)
    pool = Pool(reactor, database, 4, "test")
    receiver = Receiver(reactor)
    receiver.start()
    await pool.start()
    await key_value.start()
    bench = Bench(reactor, pool, key_value, DeliveryQueue(key_value), receiver)
    yield bench
    receiver.hang_up()
    for worker in bench.workers:
        if worker.running:
            await worker.stopService()
    await receiver.stop()
    await key_value.stop()
    await pool.stop()
