"""Nobody reaches what is another tenant's, or gives away more than they have."""

from __future__ import annotations

from tests.http.conftest import Server


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
