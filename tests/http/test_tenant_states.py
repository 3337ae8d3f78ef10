"""The states of a tenant over HTTP: the steps there are, the end, and what is left after it."""

from __future__ import annotations

from typing import Any

import pytest

from nizam.model.purge_receipt import receipt_hash
from nizam.model.tenant import TRANSITIONS
from tests.http.conftest import Server
from tests.http.purging import purge_now

WAYS: dict[str, list[str]] = {
    "trial": [],
    "active": ["activate"],
    "suspended": ["activate", "suspend"],
    "terminated": ["terminate"],
}
"""How a new tenant comes into each state."""
STEPS = {
    ("trial", "activate"): "active",
    ("suspended", "activate"): "active",
    ("active", "suspend"): "suspended",
    ("trial", "terminate"): "terminated",
    ("active", "terminate"): "terminated",
    ("suspended", "terminate"): "terminated",
}


async def in_state(server: Server, state: str, slug: str = "acme") -> str:
    tenant = await server.make_tenant(slug)
    for step in WAYS[state]:
        assert (await server.request("POST", f"{tenant}/{step}")).status == 200
    return tenant


@pytest.mark.parametrize("state", WAYS)
async def test_there_are_these_steps_and_no_others(server: Server, state: str) -> None:
    for command in TRANSITIONS:
        tenant = await in_state(server, state, command)
        answer = await server.request("POST", f"{tenant}/{command}")
        following = STEPS.get((state, command))
        if following is None:
            assert (answer.status, answer.json["code"]) == (409, "invalid_transition")
        else:
            assert (answer.status, answer.json["status"]) == (200, following)
        assert (await server.request("GET", tenant)).json["status"] == (following or state)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "", {"name": "Again"}, 409),
        ("PATCH", "", {"status": "active"}, 409),
        ("DELETE", "", None, 409),
        ("POST", "/extensions", {"number": "1001", "display_name": "X"}, 409),
        ("GET", "", None, 200),
        ("GET", "/extensions", None, 200),
        ("GET", "/audit-logs", None, 200),
        ("GET", "/purge-receipt", None, 404),
    ],
)
async def test_a_terminated_tenant_can_be_read_until_its_purge_and_not_be_changed(
    server: Server, method: str, path: str, body: Any, status: int
) -> None:
    tenant = await in_state(server, "terminated")
    answer = await server.request(method, f"{tenant}{path}", body)
    assert answer.status == status, answer.body
    if status == 409:
        assert answer.json["code"] == "invalid_transition"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"grace_days": -1}, "/grace_days"),
        ({"grace_days": 3651}, "/grace_days"),
        ({"grace_days": "soon"}, "/grace_days"),
        ({"grace_days": 1.5}, "/grace_days"),
        ({"graceDays": 1}, "/graceDays"),
    ],
)
async def test_a_grace_that_is_none_is_refused_and_ends_nothing(
    server: Server, body: Any, path: str
) -> None:
    tenant = await server.make_tenant()
    answer = await server.request("POST", f"{tenant}/terminate", body)
    assert answer.status == 422
    assert [it["path"] for it in answer.json["errors"]] == [path]
    assert (await server.request("GET", tenant)).json["status"] == "trial"


@pytest.mark.parametrize(("body", "days"), [(None, 30), ({}, 30), ({"grace_days": 7}, 7)])
async def test_the_end_says_when_the_data_goes(server: Server, body: Any, days: int) -> None:
    tenant = await server.make_tenant()
    made = (await server.request("GET", tenant)).json
    assert (made["terminated_at"], made["terminated_by"], made["purge_at"]) == (None, None, None)
    ended = (await server.request("POST", f"{tenant}/terminate", body)).json
    assert ended["terminated_by"] == "tests"
    rows = await server.pool.query(
        "select %s::timestamptz - %s::timestamptz = make_interval(days => %s)",
        (ended["purge_at"], ended["terminated_at"], days),
    )
    assert rows == [(True,)]
    assert (await server.request("GET", tenant)).json == ended


async def test_nobody_is_given_a_terminated_tenant(server: Server) -> None:
    tenant = await in_state(server, "terminated")
    identifier = tenant.rpartition("/")[2]
    key = {"name": "Late", "scopes": ["*"], "tenant_id": identifier}
    refused = await server.request("POST", "/api/v1/api-keys", key)
    assert [it["path"] for it in refused.json["errors"]] == ["/tenant_id"]
    user = {
        "email": "late@example.com",
        "name": "Late",
        "memberships": [{"tenant_id": identifier, "role": "agent"}],
    }
    refused = await server.request("POST", "/api/v1/users", user)
    assert [it["path"] for it in refused.json["errors"]] == ["/memberships/0/tenant_id"]


async def test_a_key_of_a_terminated_tenant_can_still_be_switched_off(server: Server) -> None:
    tenant = await server.make_tenant()
    body = {"name": "Its", "scopes": ["*"], "tenant_id": tenant.rpartition("/")[2]}
    made = await server.make("/api/v1/api-keys", body)
    await server.request("POST", f"{tenant}/terminate")
    path = f"/api/v1/api-keys/{made['id']}"
    assert (await server.request("PATCH", path, {"enabled": False})).status == 200


async def test_after_the_purge_there_is_the_receipt_and_nothing_else(server: Server) -> None:
    tenant = await server.make_tenant()
    await server.make(f"{tenant}/extensions", {"number": "1001", "display_name": "Ünal & Söhne"})
    key = await server.make_key("extensions:read", tenant=tenant)
    await server.request("POST", f"{tenant}/terminate", {"grace_days": 0})
    assert not (await purge_now(server)).more
    for path in ("", "/extensions", "/audit-logs", "/cdrs"):
        assert (await server.request("GET", f"{tenant}{path}")).status == 404, path
    server.api.authenticator.forget()
    assert (await server.request("GET", "/api/v1/me", key=key)).status == 401
    receipt = (await server.request("GET", f"{tenant}/purge-receipt")).json
    assert receipt["hash"] == receipt_hash(receipt)
    assert receipt["counts"]["extensions"] == receipt["counts"]["api_keys"] == 1
    listed = (await server.request("GET", "/api/v1/purge-receipts?slug=acme")).json
    assert listed["data"] == [receipt]
    assert (await server.request("GET", "/api/v1/purge-receipts?slug=other")).json["data"] == []
    log = (await server.request("GET", "/api/v1/audit-logs?action=purged")).json["data"]
    assert [(it["resource_id"], it["after"]["hash"]) for it in log] == [
        (receipt["tenant_id"], receipt["hash"])
    ]
