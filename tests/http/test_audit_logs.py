"""The audit log over HTTP, and what stands in it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from nizam.model.resource import Resource
from tests.http.conftest import Server
from tests.http.objects import ALL, NAMES, collection, example_of, item

HOOK = {"url": "https://example.com/hooks", "event_types": ["extension.*"]}
CHAIN = "sort=sequence&limit=200"


async def rows(server: Server, tenant: str, query: str = CHAIN, **more: Any) -> list[Any]:
    answer = await server.request("GET", f"{tenant}/audit-logs?{query}", **more)
    assert answer.status == 200, answer.body
    found: list[Any] = answer.json["data"]
    return found


def netstring(value: Any) -> bytes:
    if value is None:
        return b"-,"
    if isinstance(value, dict):
        value = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    raw = str(value).encode()
    return str(len(raw)).encode() + b":" + raw + b","


HASHED = [
    "tenant_id",
    "sequence",
    "previous_hash",
    "id",
    "revision",
    "occurred_at",
    "actor_type",
    "actor_id",
    "actor_name",
    "address",
    "request_id",
    "action",
    "resource_type",
    "resource_id",
    "before",
    "after",
]


async def test_the_chain_can_be_verified_from_what_the_api_shows(server: Server) -> None:
    tenant = await server.make_tenant()
    made = await server.make(f"{tenant}/extensions", {"number": "1001", "display_name": "Ünal"})
    await server.request("PATCH", f"{tenant}/extensions/{made['id']}", {"ring_seconds": 30})
    await server.request("POST", f"{tenant}/extensions/{made['id']}/reveal")
    last = "0" * 64
    found = await rows(server, tenant)
    assert [it["action"] for it in found][-3:] == ["created", "updated", "revealed"]
    for sequence, row in enumerate(found, 1):
        assert (row["sequence"], row["previous_hash"]) == (sequence, last)
        content = netstring("nizam-audit-1") + b"".join(netstring(row[name]) for name in HASHED)
        last = hashlib.sha256(content).hexdigest()
        assert row["hash"] == last


@pytest.mark.parametrize("resource", ALL, ids=NAMES)
async def test_every_change_of_every_resource_is_a_row_without_its_secrets(
    resource: Resource, server: Server
) -> None:
    tenant = await server.make_tenant("other")
    body = await example_of(server, resource, tenant)
    made = await server.make(collection(resource, tenant), body)
    path = item(resource, tenant, made["id"])
    changed = await server.request("PATCH", path, {"enabled": False})
    assert changed.status == 200, changed.body
    assert (await server.request("DELETE", path)).status == 204
    query = f"resource_id={made['id']}&sort=occurred_at"
    created, updated, deleted = await rows(server, "/api/v1", query)
    found = [it["action"] for it in (created, updated, deleted)]
    assert found == ["created", "updated", "deleted"]
    assert (created["before"], deleted["after"]) == (None, None)
    assert (updated["before"]["enabled"], updated["after"]["enabled"]) == (True, False)
    assert updated["after"] == {**deleted["before"], "enabled": False}
    secrets = [body.get(it.field) or made.get(it.field) for it in resource.secrets]
    text = json.dumps([created, updated, deleted])
    assert not any(f'"{it}"' in text for it in secrets if isinstance(it, str))
    assert made.get("key", "no key") not in text


async def test_a_row_says_who_from_where_by_which_request_and_what(server: Server) -> None:
    tenant = await server.make_tenant()
    headers = {"X-Request-Id": "from-the-crm-17"}
    made = await server.make(
        f"{tenant}/gateways",
        {"name": "Carrier", "host": "sip.example.com", "password": "canary-password"},
        **headers,
    )
    (row,) = await rows(server, tenant, f"resource_id={made['id']}")
    assert row["request_id"] == "from-the-crm-17"
    assert (row["actor_type"], row["actor_name"]) == ("api_key", "tests")
    assert row["address"] == "127.0.0.1"
    assert (row["resource_type"], row["action"]) == ("gateway", "created")
    assert row["before"] is None
    assert row["after"]["host"] == "sip.example.com"
    assert row["after"]["password"] == "***"


@pytest.mark.parametrize(
    ("path", "body", "secrets"),
    [
        (
            "{tenant}/extensions",
            {"number": "1001", "display_name": "Ada", "voicemail": {"pin": "4711"}},
            {"sip_password": None, "voicemail": {"pin": "4711"}},
        ),
        (
            "{tenant}/gateways",
            {"name": "Carrier", "host": "sip.example.com", "password": "gateway-secret"},
            {"password": "gateway-secret"},
        ),
        ("{tenant}/webhooks", HOOK, {"secret": None, "authentication": {"value": None}}),
        (
            "{tenant}/conference_rooms",
            {"number": "3000", "name": "Board", "member_pin": "1111", "moderator_pin": "2222"},
            {"member_pin": "1111", "moderator_pin": "2222"},
        ),
        (
            "/api/v1/switch-nodes",
            {"name": "fs1", "esl_host": "10.0.0.1", "esl_password": "x-y-z", "xml_username": "fs1"},
            {"esl_password": "x-y-z", "xml_password": None},
        ),
    ],
)
async def test_secrets_of_every_resource_are_revealed_by_scope_and_audited(
    path: str, body: dict[str, Any], secrets: dict[str, Any], server: Server
) -> None:
    tenant = await server.make_tenant()
    path = path.format(tenant=tenant).replace("_", "-")
    made = await server.make(path, body)
    expected = {name: made[name] if it is None else it for name, it in secrets.items()}
    area = path.rpartition("/")[2].replace("-", "_")
    without = await server.make_key(f"{area}:read", f"{area}:write")
    refused = await server.request("POST", f"{path}/{made['id']}/reveal", key=without)
    assert refused.status == 403
    assert f"{area}:reveal" in refused.json["detail"]
    allowed = await server.make_key(f"{area}:reveal")
    answer = await server.request("POST", f"{path}/{made['id']}/reveal", key=allowed)
    assert (answer.status, answer.json) == (200, {"id": made["id"], **expected})
    log = tenant if path.startswith(tenant) else "/api/v1"
    (row,) = await rows(server, log, "action=revealed")
    assert row["resource_id"] == made["id"]
    assert row["after"]["fields"]


async def test_a_password_that_is_kept_as_a_hash_cannot_be_revealed(server: Server) -> None:
    answer = await server.request(
        "POST", f"/api/v1/users/{'0' * 8}-0000-7000-8000-{'0' * 12}/reveal"
    )
    assert answer.status == 404
    permissions = (await server.request("GET", "/api/v1/permissions")).json["data"]
    assert "users:reveal" not in permissions


async def test_what_is_done_with_webhooks_and_events_is_recorded(server: Server) -> None:
    tenant = await server.make_tenant()
    hook = await server.make(f"{tenant}/webhooks", HOOK)
    await server.make(f"{tenant}/extensions", {"number": "1001", "display_name": "Ada"})
    path = f"{tenant}/webhooks/{hook['id']}"
    tested = await server.request("POST", f"{path}/test")
    await server.pool.execute("update webhook_deliveries set status = 'dead'")
    await server.request("POST", f"{path}/replay", {"statuses": ["dead"]})
    (event,) = (await server.request("GET", f"{tenant}/call-events?type=extension.created")).json[
        "data"
    ]
    await server.request("POST", f"{tenant}/call-events/{event['id']}/redispatch")
    await server.request("POST", f"{path}/rotate-secret")
    found = await rows(
        server, tenant, "action[in]=tested,replayed,redispatched,rotated&sort=sequence"
    )
    assert [it["action"] for it in found] == ["tested", "replayed", "redispatched", "rotated"]
    assert found[0]["after"] == {"event_id": tested.json["event_id"]}
    asked = {"statuses": ["dead"], "rate_per_second": 100}
    assert found[1]["after"] == {**asked, "deliveries": 2}
    assert found[2]["after"]["event_id"] == event["id"]
    assert {it["resource_id"] for it in found} == {hook["id"], None}


async def test_it_is_filtered_and_paged_as_every_list(server: Server) -> None:
    tenant = await server.make_tenant()
    for number in range(1001, 1006):
        await server.make(f"{tenant}/extensions", {"number": str(number), "display_name": "X"})
    by_type = "resource_type=extension&action=created&actor_name=tests"
    assert len(await rows(server, tenant, by_type)) == 5
    assert await rows(server, tenant, "occurred_at[gt]=2100-01-01T00:00:00Z") == []
    seen: list[str] = []
    path = f"{tenant}/audit-logs?{by_type}&limit=2"
    cursor = ""
    while True:
        page = (await server.request("GET", path + cursor)).json
        seen += [it["after"]["number"] for it in page["data"]]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ["1005", "1004", "1003", "1002", "1001"]
    wrong = await server.request("GET", f"{tenant}/audit-logs?tenant_id=x")
    assert wrong.status == 422


async def test_the_platform_sees_every_chain_and_a_tenant_its_own(server: Server) -> None:
    acme, rival = await server.make_tenant("acme"), await server.make_tenant("rival")
    key = await server.make_key("audit_logs:read", tenant=acme)
    assert {it["tenant_id"] for it in await rows(server, acme, key=key)} == {
        acme.rpartition("/")[2]
    }
    refused = await server.request("GET", f"{rival}/audit-logs", key=key)
    assert refused.status == 404
    refused = await server.request("GET", "/api/v1/audit-logs", key=key)
    assert refused.status == 403
    everything = await rows(server, "/api/v1", "limit=200")
    tenants = {it["tenant_id"] for it in everything}
    assert {acme.rpartition("/")[2], rival.rpartition("/")[2], None} <= tenants
    platform = await rows(server, "/api/v1", "scope=platform")
    assert {it["tenant_id"] for it in platform} == {None}
    assert "api_key" in {it["resource_type"] for it in platform}
