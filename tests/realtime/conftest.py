"""The API with streams on a real port, and events to be stored."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest_twisted
from twisted.internet import reactor as installed_reactor

from nizam.kv.single import SingleRedis
from nizam.model.events import Event
from nizam.realtime.bell import Bell
from nizam.realtime.catch_up import reading
from nizam.realtime.hub import Hub
from nizam.realtime.streams import Streams
from nizam.realtime.tail import Tail
from nizam.store.store import Store
from nizam.store.system.event_log import log_end, read_log
from nizam.store.system.events import write_events
from tests.daemon.process import until
from tests.http.conftest import Server, serving
from tests.realtime.clients import SECONDS, EventSource, WebSocket, connect, listen

reactor: Any = installed_reactor
_sequence = itertools.count(1)


def event(kind: str, tenant_id: UUID | None, *, call_id: UUID | None = None, **data: Any) -> Event:
    """Something that happens now."""
    return Event(
        type=kind,
        occurred_at=datetime.now(UTC),
        core_id="core",
        sequence=next(_sequence),
        node="fs1",
        tenant_id=tenant_id,
        call_id=call_id,
        data=data,
    )


@attrs.frozen(kw_only=True)
class Town:
    """A server with streams, a tenant with a key, and its clients."""

    server: Server
    bell: Bell
    tenant: str
    tenant_id: UUID
    key: str
    open: list[WebSocket | EventSource] = attrs.field(factory=list)

    async def connect(self, query: str = "", *, key: str | None = "own", **more: Any) -> WebSocket:
        """A WebSocket, closed at the end of the test; with the tenant's key unless told."""
        client = await connect(
            reactor, self.server.base, query, key=self.key if key == "own" else key, **more
        )
        self.open.append(client)
        return client

    async def listen(self, query: str = "", *, key: str | None = "own", **more: Any) -> EventSource:
        """An event stream of the tenant."""
        url = f"{self.server.base}{self.tenant}/call-events/stream{query}"
        client = await listen(
            reactor, self.server.agent, url, key=self.key if key == "own" else key, **more
        )
        self.open.append(client)
        return client

    async def until(self, condition: Callable[[], Any], seconds: float = SECONDS) -> None:
        """Wait until `condition` holds."""
        assert await until(reactor, condition, seconds, pause=0.01)

    async def happen(self, *events: Event) -> Sequence[str]:
        """Store events as the intake does; their ids."""
        await write_events(self.server.pool, events)
        self.bell.ring()
        return [it.id for it in events]

    async def call(self, *kinds: str, tenant_id: UUID | None = None, **data: Any) -> list[str]:
        """One call's events, in order; their ids."""
        call_id = uuid4()
        owner = tenant_id or self.tenant_id
        return list(
            await self.happen(
                *(event(f"call.{it}", owner, call_id=call_id, **data) for it in kinds)
            )
        )


async def cut(town: Town) -> None:
    """End every connection of the server, as a network that fails."""
    streams = town.server.api.streams
    assert streams is not None
    await town.until(lambda: len(streams))
    for channel in list(town.server.site.channels):
        channel.transport.abortConnection()
    await town.until(lambda: not len(streams))


def streams_over(store: Store, key_value: SingleRedis) -> tuple[Streams, Bell]:
    """Streams as the daemon has them, but few, and what rings for them."""
    bell, hub, pool = Bell(reactor, key_value), Hub(reactor), store.primary
    tail = Tail(
        reactor, hub, bell, lambda after: read_log(pool, after, most=50), lambda: log_end(pool)
    )
    return Streams(reactor, hub, tail, reading(pool), most=20, most_of_tenant=10), bell


@pytest_twisted.async_yield_fixture
async def town(database: str, redis_url: str) -> AsyncIterator[Town]:
    bells: list[Bell] = []

    def open_streams(store: Store, key_value: SingleRedis) -> Streams:
        streams, bell = streams_over(store, key_value)
        bells.append(bell)
        return streams

    async with serving(database, redis_url, open_streams=open_streams) as server:
        tenant = await server.make_tenant()
        town = Town(
            server=server,
            bell=bells[0],
            tenant=tenant,
            tenant_id=server.tenant_id(tenant),
            key=await server.make_key("call_events:read", tenant=tenant),
        )
        yield town
        for it in town.open:
            await it.leave()
        bells[0].stop()
