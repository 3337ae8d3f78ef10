"""Nobody reaches what is not theirs: every route, asked by everybody who may not."""

from __future__ import annotations

import re
from typing import Any

import attrs
import pytest

from nizam.http.route import Route
from tests.http.conftest import Server

_NO_ID = "01937a5e-0000-7000-8000-00000000000f"
_NO_EVENT = "evt_" + "0" * 32


def _path(route: Route, tenant_id: str) -> str:
    values = {"tenant_id": tenant_id, "id": _NO_ID, "call_id": _NO_ID}
    path = re.sub(r"\{(\w+)\}", lambda it: values[it.group(1)], route.path)
    return path.replace(f"call-events/{_NO_ID}", f"call-events/{_NO_EVENT}")


@attrs.frozen
class Askers:
    """The keys of the matrix; the tenant that is asked for is the first one."""

    tenant: str
    own: str
    own_without_scope: str
    other: str
    platform: str
    platform_without_scope: str


async def _askers(server: Server) -> Askers:
    mine, other = await server.make_tenant("mine"), await server.make_tenant("other")
    return Askers(
        tenant=mine.rpartition("/")[2],
        own=await server.make_key("*", tenant=mine),
        own_without_scope=await server.make_key("health:read", tenant=mine),
        other=await server.make_key("*", tenant=other),
        platform=await server.make_key("*"),
        platform_without_scope=await server.make_key("health:read"),
    )


def _expected(route: Route) -> dict[str, set[int]]:
    """The statuses that each asker may get. A route that no rule covers fails the test."""
    scoped = route.permission is not None
    through = {200, 201, 202, 204, 304, 400, 404, 409, 412, 422}
    match route.access:
        case "public":
            # Logging in needs no key, but a password.
            answers = {200} if route.method == "GET" else {422, 429}
            return dict.fromkeys(("nobody", "own", "own_without_scope", "other"), answers)
        case "any":
            assert not scoped
            return {"nobody": {401}, "own": {200}, "other": {200}, "platform": {200}}
        case "user":
            return {"nobody": {401}, "own": {403}, "other": {403}, "platform": {403}}
        case "members":
            assert scoped
            one = "{id}" in route.path
            return {
                "nobody": {401},
                "own": {404} if one else through,
                "own_without_scope": {403},
                "other": {404} if one else through,
                "platform": through,
                "platform_without_scope": {403},
            }
        case "tenant" | "own_tenant":
            assert scoped
            assert "{tenant_id}" in route.path
            return {
                "nobody": {401},
                "own": through,
                "own_without_scope": {403},
                "other": {404},
                "platform": through,
                "platform_without_scope": {403},
            }
        case "platform":
            assert scoped
            return {
                "nobody": {401},
                "own": {403},
                "own_without_scope": {403},
                "other": {404} if "{tenant_id}" in route.path else {403},
                "platform": through,
                "platform_without_scope": {403},
            }
    raise AssertionError(f"no rule says who may ask {route.method} {route.path}")


@pytest.mark.time_limit(60)
async def test_every_route_is_closed_to_everybody_else(server: Server) -> None:
    askers = await _askers(server)
    keys: dict[str, str | None] = {"nobody": None, **attrs.asdict(askers)}
    server.api.limiter._local._times.clear()
    wrong: list[Any] = []
    asked = 0
    for route in sorted(server.api.routes(), key=lambda it: it.method == "DELETE"):
        for who, statuses in _expected(route).items():
            if route.access in ("platform",) and who == "platform" and "{tenant_id}" in route.path:
                continue  # would end the tenant that the others are asked about
            answer = await server.request(
                route.method,
                _path(route, askers.tenant),
                {} if route.method in ("POST", "PUT", "PATCH") else None,
                key=keys[who],
                x_forwarded_for=f"192.0.2.{asked % 250}",
            )
            asked += 1
            if answer.status == 429 and who == "nobody":
                await server.key_value.command("FLUSHDB")
                continue
            if answer.status not in statuses:
                wrong.append((who, route.method, route.path, answer.status, answer.body[:200]))
    assert wrong == []
    assert asked > 300


async def test_another_tenants_object_does_not_exist(server: Server) -> None:
    mine, other = await server.make_tenant("mine"), await server.make_tenant("other")
    theirs = await server.make(
        f"{other}/extensions", {"number": "1001", "display_name": "Not yours"}
    )
    key = await server.make_key("*", tenant=mine)
    for path in (f"{other}/extensions/{theirs['id']}", f"{mine}/extensions/{theirs['id']}"):
        for method, body in (("GET", None), ("PATCH", {"enabled": False}), ("DELETE", None)):
            answer = await server.request(method, path, body, key=key)
            assert (answer.status, answer.json["code"]) == (404, "not_found")
    did = {"number": "+12025550101", "destination": {"type": "extension", "id": theirs["id"]}}
    refused = await server.request("POST", f"{mine}/dids", did, key=key)
    assert (refused.status, refused.json["errors"][0]["path"]) == (422, "/destination/id")
    listed = await server.request("GET", f"{mine}/extensions", key=key)
    assert listed.json["data"] == []


async def test_a_missing_scope_is_named(server: Server) -> None:
    tenant = await server.make_tenant()
    key = await server.make_key("extensions:read", tenant=tenant)
    allowed = await server.request("GET", f"{tenant}/extensions", key=key)
    assert allowed.status == 200
    refused = await server.request("POST", f"{tenant}/extensions", {}, key=key)
    assert (refused.status, refused.json["code"]) == (403, "scope_missing")
    assert refused.json["scope"] == "extensions:write"


async def test_nobody_gives_away_more_than_they_have(server: Server) -> None:
    key = await server.make_key("api_keys:write", "extensions:*")
    for scopes, status in (
        (["extensions:read"], 201),
        (["extensions:*"], 201),
        (["tenants:read"], 403),
        (["api_keys:*"], 403),
        (["*"], 403),
    ):
        body = {"name": "child", "scopes": scopes}
        answer = await server.request("POST", "/api/v1/api-keys", body, key=key)
        assert answer.status == status, (scopes, answer.body)
