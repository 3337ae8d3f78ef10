"""Users and roles: who sees whom, who may give which role, and what a role may do."""

from __future__ import annotations

from typing import Any

import pytest

from nizam.model.permissions import ROLES, role_permissions
from tests.http.conftest import Server
from tests.http.people import (
    PASSWORD,
    log_in,
    make_user,
    membership,
    person,
    token_of,
)

USERS = "/api/v1/users"
KEYS = "/api/v1/api-keys"


async def test_a_password_is_never_shown(server: Server) -> None:
    made = await make_user(server, "ada@example.com", (None, "platform_admin"))
    shown = await server.request("GET", f"{USERS}/{made['id']}")
    listed = await server.request("GET", USERS)
    for text in (str(made), shown.body.decode(), listed.body.decode()):
        assert PASSWORD not in text
        assert "password" not in text
        assert "argon2" not in text


async def test_users_are_found_and_know_when_they_logged_in(server: Server) -> None:
    await make_user(server, "ada@example.com")
    await make_user(server, "bob@example.com")
    await token_of(server, "ada@example.com")
    found = await server.request("GET", f"{USERS}?q=ada")
    (ada,) = found.json["data"]
    assert (ada["email"], ada["last_login_from"]) == ("ada@example.com", "127.0.0.1")
    everybody = await server.request("GET", f"{USERS}?sort=email&limit=1")
    following = await server.request(
        "GET", f"{USERS}?sort=email&limit=1&cursor={everybody.json['next_cursor']}"
    )
    assert following.json["data"][0]["email"] == "bob@example.com"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"email": "no address"}, "/email"),
        ({"password": "Password1234"}, "/password"),
        ({"password": "short"}, "/password"),
        ({"password": "bob@example.com!"}, "/password"),
        ({"memberships": [{"role": "king"}]}, "/memberships/0/role"),
        ({"memberships": [{"role": "agent"}]}, "/memberships/0"),
        ({"memberships": [{"role": "platform_admin"}] * 2}, ""),
        (
            {
                "memberships": [
                    {"role": "agent", "tenant_id": "01937a5e-0000-7000-8000-000000000009"}
                ]
            },
            "/memberships/0/tenant_id",
        ),
    ],
)
async def test_what_is_wrong_with_a_user_is_named(
    server: Server, change: dict[str, Any], path: str
) -> None:
    body = {"email": "bob@example.com", "name": "Bob", **change}
    answer = await server.request("POST", USERS, body)
    assert answer.status == 422, answer.body
    assert [it["path"] for it in answer.json["errors"]] == [path]


async def test_a_tenant_admin_manages_the_users_of_the_own_tenant_alone(server: Server) -> None:
    mine, other = await server.make_tenant("mine"), await server.make_tenant("other")
    admin = await person(server, "tenant_admin", mine)
    theirs = await make_user(server, "theirs@example.com", (other, "agent"))
    operator = await make_user(server, "root@example.com", (None, "platform_admin"))
    ours = await make_user(server, "ours@example.com", (mine, "agent"), key=admin)
    listed = await server.request("GET", USERS, key=admin)
    emails = {it["email"] for it in listed.json["data"]}
    assert emails == {"tenant_admin@example.com", "ours@example.com"}
    for hidden in (theirs, operator):
        for method, body in (("GET", None), ("PATCH", {"name": "X"}), ("DELETE", None)):
            path = f"{USERS}/{hidden['id']}"
            assert (await server.request(method, path, body, key=admin)).status == 404
        reset = await server.request("POST", f"{USERS}/{hidden['id']}/reset-token", key=admin)
        assert reset.status == 404
    path = f"{USERS}/{ours['id']}"
    renamed = await server.request("PATCH", path, {"name": "Renamed"}, key=admin)
    assert (renamed.status, renamed.json["name"]) == (200, "Renamed")
    assert (await server.request("DELETE", path, key=admin)).status == 204


@pytest.mark.parametrize("role", ["supervisor", "agent", "read_only"])
async def test_whoever_is_no_admin_changes_no_users(server: Server, role: str) -> None:
    tenant = await server.make_tenant()
    token = await person(server, role, tenant)
    body = {"email": "x@example.com", "name": "X", "memberships": [membership(tenant, "agent")]}
    refused = await server.request("POST", USERS, body, key=token)
    assert (refused.status, refused.json["scope"]) == (403, "users:write")


