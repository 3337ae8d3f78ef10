"""API keys: shown once, refused at once, limited in time and place."""

from __future__ import annotations

from typing import Any

import pytest

from nizam.model.key_text import is_well_formed, key_hash, new_key
from tests.http.conftest import Server


async def test_a_key_is_shown_once_and_stored_as_its_hash(server: Server) -> None:
    made = await server.make("/api/v1/api-keys", {"name": "CRM", "scopes": ["calls:read"]})
    assert is_well_formed(made["key"])
    assert "key" not in (await server.request("GET", f"/api/v1/api-keys/{made['id']}")).json
    rows = await server.pool.query("select key_hash, row_to_json(k)::text from api_keys k")
    assert key_hash(made["key"]) in {row[0] for row in rows}
    assert not any(made["key"] in row[1] for row in rows)


async def test_a_key_is_told_from_others_by_its_start(server: Server) -> None:
    made = await server.make("/api/v1/api-keys", {"name": "CRM", "scopes": ["calls:read"]})
    path = f"/api/v1/api-keys/{made['id']}"
    rotated = await server.request("POST", f"{path}/rotate", {})
    for key, shown in ((made["key"], made), (rotated.json["key"], rotated.json)):
        assert key.startswith(shown["key_start"])
        assert len(shown["key_start"]) == len("nzm_test_123456")
    listed = await server.request("GET", "/api/v1/api-keys?q=CRM")
    assert [it["key_start"] for it in listed.json["data"]] == [rotated.json["key_start"]]


async def test_me_tells_what_a_key_may(server: Server) -> None:
    tenant = await server.make_tenant()
    key = await server.make_key("extensions:read", tenant=tenant)
    me = (await server.request("GET", "/api/v1/me", key=key)).json
    assert me["tenant_id"] == tenant.rpartition("/")[2]
    assert me["key"]["scopes"] == ["extensions:read"]
    used = await server.request("GET", f"/api/v1/api-keys/{me['id']}")
    assert used.json["last_used_from"] == "127.0.0.1"


@pytest.mark.parametrize(
    "key",
    ["", "nzm_test_short_000000", new_key("test"), new_key("test")[:-1] + "!", "x" * 5000],
    ids=["none", "short", "unknown", "wrong checksum", "long"],
)
async def test_a_key_that_is_none_is_refused(server: Server, key: str) -> None:
    answer = await server.request("GET", "/api/v1/me", key=key)
    assert (answer.status, answer.json["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_mistyped_key_never_reaches_the_database(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*args: object) -> None:
        raise AssertionError("looked up")

    monkeypatch.setattr(type(server.store), "find_api_key", never)
    good = new_key("test")
    wrong = good[:10] + ("A" if good[10] != "A" else "B") + good[11:]
    assert (await server.request("GET", "/api/v1/me", key=wrong)).status == 401


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"expires_at": "2020-01-01T00:00:00Z"}, 401),
        ({"expires_at": "2999-01-01T00:00:00Z"}, 200),
        ({"allowed_cidrs": ["192.0.2.0/24"]}, 401),
        ({"allowed_cidrs": ["192.0.2.0/24", "127.0.0.0/8"]}, 200),
        ({"allowed_cidrs": ["::1/128"]}, 401),
        ({"enabled": False}, 401),
    ],
)
async def test_a_key_holds_within_its_limits(
    server: Server, limits: dict[str, Any], status: int
) -> None:
    key = await server.make_key("*", **limits)
    assert (await server.request("GET", "/api/v1/me", key=key)).status == status


async def test_a_disabled_or_deleted_key_is_refused_at_once(server: Server) -> None:
    for method, body in (("PATCH", {"enabled": False}), ("DELETE", None)):
        made = await server.make("/api/v1/api-keys", {"name": "x", "scopes": ["*"]})
        assert (await server.request("GET", "/api/v1/me", key=made["key"])).status == 200
        changed = await server.request(method, f"/api/v1/api-keys/{made['id']}", body)
        assert changed.status in (200, 204)
        assert (await server.request("GET", "/api/v1/me", key=made["key"])).status == 401


@pytest.mark.parametrize(
    ("own", "wanted", "status"),
    [
        ({}, {"scopes": ["calls:read"]}, 403),
        ({}, {"scopes": ["api_keys:*"]}, 403),
        ({}, {"scopes": ["*"]}, 403),
        ({}, {}, 201),
        ({"expires_at": "2999-01-01T00:00:00Z"}, {}, 422),
        ({"expires_at": "2999-01-01T00:00:00Z"}, {"expires_at": "2999-01-02T00:00:00Z"}, 422),
        ({"expires_at": "2999-01-01T00:00:00Z"}, {"expires_at": "2998-01-01T00:00:00Z"}, 201),
        ({"allowed_cidrs": ["127.0.0.0/8"]}, {}, 422),
        ({"allowed_cidrs": ["127.0.0.0/8"]}, {"allowed_cidrs": ["127.0.0.1/32", "::1/128"]}, 422),
        ({"allowed_cidrs": ["127.0.0.0/8"]}, {"allowed_cidrs": ["127.0.0.1/32"]}, 201),
    ],
)
async def test_a_key_makes_no_key_that_may_more_than_itself(
    server: Server, own: dict[str, Any], wanted: dict[str, Any], status: int
) -> None:
    maker = await server.make_key("api_keys:write", **own)
    body = {"name": "made", "scopes": ["api_keys:write"], **wanted}
    answer = await server.request("POST", "/api/v1/api-keys", body, key=maker)
    assert answer.status == status, answer.body


