"""The tenant document over HTTP: what it shows, what it does, to whom it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from nizam.http.documents import MAX_BYTES
from tests.http.conftest import Answer, Server

DOCUMENT: dict[str, Any] = {
    "format": 1,
    "extensions": [
        {"number": "1001", "display_name": "Ada", "sip_password": "correct-horse-1"},
        {"number": "1002", "display_name": "Alan"},
    ],
    "ring_groups": [
        {"number": "2000", "name": "Sales", "members": [{"extension_id": "1001"}]},
    ],
    "dids": [{"number": "+12025550101", "destination": {"type": "ring_group", "id": "2000"}}],
    "webhooks": [
        {
            "url": "https://example.com/hooks/nizam",
            "event_types": ["call.*"],
            "secret": {"secret": True},
        }
    ],
}


async def apply(server: Server, tenant: str, document: Any = DOCUMENT, **more: Any) -> Answer:
    query = more.pop("query", "")
    return await server.request("POST", f"{tenant}/document/apply{query}", document, **more)


async def plan(server: Server, tenant: str, document: Any, query: str = "", **more: Any) -> Answer:
    return await server.request("POST", f"{tenant}/document/plan{query}", document, **more)


async def export(server: Server, tenant: str, **more: Any) -> dict[str, Any]:
    answer = await server.request("GET", f"{tenant}/document", **more)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


async def applied(server: Server, tenant: str, document: Any = DOCUMENT, **more: Any) -> Any:
    answer = await apply(server, tenant, document, **more)
    assert answer.status == 200, answer.body
    return answer.json


async def test_a_document_is_applied_and_exported_again(server: Server) -> None:
    tenant = await server.make_tenant()
    done = await applied(server, tenant)
    assert done["summary"]["create"] == 5
    assert done["summary"]["by_type"]["extension"] == {"create": 2}
    found = await export(server, tenant)
    assert found["extensions"] == [
        {"number": "1001", "display_name": "Ada", "sip_password": {"secret": True}},
        {"number": "1002", "display_name": "Alan", "sip_password": {"secret": True}},
    ]
    assert found["dids"] == DOCUMENT["dids"]
    ids = {(it["type"], it["key"]): it["id"] for it in done["changes"]}
    made = await server.request("GET", f"{tenant}/extensions/{ids['extension', '1002']}")
    assert made.json["display_name"] == "Alan"


async def test_generated_secrets_are_in_the_answer_that_makes_them_and_in_no_other(
    server: Server,
) -> None:
    tenant = await server.make_tenant()
    first = await applied(server, tenant, idempotency_key="once")
    shown = {it["key"]: it["secrets"] for it in first["secrets"]}
    assert set(shown) == {"1002", "https://example.com/hooks/nizam"}
    again = await apply(server, tenant, idempotency_key="once")
    assert again.json == first
    assert again.headers["idempotent-replayed"] == "true"
    assert (await applied(server, tenant))["secrets"] == []
    revealed = await server.request("POST", f"{tenant}/document/reveal")
    extensions = {it["number"]: it for it in revealed.json["extensions"]}
    assert extensions["1001"]["sip_password"] == "correct-horse-1"
    assert extensions["1002"]["sip_password"] == shown["1002"]["sip_password"]


async def test_an_exported_document_makes_an_empty_tenant_the_same(server: Server) -> None:
    acme, rival = await server.make_tenant("acme"), await server.make_tenant("rival")
    await applied(server, acme, {**DOCUMENT, "dids": []})
    whole = (await server.request("POST", f"{acme}/document/reveal")).json
    assert (await applied(server, rival, whole, query="?prune=true"))["missing_secrets"] == []
    assert (await server.request("POST", f"{rival}/document/reveal")).json == whole


async def test_marked_secrets_stay_and_those_of_new_objects_are_named(server: Server) -> None:
    tenant, other = await server.make_tenant(), await server.make_tenant("other")
    gateway = {"name": "Carrier", "host": "sip.example.test", "password": "s3cret-of-ours"}
    await applied(server, tenant, {"gateways": [gateway]})
    marked = (await export(server, tenant))["gateways"]
    assert marked[0]["password"] == {"secret": True}
    await applied(server, tenant, {"gateways": [{**marked[0], "port": 5080}]})
    whole = (await server.request("POST", f"{tenant}/document/reveal")).json
    assert whole["gateways"] == [{**gateway, "port": 5080}]
    elsewhere = await applied(server, other, {"gateways": marked})
    assert elsewhere["missing_secrets"] == [
        {"type": "gateway", "key": "Carrier", "field": "password", "path": "/gateways/0"}
    ]


async def test_a_plan_says_what_would_change_and_changes_nothing(server: Server) -> None:
    tenant = await server.make_tenant()
    await applied(server, tenant)
    before = await export(server, tenant)
    changed = {
        "extensions": [
            {"number": "1001", "display_name": "Ada Lovelace", "ring_seconds": 40},
            {"number": "1003", "display_name": "Grace", "voicemail": {"pin": "4711"}},
        ],
        "webhooks": [{**DOCUMENT["webhooks"][0], "headers": {"X-Shop": "k-4711"}}],
    }
    answer = await plan(server, tenant, changed, "?prune=true")
    assert answer.status == 200, answer.body
    shown = {
        (it["operation"], it["type"], it["key"]): it["fields"] for it in answer.json["changes"]
    }
    assert shown["update", "extension", "1001"] == [
        {"path": "/display_name", "before": "Ada", "after": "Ada Lovelace"},
        {"path": "/ring_seconds", "after": 40},
    ]
    assert shown["delete", "extension", "1002"] == []
    assert {"path": "/voicemail/pin", "after": "***"} in shown["create", "extension", "1003"]
    hook = shown["update", "webhook", "https://example.com/hooks/nizam"]
    assert hook == [{"path": "/headers/X-Shop", "after": "***"}]
    assert answer.json["summary"]["unchanged"] == 0
    assert answer.headers["etag"] == f'"{answer.json["revision"]}"'
    assert await export(server, tenant) == before


async def test_the_etag_is_the_revision(server: Server) -> None:
    tenant = await server.make_tenant()
    await applied(server, tenant)
    first = await server.request("GET", f"{tenant}/document")
    tag = first.headers["etag"]
    same = await server.request("GET", f"{tenant}/document", if_none_match=tag)
    assert (same.status, same.body) == (304, b"")
    assert (await plan(server, tenant, first.json)).headers["etag"] == tag
    made = await server.make(f"{tenant}/extensions", {"number": "1009", "display_name": "New"})
    late = await apply(server, tenant, first.json, if_match=tag)
    assert (late.status, late.json["code"]) == (412, "version_mismatch")
    now = late.json["current_version"]
    done = await apply(server, tenant, first.json, if_match=f'"{now}"', query="?prune=true")
    assert [it["id"] for it in done.json["changes"]] == [made["id"]]
    assert done.headers["etag"] == f'"{now + 1}"'


async def test_what_is_applied_twice_changes_nothing_the_second_time(server: Server) -> None:
    tenant = await server.make_tenant()
    first = await applied(server, tenant)
    second = await applied(server, tenant)
    assert second["changes"] == []
    assert second["revision"] == first["revision"]
    assert second["summary"]["unchanged"] == 5


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?existing=replace", ["Else", None]),
        ("?existing=merge", ["Else", "Lab"]),
        ("?existing=refuse", 409),
    ],
)
async def test_what_becomes_of_objects_that_are_there(
    server: Server, query: str, names: Any
) -> None:
    tenant = await server.make_tenant()
    there = {"number": "1001", "display_name": "Ada", "emergency_location": "Lab"}
    await applied(server, tenant, {"extensions": [there]})
    changed = {"extensions": [{"number": "1001", "display_name": "Else"}]}
    answer = await apply(server, tenant, changed, query=query)
    if names == 409:
        assert answer.status == 409
        assert answer.json["errors"][0]["path"] == "/extensions/0/number"
        return
    found = (await server.request("GET", f"{tenant}/extensions?number=1001")).json["data"][0]
    assert [found["display_name"], found["emergency_location"]] == names


async def test_everything_that_is_wrong_is_named_at_once_and_nothing_is_done(
    server: Server,
) -> None:
    tenant, other = await server.make_tenant(), await server.make_tenant("other")
    theirs = await server.make(f"{other}/extensions", {"number": "1001", "display_name": "X"})
    await server.make(f"{tenant}/extensions", {"number": "1005", "display_name": "There"})
    document = {
        "format": 2,
        "colour": "red",
        "tenant": {"slug": "mine", "time_zone": "Mars/Olympus"},
        "extensions": [
            {"number": "x", "display_name": "A"},
            {"number": "1002", "display_name": "B", "color": "red"},
            {"number": "1003", "display_name": "C", "ring_seconds": 1},
            "1004",
        ],
        "ivrs": {},
        "ring_groups": [{"number": "2000", "name": "R", "members": [{"extension_id": "1009"}]}],
        "dids": [
            {"number": "+12025550101", "destination": {"type": "extension", "id": theirs["id"]}}
        ],
    }
    answer = await apply(server, tenant, document, query="?prune=true")
    assert answer.status == 422
    assert {(it["path"], it["code"]) for it in answer.json["errors"]} >= {
        ("/format", "format"),
        ("/colour", "unknown_field"),
        ("/tenant/slug", "unknown_field"),
        ("/tenant/time_zone", "value_error"),
        ("/extensions/0/number", "string_pattern_mismatch"),
        ("/extensions/1/color", "unknown_field"),
        ("/extensions/2/ring_seconds", "greater_than_equal"),
        ("/extensions/3", "dict_type"),
        ("/ivrs", "list_type"),
        ("/ring_groups/0/members/0/extension_id", "not_found"),
        ("/dids/0/destination/id", "not_found"),
    }
    assert len((await export(server, tenant))["extensions"]) == 1
    assert (await plan(server, tenant, document)).status == 422


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"[]", 400, "malformed_json"),
        (b'{"extensions": [{}', 400, "malformed_json"),
        (b'{"extensions": [], "extensions": []}', 400, "malformed_json"),
        (b'{"extensions": [{"number": "1", "number": "2"}]}', 400, "malformed_json"),
        (b'{"extensions": [NaN]}', 400, "malformed_json"),
        (b'{"a": ' + b"[" * 100_000, 400, "malformed_json"),
        (b'{"a": "\\ud800"}', 400, "malformed_json"),
        (b"\xff{}", 400, "malformed_json"),
        (b'{"extensions": [{"display_name": "a\\u0000"}]}', 422, "validation_failed"),
        (b'{"extensions": [' + b"1," * 50_000 + b"1]}", 413, "payload_too_large"),
    ],
)
async def test_what_is_no_document_is_refused(
    server: Server, raw: bytes, status: int, code: str
) -> None:
    tenant = await server.make_tenant()
    for what in ("plan", "apply"):
        answer = await server.request("POST", f"{tenant}/document/{what}", raw=raw)
        assert (answer.status, answer.json["code"]) == (status, code)


async def test_a_document_may_be_large_but_not_endless(server: Server) -> None:
    tenant = await server.make_tenant()
    start = b'{"extensions": []'
    large = start + b" " * (2 * 1024 * 1024) + b"}"
    answer = await server.request("POST", f"{tenant}/document/plan", raw=large)
    assert answer.status == 200, answer.body
    endless = start + b" " * MAX_BYTES + b"}"
    answer = await server.request("POST", f"{tenant}/document/plan", raw=endless)
    assert (answer.status, answer.json["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("?prune=yes", {"prune"}),
        ("?existing=keep&prune=1", {"existing", "prune"}),
        ("?dry_run=true", {"dry_run"}),
        ("?prune=true&prune=false", {"prune"}),
    ],
)
async def test_wrong_options_are_named(server: Server, query: str, wrong: set[str]) -> None:
    tenant = await server.make_tenant()
    for answer in (
        await apply(server, tenant, query=query),
        await plan(server, tenant, DOCUMENT, query),
    ):
        assert answer.status == 422
        assert {it["path"] for it in answer.json["errors"]} == wrong
    assert (await server.request("GET", f"{tenant}/document{query}")).status == 422


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        ("document:read", (200, 403, 403, 403)),
        ("document:reveal", (403, 200, 403, 403)),
        ("document:plan", (403, 403, 200, 403)),
        ("extensions:*", (403, 403, 403, 403)),
        ("document:apply", (403, 403, 403, 403)),
    ],
)
async def test_each_step_has_its_own_scope(
    server: Server, scope: str, statuses: tuple[int, ...]
) -> None:
    tenant = await server.make_tenant()
    key = await server.make_key(scope, tenant=tenant)
    answers = (
        await server.request("GET", f"{tenant}/document", key=key),
        await server.request("POST", f"{tenant}/document/reveal", key=key),
        await plan(server, tenant, DOCUMENT, key=key),
        await apply(server, tenant, key=key),
    )
    assert tuple(it.status for it in answers) == statuses


async def test_nobody_applies_what_they_could_not_write_one_by_one(server: Server) -> None:
    tenant = await server.make_tenant()
    key = await server.make_key("document:*", "extensions:write", tenant=tenant)
    refused = await apply(server, tenant, key=key)
    assert (refused.status, refused.json["code"]) == (403, "scope_missing")
    assert refused.json["missing"] == ["dids:write", "ring_groups:write", "webhooks:write"]
    assert (await plan(server, tenant, DOCUMENT, key=key)).json["missing_permissions"] == [
        "dids:write",
        "ring_groups:write",
        "webhooks:write",
    ]
    only_extensions = {"extensions": DOCUMENT["extensions"]}
    assert (await applied(server, tenant, only_extensions, key=key))["summary"]["create"] == 2


async def test_the_settings_of_a_tenant_are_the_platforms_to_change(server: Server) -> None:
    tenant = await server.make_tenant()
    key = await server.make_key("*", tenant=tenant)
    own = await export(server, tenant, key=key)
    assert (await applied(server, tenant, own, key=key))["changes"] == []
    settings = {"tenant": {**own["tenant"], "time_zone": "Europe/Berlin"}}
    refused = await apply(server, tenant, settings, key=key)
    assert (refused.status, refused.json["missing"]) == (403, ["tenants:write"])
    assert (await applied(server, tenant, settings))["summary"]["update"] == 1


async def test_another_tenants_document_does_not_exist(server: Server) -> None:
    own, other = await server.make_tenant("own"), await server.make_tenant("other")
    key = await server.make_key("*", tenant=own)
    for method, path in (
        ("GET", "document"),
        ("POST", "document/reveal"),
        ("POST", "document/plan"),
        ("POST", "document/apply"),
        ("GET", "revisions"),
        ("GET", "revisions/1"),
        ("POST", "revisions/1/plan"),
        ("POST", "revisions/1/rollback"),
    ):
        body = DOCUMENT if path.startswith("document/") else None
        answer = await server.request(method, f"{other}/{path}", body, key=key)
        assert answer.status == 404, path


async def test_reading_every_secret_is_audited_each_time(server: Server) -> None:
    tenant = await server.make_tenant()
    await applied(server, tenant)
    for _ in range(2):
        revealed = await server.request(
            "POST", f"{tenant}/document/reveal", idempotency_key="the-same"
        )
        assert revealed.status == 200
    rows = await server.request("GET", f"{tenant}/audit-logs?action=revealed")
    assert [it["resource_type"] for it in rows.json["data"]] == ["document", "document"]
    assert "extension.sip_password" in rows.json["data"][0]["after"]["fields"]
    kept = await server.pool.query("select count(*) from idempotency_keys where key = 'the-same'")
    assert kept == [(0,)]


async def test_secrets_are_in_no_plan_audit_row_event_or_revision(server: Server) -> None:
    tenant = await server.make_tenant()
    canary = "canary-in-a-document"
    hook = {
        "url": "https://example.com/hooks/nizam",
        "event_types": ["extension.*"],
        "headers": {"X-Team": canary},
        "authentication": {"value": canary},
    }
    document: dict[str, Any] = {
        "extensions": [{"number": "1001", "display_name": "A", "sip_password": canary}],
        "gateways": [{"name": "G", "host": "sip.example.test", "password": canary}],
        "webhooks": [hook],
    }
    assert canary.encode() not in (await plan(server, tenant, document)).body
    revision = (await applied(server, tenant, document))["revision"]
    for path in ("audit-logs", "call-events", "revisions", f"revisions/{revision}", "gateways"):
        answer = await server.request("GET", f"{tenant}/{path}")
        assert answer.status == 200, path
        assert canary.encode() not in answer.body, path
    (shown,) = (await server.request("GET", f"{tenant}/webhooks")).json["data"]
    assert shown["authentication"] == {"header": "Authorization"}
    wrong = {"extensions": [{**document["extensions"][0], "ring_seconds": 1}]}
    assert canary.encode() not in (await apply(server, tenant, wrong)).body


async def test_a_revision_says_who_changed_what(server: Server) -> None:
    tenant = await server.make_tenant()
    revision = (await applied(server, tenant, x_request_id="the-import"))["revision"]
    listed = (await server.request("GET", f"{tenant}/revisions?kind=document")).json["data"]
    assert [it["revision"] for it in listed] == [revision]
    assert listed[0]["counts"]["extension"] == {"created": 2}
    assert (listed[0]["request_id"], listed[0]["actor_name"]) == ("the-import", "tests")
    one = (await server.request("GET", f"{tenant}/revisions/{revision}")).json
    keys = {(it["type"], it["key"]) for it in one["changes"]}
    assert ("ring_group", "2000") in keys
    extension = next(it for it in one["changes"] if it["key"] == "1001")
    assert {"path": "/display_name", "after": "Ada"} in extension["fields"]
    assert {"path": "/sip_password", "after": "***"} in extension["fields"]
    assert one["omitted_changes"] == 0
    rows = (await server.request("GET", f"{tenant}/audit-logs?action=applied")).json["data"]
    assert rows[0]["after"]["by_type"]["extension"] == {"create": 2}


@pytest.mark.parametrize("revision", ["999", "0", "x", "-1", "1" * 30])
async def test_a_revision_that_there_is_not_is_not_found(server: Server, revision: str) -> None:
    tenant = await server.make_tenant()
    for method, path in (("GET", ""), ("POST", "/plan"), ("POST", "/rollback")):
        answer = await server.request(method, f"{tenant}/revisions/{revision}{path}")
        assert answer.status == 404


async def test_rolling_back_brings_objects_and_secrets_back(server: Server) -> None:
    tenant = await server.make_tenant()
    first = await applied(server, tenant)
    before = (await server.request("POST", f"{tenant}/document/reveal")).json
    ids = {it["key"]: it["id"] for it in first["changes"]}
    changed = {
        "extensions": [{"number": "1001", "display_name": "A", "sip_password": "another-pass-2"}],
        "ring_groups": [],
        "dids": [],
    }
    await applied(server, tenant, changed, query="?prune=true")
    path = f"{tenant}/revisions/{first['revision']}"
    proposed = (await server.request("POST", f"{path}/plan")).json
    assert {(it["operation"], it["key"]) for it in proposed["changes"]} == {
        ("update", "1001"),
        ("create", "1002"),
        ("create", "2000"),
        ("create", "+12025550101"),
    }
    tag = f'"{proposed["revision"]}"'
    done = await server.request("POST", f"{path}/rollback", if_match=tag)
    assert done.status == 200, done.body
    assert (await server.request("POST", f"{tenant}/document/reveal")).json == before
    assert {it["key"]: it["id"] for it in done.json["changes"]}.items() <= ids.items()
    newest = (await server.request("GET", f"{tenant}/revisions?limit=1")).json["data"][0]
    assert (newest["kind"], newest["restores"]) == ("rollback", first["revision"])
    late = await server.request("POST", f"{path}/rollback", if_match=tag)
    assert late.status == 412
    again = await server.request("POST", f"{path}/rollback")
    assert again.json["changes"] == []


async def test_nobody_rolls_back_what_they_could_not_write_one_by_one(server: Server) -> None:
    tenant = await server.make_tenant()
    start = (await applied(server, tenant, {"extensions": DOCUMENT["extensions"]}))["revision"]
    await applied(server, tenant)
    key = await server.make_key("revisions:*", "extensions:write", tenant=tenant)
    path = f"{tenant}/revisions/{start}/rollback"
    refused = await server.request("POST", path, key=key)
    assert (refused.status, refused.json["missing"]) == (
        403,
        ["dids:write", "ring_groups:write", "webhooks:write"],
    )
    assert (await server.request("POST", path)).json["summary"]["delete"] == 3


async def test_the_tenants_own_settings_go_back_when_asked_for(server: Server) -> None:
    tenant = await server.make_tenant()
    start = (await applied(server, tenant))["revision"]
    await applied(server, tenant, {"tenant": {"time_zone": "Europe/Berlin"}})
    path = f"{tenant}/revisions/{start}/rollback"
    assert (await server.request("POST", path)).json["changes"] == []
    key = await server.make_key("*", tenant=tenant)
    refused = await server.request("POST", path, {"tenant_settings": True}, key=key)
    assert refused.json["missing"] == ["tenants:write"]
    done = await server.request("POST", path, {"tenant_settings": True})
    assert done.json["summary"]["by_type"] == {"tenant": {"update": 1}}
    assert (await server.request("GET", tenant)).json["time_zone"] == "UTC"
    assert (await server.request("POST", path, {"everything": True})).status == 422