@pytest.mark.parametrize("wanted", ["other tenant", "platform"])
async def test_a_tenant_admin_gives_no_role_outside_the_tenant(server: Server, wanted: str) -> None:
    mine, other = await server.make_tenant("mine"), await server.make_tenant("other")
    admin = await person(server, "tenant_admin", mine)
    given = (
        membership(None, "platform_admin") if wanted == "platform" else membership(other, "agent")
    )
    body = {
        "email": "x@example.com",
        "name": "X",
        "memberships": [membership(mine, "agent"), given],
    }
    refused = await server.request("POST", USERS, body, key=admin)
    assert (refused.status, refused.json["errors"][0]["path"]) == (
        422,
        "/memberships/1/tenant_id",
    )
    own = (await server.request("GET", "/api/v1/me", key=admin)).json["id"]
    raised = {"memberships": [membership(mine, "tenant_admin"), given]}
    assert (await server.request("PATCH", f"{USERS}/{own}", raised, key=admin)).status == 422


async def test_a_key_gives_no_role_that_has_more_than_the_key(server: Server) -> None:
    tenant = await server.make_tenant()
    key = await server.make_key("users:write", "users:read", "extensions:read", tenant=tenant)
    body = {"email": "x@example.com", "name": "X", "memberships": [membership(tenant, "agent")]}
    refused = await server.request("POST", USERS, body, key=key)
    assert (refused.status, refused.json["code"]) == (403, "scope_missing")
    assert "ring_groups:read" in refused.json["missing"]


async def test_the_weaker_do_not_touch_the_stronger(server: Server) -> None:
    tenant = await server.make_tenant()
    key = await server.make_key("users:write", "users:read", tenant=tenant)
    admin = await make_user(server, "admin@example.com", (tenant, "tenant_admin"))
    path = f"{USERS}/{admin['id']}"
    for method, where, body in (
        ("PATCH", path, {"password": "seven purple giraffes"}),
        ("PATCH", path, {"memberships": []}),
        ("DELETE", path, None),
        ("POST", f"{path}/reset-token", None),
    ):
        assert (await server.request(method, where, body, key=key)).status == 403


async def test_of_a_user_of_several_tenants_each_admin_sees_and_changes_their_part(
    server: Server,
) -> None:
    mine, other = await server.make_tenant("mine"), await server.make_tenant("other")
    admin = await person(server, "tenant_admin", mine)
    both = await make_user(server, "both@example.com", (mine, "agent"), (other, "supervisor"))
    path = f"{USERS}/{both['id']}"
    seen = (await server.request("GET", path, key=admin)).json
    assert seen["memberships"] == [membership(mine, "agent")]
    (listed,) = (await server.request("GET", f"{USERS}?q=both", key=admin)).json["data"]
    assert listed["memberships"] == [membership(mine, "agent")]
    changes: list[dict[str, Any]] = [
        {"password": "seven purple giraffes"},
        {"email": "me@example.com"},
    ]
    for change in changes:
        assert (await server.request("PATCH", path, change, key=admin)).status == 403
    assert (await server.request("POST", f"{path}/reset-token", key=admin)).status == 403
    assert (await server.request("DELETE", path, key=admin)).status == 403
    role: dict[str, Any] = {"memberships": [membership(mine, "read_only")]}
    assert (await server.request("PATCH", path, role, key=admin)).status == 200
    whole = (await server.request("GET", path)).json["memberships"]
    assert whole == [membership(mine, "read_only"), membership(other, "supervisor")]
    assert (await server.request("PATCH", path, {"memberships": []}, key=admin)).status == 200
    whole = (await server.request("GET", path)).json["memberships"]
    assert whole == [membership(other, "supervisor")]
    assert (await server.request("GET", path, key=admin)).status == 404


async def test_a_member_of_two_tenants_acts_in_each_by_the_role_there(server: Server) -> None:
    one, two = await server.make_tenant("one"), await server.make_tenant("two")
    three = await server.make_tenant("three")
    await make_user(server, "ada@example.com", (one, "tenant_admin"), (two, "read_only"))
    token = await token_of(server, "ada@example.com")
    for tenant, statuses in ((one, (200, 201)), (two, (200, 403)), (three, (404, 404))):
        read = await server.request("GET", f"{tenant}/extensions", key=token)
        body = {"number": "1001", "display_name": "Ada"}
        write = await server.request("POST", f"{tenant}/extensions", body, key=token)
        assert (read.status, write.status) == statuses
    everybody = await server.request("GET", USERS, key=token)
    assert [it["email"] for it in everybody.json["data"]] == ["ada@example.com"]