async def test_a_key_does_not_widen_its_own_limits(server: Server) -> None:
    key = await server.make_key("api_keys:write", expires_at="2999-01-01T00:00:00Z")
    me = (await server.request("GET", "/api/v1/me", key=key)).json
    for change in ({"expires_at": None}, {"scopes": ["*"]}):
        path = f"/api/v1/api-keys/{me['id']}"
        answer = await server.request("PATCH", path, change, key=key)
        assert answer.status in (403, 422), answer.body


async def test_a_rotated_key_holds_beside_the_new_one_until_its_grace_is_over(
    server: Server,
) -> None:
    made = await server.make("/api/v1/api-keys", {"name": "x", "scopes": ["*"]})
    path = f"/api/v1/api-keys/{made['id']}/rotate"
    first = await server.request("POST", path, {"grace_seconds": 600})
    assert first.status == 200, first.body
    assert first.json["previous_key_expires_at"] is not None
    for key in (made["key"], first.json["key"]):
        me = await server.request("GET", "/api/v1/me", key=key)
        assert (me.status, me.json["id"]) == (200, made["id"])
    second = await server.request("POST", path, {"grace_seconds": 0})
    statuses = [
        (await server.request("GET", "/api/v1/me", key=key)).status
        for key in (made["key"], first.json["key"], second.json["key"])
    ]
    assert statuses == [401, 401, 200]
    kept = str(await server.pool.query("select * from api_keys")) + str(
        await server.pool.query("select * from audit_logs")
    )
    for key in (made["key"], first.json["key"], second.json["key"]):
        assert key not in kept


async def test_many_wrong_keys_from_an_address_do_not_shut_out_the_right_ones(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nizam.http.auth.FAILURES_PER_MINUTE", 3)
    good = await server.make_key("extensions:read")
    for _ in range(3):
        await server.request("GET", "/api/v1/me", key=new_key("test"))
    assert (await server.request("GET", "/api/v1/me", key=new_key("test"))).status == 429
    assert (await server.request("GET", "/api/v1/me", key=good)).status == 200


async def test_a_tenants_key_manages_the_keys_of_the_own_tenant_alone(server: Server) -> None:
    mine, other = await server.make_tenant("mine"), await server.make_tenant("other")
    admin = await server.make_key("*", tenant=mine)
    theirs = await server.make_key("extensions:read", tenant=other)
    hidden = (await server.request("GET", "/api/v1/me", key=theirs)).json["id"]
    made = await server.make("/api/v1/api-keys", {"name": "m", "scopes": ["cdrs:read"]}, key=admin)
    assert made["tenant_id"] == mine.rpartition("/")[2]
    listed = (await server.request("GET", "/api/v1/api-keys", key=admin)).json["data"]
    assert {it["tenant_id"] for it in listed} == {made["tenant_id"]}
    path = f"/api/v1/api-keys/{hidden}"
    for method, where, body in (
        ("GET", path, None),
        ("PATCH", path, {"enabled": False}),
        ("DELETE", path, None),
        ("POST", f"{path}/rotate", None),
    ):
        assert (await server.request(method, where, body, key=admin)).status == 404
    elsewhere = {"name": "m", "scopes": ["cdrs:read"], "tenant_id": other.rpartition("/")[2]}
    refused = await server.request("POST", "/api/v1/api-keys", elsewhere, key=admin)
    assert (refused.status, refused.json["errors"][0]["path"]) == (422, "/tenant_id")


async def test_a_weaker_key_does_not_touch_a_stronger_one(server: Server) -> None:
    tenant = await server.make_tenant()
    weak = await server.make_key("api_keys:*", tenant=tenant)
    strong = await server.make_key("*", tenant=tenant)
    path = f"/api/v1/api-keys/{(await server.request('GET', '/api/v1/me', key=strong)).json['id']}"
    for method, where, body in (
        ("PATCH", path, {"name": "mine now"}),
        ("PATCH", path, {"scopes": ["api_keys:read"]}),
        ("DELETE", path, None),
        ("POST", f"{path}/rotate", None),
    ):
        assert (await server.request(method, where, body, key=weak)).status == 403
    assert (await server.request("GET", "/api/v1/me", key=strong)).status == 200


@pytest.mark.parametrize(
    ("own", "wanted", "status", "given"),
    [(100, None, 201, 100), (100, 50, 201, 50), (100, 101, 422, None)],
)
async def test_a_key_has_at_most_the_rate_of_its_maker(
    server: Server, own: int, wanted: int | None, status: int, given: int | None
) -> None:
    tenant = await server.make_tenant()
    maker = await server.make_key("*", tenant=tenant, rate_limit_per_minute=own)
    body = {"name": "m", "scopes": ["cdrs:read"], "rate_limit_per_minute": wanted}
    answer = await server.request("POST", "/api/v1/api-keys", body, key=maker)
    assert (answer.status, answer.json.get("rate_limit_per_minute")) == (status, given)


async def test_a_tenants_key_never_has_what_is_the_platforms(server: Server) -> None:
    tenant = await server.make_tenant()
    key = await server.make_key("*", "switch_nodes:read", tenant=tenant)
    (held,) = (await server.request("GET", "/api/v1/me", key=key)).json["memberships"]
    assert "extensions:write" in held["permissions"]
    assert not any(it.startswith(("switch_nodes:", "sip_profiles:")) for it in held["permissions"])
