"""The API on a real loopback port over real PostgreSQL and Redis, and a client for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import attrs
import pytest_twisted
import treq
from argon2 import PasswordHasher
from twisted.internet import reactor as installed_reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from nizam.http.api import Api
from nizam.http.app import build_root
from nizam.http.passwords import Passwords
from nizam.http.server import BoundedSite
from nizam.kv.single import SingleRedis
from nizam.media.library import MediaLibrary
from nizam.realtime.streams import Streams
from nizam.routing.snapshot import Snapshot
from nizam.settings import SecretKey, load
from nizam.store.pool import Pool
from nizam.store.secrets import SecretBox
from nizam.store.store import Store
from nizam.store.system.api_keys import create_platform_key
from nizam.switch.live import LiveState
from nizam.webhooks.queue import DeliveryQueue
from tests.http.contract import broken_promises
from tests.http.safe_headers import unsafe_headers

reactor: Any = installed_reactor
PLENTY = 1_000_000
# Real hashes, but of a thousandth of the work; that of the daemon is in test_passwords.py.
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@attrs.frozen
class Answer:
    """One answer: `json` is None without a body or for other content."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@attrs.frozen(kw_only=True)
class Server:
    """The running API. Requests are signed with the platform's key unless told otherwise, and
    every answer must be one that the OpenAPI document declares."""

    base: str
    api: Api
    pool: Pool
    store: Store
    agent: Agent
    key: str
    key_value: SingleRedis
    media_root: Path
    site: BoundedSite

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = "platform",
        raw: bytes | None = None,
        **headers: str,
    ) -> Answer:
        fields = {name.replace("_", "-").title(): [value] for name, value in headers.items()}
        if key is not None:
            fields["Authorization"] = [f"Bearer {self.key if key == 'platform' else key}"]
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        if data is not None:
            fields.setdefault("Content-Type", ["application/json"])
        response = await treq.request(
            method,
            f"{self.base}{path}",
            headers=fields,  # type: ignore[arg-type]
            data=data,
            agent=self.agent,
            allow_redirects=False,
            timeout=10,
        )
        content = await response.content()
        found = {
            name.decode().lower(): b", ".join(values).decode()
            for name, values in response.headers.getAllRawHeaders()
        }
        wrong = broken_promises(method, path, response.code, found, content)
        # No browser asks what FreeSWITCH does, whose lookups pay for nothing that they do not need.
        wrong += [] if path.startswith("/freeswitch/") else unsafe_headers(found)
        phrase = HTTPStatus(response.code).phrase.encode()
        wrong += [] if response.phrase == phrase else [f"the phrase is {response.phrase!r}"]
        assert not wrong, f"{method} {path} {response.code}: {wrong} {content[:500]!r}"
        return Answer(response.code, found, content)

    async def make(self, path: str, body: Any, **more: Any) -> dict[str, Any]:
        """Create an object; what was answered."""
        answer = await self.request("POST", path, body, **more)
        assert answer.status == 201, answer.body
        made: dict[str, Any] = answer.json
        return made

    async def make_tenant(self, slug: str = "acme") -> str:
        """A tenant; its path."""
        body = {"name": slug, "slug": slug, "domain": f"{slug}.example.test"}
        made = await self.make("/api/v1/tenants", body)
        return f"/api/v1/tenants/{made['id']}"

    async def make_key(self, *scopes: str, tenant: str | None = None, **more: Any) -> str:
        """An API key, for a tenant's path if one is given; its text."""
        body = {"name": "test", "scopes": scopes, "rate_limit_per_minute": PLENTY, **more}
        if tenant is not None:
            body["tenant_id"] = tenant.rpartition("/")[2]
        made = await self.make("/api/v1/api-keys", body)
        text: str = made["key"]
        return text

    def tenant_id(self, tenant: str) -> UUID:
        return UUID(tenant.rpartition("/")[2])


@pytest_twisted.async_yield_fixture
async def server(database: str, redis_url: str) -> AsyncIterator[Server]:
    async with serving(database, redis_url) as running:
        yield running


@implementer(IAgentEndpointFactory)
class _Loopback:
    """Leads to this machine without a thread that resolves its address."""

    def endpointForURI(self, uri: URI) -> TCP4ClientEndpoint:  # noqa: N802 - Twisted's name
        return TCP4ClientEndpoint(reactor, "127.0.0.1", uri.port)


@asynccontextmanager
async def serving(
    database: str,
    redis_url: str,
    environment: Mapping[str, str] | None = None,
    open_streams: Callable[[Store, SingleRedis], Streams] | None = None,
) -> AsyncIterator[Server]:
    """The API over these, with settings beside those of every test, and with streams where it is
    told how to open them."""
    settings = load(
        None,
        {
            "APP_ENV": "testing",
            "API_RATE_LIMIT": "60",
            "SANCTUM_STATEFUL_DOMAINS": "https://console.example.com",
            **(environment or {}),
        },
    ).settings
    pool = Pool(reactor, database, size=3, name="api-tests")
    await pool.start()
    parts = urlsplit(redis_url)
    key_value = SingleRedis(reactor, str(parts.hostname), int(parts.port or 0), parts.password)
    await key_value.start()
    store = Store(pool, SecretBox([SecretKey("k1", bytes(range(32)))]), environment="test")
    folder = TemporaryDirectory(prefix="nizam-media-")
    media_root = Path(folder.name) / "media"
    media_root.mkdir()
    media = MediaLibrary(reactor, media_root)
    api = Api.over(
        reactor=reactor,
        settings=settings,
        store=store,
        key_value=key_value,
        snapshot=Snapshot(),
        live=LiveState(reactor),
        queue=DeliveryQueue(key_value),
        media=media,
        streams=None if open_streams is None else open_streams(store, key_value),
    )
    verifier = attrs.evolve(api.verifier, passwords=Passwords(reactor, QUICK))
    api = attrs.evolve(api, verifier=verifier)
    media.startService()
    if api.streams is not None:
        api.streams.check = api.realtime().access.check
        api.streams.startService()
    site = BoundedSite(build_root(api, reactor, {}), reactor)
    port = reactor.listenTCP(0, site, interface="127.0.0.1")
    connections = HTTPConnectionPool(reactor, persistent=False)  # type: ignore[no-untyped-call]
    yield Server(
        base=f"http://127.0.0.1:{port.getHost().port}",
        api=api,
        pool=pool,
        store=store,
        agent=Agent.usingEndpointFactory(  # type: ignore[no-untyped-call]
            reactor, _Loopback(), connections
        ),
        key=await create_platform_key(pool, "tests", PLENTY),
        key_value=key_value,
        media_root=media_root,
        site=site,
    )
    await port.stopListening()
    if api.streams is not None:
        await api.streams.stopService()
    await media.stopService()
    folder.cleanup()
    await key_value.stop()
    await pool.stop()