async def test_a_membership_ends_with_the_tenant(server: Server) -> None:
    tenant = await server.make_tenant()
    token = await person(server, "tenant_admin", tenant)
    await server.request("POST", f"{tenant}/terminate")
    server.api.authenticator.forget()
    me = (await server.request("GET", "/api/v1/me", key=token)).json
    assert me["memberships"] == []
    assert (await server.request("GET", f"{tenant}/extensions", key=token)).status == 404


async def test_a_403_says_what_is_missing_who_has_it_and_what_one_has(server: Server) -> None:
    tenant = await server.make_tenant()
    token = await person(server, "supervisor", tenant)
    refused = (await server.request("POST", f"{tenant}/extensions", {}, key=token)).json
    assert refused["scope"] == "extensions:write"
    assert refused["roles"] == ["platform_admin", "tenant_admin"]
    assert refused["yours"] == {"roles": ["supervisor"], "scopes": []}
    key = await server.make_key("extensions:read", tenant=tenant)
    refused = (await server.request("POST", f"{tenant}/extensions", {}, key=key)).json
    assert refused["yours"] == {"roles": [], "scopes": ["extensions:read"]}
    assert "extensions:write" in refused["detail"]


async def test_me_says_who_one_is_and_what_one_may_do_where(server: Server) -> None:
    tenant = await server.make_tenant()
    token = await person(server, "agent", tenant)
    me = (await server.request("GET", "/api/v1/me", key=token)).json
    assert (me["kind"], me["email"], me["platform"]) == ("user", "agent@example.com", False)
    assert me["tenant_id"] == tenant.rpartition("/")[2]
    (held,) = me["memberships"]
    assert held["roles"] == ["agent"]
    assert held["permissions"] == sorted(role_permissions("agent"))
    assert me["sign_in"]["kind"] == "token"
    assert me["key"] is None


async def test_every_permission_and_every_role_is_told(server: Server) -> None:
    told = (await server.request("GET", "/api/v1/permissions")).json
    assert [it["role"] for it in told["roles"]] == list(ROLES)
    for it in told["roles"]:
        assert set(it["permissions"]) <= set(told["data"])


async def test_what_users_do_is_told_under_their_name(server: Server) -> None:
    tenant = await server.make_tenant()
    token = await person(server, "tenant_admin", tenant)
    body = {"number": "1001", "display_name": "Ada"}
    await server.make(f"{tenant}/extensions", body, key=token)
    me = (await server.request("GET", "/api/v1/me", key=token)).json
    rows = await server.pool.query(
        "select actor_type, actor_id::text, actor_name from audit_logs "
        "where resource_type = 'extension'"
    )
    assert rows == [("user", me["id"], "tenant_admin@example.com")]


async def test_a_tenants_users_and_keys_are_in_the_tenants_audit_log(server: Server) -> None:
    tenant = await server.make_tenant()
    await make_user(server, "ada@example.com", (tenant, "agent"))
    await server.make_key("extensions:read", tenant=tenant)
    rows = await server.pool.query(
        "select resource_type from audit_logs where tenant_id = %s and action = 'created' "
        "and resource_type <> 'tenant' order by occurred_at",
        (server.tenant_id(tenant),),
    )
    assert rows == [("user",), ("api_key",)]


async def test_a_repeated_creation_of_a_user_makes_one(server: Server) -> None:
    body = {"email": "ada@example.com", "name": "Ada", "password": PASSWORD}
    made = [await server.request("POST", USERS, body, idempotency_key="once") for _ in range(2)]
    assert [it.status for it in made] == [201, 201]
    assert made[0].json["id"] == made[1].json["id"]
    assert (await log_in(server, "ada@example.com")).status == 200


async def test_a_tenants_audit_log_tells_of_no_other_tenant(server: Server) -> None:
    tenant, other = await server.make_tenant("acme"), await server.make_tenant("rival")
    ada = await make_user(server, "ada@example.com", (tenant, "agent"), (other, "agent"))
    for memberships in ([membership(tenant, "agent")], [membership(other, "agent")]):
        moved = await server.request("PATCH", f"{USERS}/{ada['id']}", {"memberships": memberships})
        assert moved.status == 200, moved.body
    for own, others in ((tenant, other), (other, tenant)):
        log = await server.request("GET", f"{own}/audit-logs")
        assert others.rpartition("/")[2].encode() not in log.body
    rows = await server.pool.query(
        "select count(*) from audit_logs where tenant_id is null and resource_id = %s", (ada["id"],)
    )
    assert rows[0][0] == 3
