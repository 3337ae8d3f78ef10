"""Every route's answers tell browsers what they must not do: refused, passed, and none at all."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import pytest_twisted

from nizam.http.app import build_root
from nizam.http.security_headers import ALWAYS, security_headers
from nizam.http.server import BoundedSite
from nizam.ops.prometheus import MetricsResource
from tests.http.conftest import reactor, serving
from tests.http.plain_client import PlainServer, plainly
from tests.http.safe_headers import PUBLIC, unsafe_headers

OPEN_TO_CACHES = {
    *("docs", "docs_page", "docs_style", "docs_script", "docs_index", "openapi"),
    *("list_event_schemas", "get_event_schema"),
}
NOWHERE = "01937a5e-0000-7000-8000-00000000000f"


@pytest_twisted.async_yield_fixture
async def server(database: str, redis_url: str) -> AsyncIterator[PlainServer]:
    there = {"APP_URL": "https://pbx.example.com", "API_RATE_LIMIT": "1000000"}
    async with serving(database, redis_url, there) as running, plainly(running) as plain:
        yield plain


async def test_every_route_says_so_also_to_whoever_is_refused(server: PlainServer) -> None:
    # What other tests get is looked at too, by `Server.request`.
    wrong, public = [], set()
    for route in server.api.routes():
        path = re.sub(r"\{\w+\}", NOWHERE, route.path)
        answer = await server.request(route.method, path, key=None)
        if answer.headers.get("strict-transport-security") != "max-age=31536000":
            wrong.append(f"{route.operation}: transport")
        wrong += [f"{route.operation}: {it}" for it in unsafe_headers(answer.headers)]
        if answer.headers["cache-control"] in PUBLIC:
            public.add(route.operation)
    assert not wrong
    assert {it for it in public if it not in OPEN_TO_CACHES} == set()


async def test_what_is_no_route_says_so_too(server: PlainServer) -> None:
    for method, path in (
        ("GET", "/nothing"),
        ("DELETE", "/api/v1/me"),
        ("OPTIONS", "/api/v1/me"),
        ("GET", "/%C3%A4"),
    ):
        answer = await server.request(method, path, key=None)
        assert "strict-transport-security" in answer.headers, path
        assert unsafe_headers(answer.headers) == []


async def test_what_is_mounted_beside_the_api_says_so_too(server: PlainServer) -> None:
    root = build_root(server.api, reactor, {"/metrics": MetricsResource("token")})
    port = reactor.listenTCP(0, BoundedSite(root, reactor), interface="127.0.0.1")
    beside = attrs.evolve(server, base=f"http://127.0.0.1:{port.getHost().port}")
    try:
        for key, status in ((None, 401), ("token", 200)):
            answer = await beside.request("GET", "/metrics", key=key)
            assert answer.status == status
            assert unsafe_headers(answer.headers) == []
            assert "strict-transport-security" in answer.headers
    finally:
        for it in server.connections.values():
            it.close()
        await port.stopListening()


@pytest.mark.parametrize(
    "forwarded", ["X_Forwarded_For", "Forwarded", "X_Real_Ip", "X_Forwarded_Host", "Via"]
)
async def test_a_proxy_of_this_machine_does_not_open_the_metrics(
    server: PlainServer, forwarded: str
) -> None:
    root = build_root(server.api, reactor, {"/metrics": MetricsResource(None)})
    port = reactor.listenTCP(0, BoundedSite(root, reactor), interface="127.0.0.1")
    beside = attrs.evolve(server, base=f"http://127.0.0.1:{port.getHost().port}")
    try:
        assert (await beside.request("GET", "/metrics", key=None)).status == 200
        header: dict[str, Any] = {forwarded: "203.0.113.9"}
        assert (await beside.request("GET", "/metrics", key=None, **header)).status == 401
    finally:
        for it in server.connections.values():
            it.close()
        await port.stopListening()


def test_without_tls_there_is_nothing_to_insist_on() -> None:
    assert security_headers("http://127.0.0.1:8080") == ALWAYS
    lax = {name.lower(): value for name, value in ALWAYS} | {"cache-control": "public"}
    assert unsafe_headers(lax) == ["cache-control is public"]
    assert len(unsafe_headers({})) == 5
