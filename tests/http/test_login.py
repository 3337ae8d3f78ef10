"""Signing in and out: who gets a session or a token, what they are worth, and when they end."""

from __future__ import annotations

from typing import Any

import pytest

from nizam.errors import KeyValueUnavailable
from nizam.http.lockout import FAILURES_THAT_LOCK
from nizam.http.verifier import LOGINS_PER_MINUTE
from tests.http.conftest import Server
from tests.http.people import (
    PASSWORD,
    browser_of,
    forget_attempts,
    log_in,
    make_user,
    person,
    token_of,
)

ADA = "ada@example.com"
WRONG = "not the password of anybody"


async def test_a_program_logs_in_for_a_token_and_a_browser_for_a_cookie(server: Server) -> None:
    await make_user(server, ADA, (None, "platform_admin"))
    program = await log_in(server, ADA, token=True)
    assert program.json["token"].startswith("nzt_")
    assert program.json["csrf_token"] is None
    assert "set-cookie" not in program.headers
    browser = await log_in(server, ADA)
    assert browser.json["token"] is None
    cookie = browser.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert cookie.split(";")[0].partition("=")[2] not in browser.body.decode()


async def test_an_address_is_the_same_in_any_case(server: Server) -> None:
    await make_user(server, "Ada@Example.com", (None, "platform_admin"))
    assert (await log_in(server, "ADA@example.COM", token=True)).status == 200
    again = {"email": "ada@example.com", "name": "Again"}
    refused = await server.request("POST", "/api/v1/users", again)
    assert (refused.status, refused.json["errors"][0]["path"]) == (409, "/email")


async def test_a_wrong_password_a_stranger_and_a_disabled_user_are_told_the_same(
    server: Server,
) -> None:
    await make_user(server, ADA, (None, "platform_admin"))
    await make_user(server, "off@example.com", enabled=False)
    await make_user(server, "new@example.com", password=None)
    answers = [
        await log_in(server, ADA, WRONG),
        await log_in(server, "nobody@example.com"),
        await log_in(server, "off@example.com"),
        await log_in(server, "new@example.com"),
    ]
    for it in answers:
        assert it.status == 401
        it.json.pop("request_id")
    told = [{**it.json, "request_id": ""} for it in answers]
    assert all(it == told[0] for it in told)


async def test_an_unknown_address_costs_a_hash_too(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []
    verify = type(server.api.verifier.passwords).verify

    async def noted(self: Any, password: str, stored: str | None) -> bool:
        asked.append(stored)
        return await verify(self, password, stored)

    monkeypatch.setattr(type(server.api.verifier.passwords), "verify", noted)
    await log_in(server, "nobody@example.com")
    assert asked == [None]


async def test_logins_are_limited_for_each_address(server: Server) -> None:
    statuses = [
        (await log_in(server, f"user{number}@example.com", WRONG, counted=True)).status
        for number in range(LOGINS_PER_MINUTE + 1)
    ]
    assert statuses == [401] * LOGINS_PER_MINUTE + [429]


async def test_logins_are_limited_for_each_account(server: Server) -> None:
    await make_user(server, ADA, (None, "platform_admin"))
    for _ in range(LOGINS_PER_MINUTE):
        await server.key_value.delete("rate:{login:127.0.0.1}:minute")
        assert (await log_in(server, ADA, WRONG, counted=True)).status == 401
    await server.key_value.delete("rate:{login:127.0.0.1}:minute")
    refused = await log_in(server, ADA, counted=True)
    assert (refused.status, refused.json["code"]) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) > 0


@pytest.mark.parametrize("email", [ADA, "nobody@example.com"])
async def test_many_wrong_passwords_lock_an_account_whether_it_exists_or_not(
    server: Server, email: str
) -> None:
    await make_user(server, ADA, (None, "platform_admin"))
    for _ in range(FAILURES_THAT_LOCK):
        assert (await log_in(server, email, WRONG)).status == 401
    refused = await log_in(server, email)
    assert (refused.status, refused.json["code"]) == (429, "login_locked")
    assert refused.json["locked_until"].endswith("Z")
    assert 0 < int(refused.headers["retry-after"]) <= 15 * 60


async def test_nobody_logs_in_while_redis_is_away_and_keys_hold(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_user(server, ADA, (None, "platform_admin"))
    token = await token_of(server, ADA)

    async def away(*args: Any, **more: Any) -> Any:
        raise KeyValueUnavailable

    for name in ("script", "get", "hgetall"):
        monkeypatch.setattr(type(server.key_value), name, away)
    login = {"email": ADA, "password": PASSWORD}
    assert (await server.request("POST", "/api/v1/auth/login", login, key=None)).status == 503
    assert (await server.request("GET", "/api/v1/me", key=token)).status == 503
    assert (await server.request("GET", "/api/v1/me")).status == 200


async def test_a_cookie_needs_the_csrf_token_for_every_change(server: Server) -> None:
    await make_user(server, ADA, (None, "platform_admin"))
    browser = await browser_of(server, ADA)
    assert (await browser.request("GET", "/api/v1/me", proof=False)).status == 200
    body = {"name": "A", "slug": "a", "domain": "a.example.test"}
    for headers in ({}, {"x_csrf_token": "0" * 64}):
        refused = await browser.request("POST", "/api/v1/tenants", body, proof=False, **headers)
        assert (refused.status, refused.json["code"]) == (403, "csrf_token_missing")
    assert (await browser.request("POST", "/api/v1/tenants", body)).status == 201


async def test_a_page_that_was_loaded_anew_finds_its_csrf_token_in_me(server: Server) -> None:
    await make_user(server, ADA, (None, "platform_admin"))
    browser = await browser_of(server, ADA)
    me = await browser.request("GET", "/api/v1/me", proof=False)
    assert me.json["sign_in"]["csrf_token"] == browser.csrf_token


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example.net", 403),
        ("null", 403),
        ("http://[", 403),
        ("https://console.example.com", 401),
        ("same", 401),
    ],
)
async def test_a_page_of_another_site_may_not_log_its_visitors_in(
    server: Server, origin: str, status: int
) -> None:
    body = {"email": "nobody@example.com", "password": WRONG}
    given = server.base if origin == "same" else origin
    answer = await server.request("POST", "/api/v1/auth/login", body, key=None, origin=given)
    assert answer.status == status


async def test_the_cookies_secret_is_no_bearer_token(server: Server) -> None:
    await make_user(server, ADA, (None, "platform_admin"))
    browser = await browser_of(server, ADA)
    secret = browser.cookie.partition("=")[2]
    assert (await server.request("GET", "/api/v1/me", key=secret)).status == 401


async def test_after_logout_neither_cookie_nor_token_holds(server: Server) -> None:
    await make_user(server, ADA, (None, "platform_admin"))
    browser, token = await browser_of(server, ADA), await token_of(server, ADA)
    out = await browser.request("POST", "/api/v1/auth/logout")
    assert (out.status, "Max-Age=0" in out.headers["set-cookie"]) == (204, True)
    assert (await browser.request("GET", "/api/v1/me")).status == 401
    assert (await server.request("POST", "/api/v1/auth/logout", key=token)).status == 204
    assert (await server.request("GET", "/api/v1/me", key=token)).status == 401


async def test_a_user_sees_and_ends_their_sessions_and_tokens(server: Server) -> None:
    await make_user(server, ADA, (None, "platform_admin"))
    mine = await token_of(server, ADA)
    other = (await browser_of(server, ADA)).cookie
    listed = (await server.request("GET", "/api/v1/auth/tokens", key=mine)).json["data"]
    assert [(it["kind"], it["current"]) for it in listed] == [("token", True), ("session", False)]
    assert mine not in str(listed)
    path = f"/api/v1/auth/tokens/{listed[1]['id']}"
    assert (await server.request("DELETE", path, key=mine)).status == 204
    assert (await server.request("DELETE", path, key=mine)).status == 404
    assert (await server.request("GET", "/api/v1/me", key=None, cookie=other)).status == 401


async def test_nobody_ends_another_users_token(server: Server) -> None:
    ada = await person(server, "platform_admin", None, "ada")
    eve = await person(server, "platform_admin", None, "eve")
    (found,) = (await server.request("GET", "/api/v1/auth/tokens", key=ada)).json["data"]
    path = f"/api/v1/auth/tokens/{found['id']}"
    assert (await server.request("DELETE", path, key=eve)).status == 404
    assert (await server.request("GET", "/api/v1/me", key=ada)).status == 200


async def test_a_token_made_by_a_token_does_not_outlive_it(server: Server) -> None:
    await make_user(server, ADA, (None, "platform_admin"))
    short = await log_in(server, ADA, token=True, expires_in_seconds=600)
    body = {"name": "report", "expires_in_seconds": 86400}
    made = await server.make("/api/v1/auth/tokens", body, key=short.json["token"])
    assert made["expires_at"] <= short.json["expires_at"]
    assert (await server.request("GET", "/api/v1/me", key=made["token"])).status == 200


async def test_a_repeated_request_for_a_token_gets_the_same_one(server: Server) -> None:
    token = await person(server, "platform_admin", None)
    made = [
        await server.make(
            "/api/v1/auth/tokens", {"name": "report"}, key=token, idempotency_key="once"
        )
        for _ in range(2)
    ]
    assert made[0] == made[1]
    kept = await server.pool.query("select answer from idempotency_keys")
    assert made[0]["token"] not in str(kept)


async def test_a_new_password_ends_what_the_old_one_began_but_not_this(server: Server) -> None:
    await make_user(server, ADA, (None, "platform_admin"))
    browser, other = await browser_of(server, ADA), await token_of(server, ADA)
    await forget_attempts(server)
    change = {"current_password": PASSWORD, "new_password": "seven purple giraffes dancing"}
    done = await browser.request("POST", "/api/v1/auth/password", change)
    assert done.status == 204, done.body
    assert (await browser.request("GET", "/api/v1/me")).status == 200
    assert (await server.request("GET", "/api/v1/me", key=other)).status == 401
    assert (await log_in(server, ADA)).status == 401
    assert (await log_in(server, ADA, "seven purple giraffes dancing")).status == 200


async def test_even_with_redis_forgetting_nothing_the_old_password_is_worth_nothing(
    server: Server,
) -> None:
    user = await make_user(server, ADA, (None, "platform_admin"))
    token = await token_of(server, ADA)
    new = {"password": "seven purple giraffes dancing"}
    changed = await server.request("PATCH", f"/api/v1/users/{user['id']}", new)
    assert changed.status == 200, changed.body
    assert (await server.request("GET", "/api/v1/me", key=token)).status == 401


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"current_password": WRONG}, "/current_password"),
        ({"new_password": "ada@example.com1"}, "/new_password"),
        ({"new_password": "short"}, "/new_password"),
        ({"new_password": "x" * 129}, "/new_password"),
        ({"new_password": "aaaaaaaaaaaaaaaa"}, "/new_password"),
        ({"new_password": "Password12345678"}, "/new_password"),
    ],
)
async def test_a_password_is_changed_only_with_the_right_one_to_a_strong_one(
    server: Server, change: dict[str, str], path: str
) -> None:
    token = await person(server, "platform_admin", None, "ada")
    body = {"current_password": PASSWORD, "new_password": "seven purple giraffes", **change}
    await forget_attempts(server)
    answer = await server.request("POST", "/api/v1/auth/password", body, key=token)
    assert answer.status == 422
    assert [it["path"] for it in answer.json["errors"]] == [path]


@pytest.mark.parametrize("change", [{"enabled": False}, None])
async def test_a_user_who_is_disabled_or_deleted_is_out_at_once(
    server: Server, change: dict[str, Any] | None
) -> None:
    user = await make_user(server, ADA, (None, "platform_admin"))
    token = await token_of(server, ADA)
    path = f"/api/v1/users/{user['id']}"
    await server.request("DELETE" if change is None else "PATCH", path, change)
    assert (await server.request("GET", "/api/v1/me", key=token)).status == 401
    assert (await log_in(server, ADA)).status == 401


async def test_a_reset_token_sets_a_password_once(server: Server) -> None:
    user = await make_user(server, ADA, (None, "platform_admin"))
    session = await token_of(server, ADA)
    path = f"/api/v1/users/{user['id']}/reset-token"
    text = (await server.request("POST", path)).json["reset_token"]
    reset = {"token": text, "new_password": "seven purple giraffes"}
    weak = await server.request(
        "POST", "/api/v1/auth/reset", {**reset, "new_password": "ada@example.com1"}, key=None
    )
    assert weak.status == 422
    done = await server.request("POST", "/api/v1/auth/reset", reset, key=None)
    assert done.status == 204, done.body
    assert (await log_in(server, ADA, "seven purple giraffes")).status == 200
    assert (await server.request("GET", "/api/v1/me", key=session)).status == 401
    again = await server.request("POST", "/api/v1/auth/reset", reset, key=None)
    assert (again.status, again.json["errors"][0]["path"]) == (422, "/token")


async def test_a_reset_opens_a_locked_account(server: Server) -> None:
    user = await make_user(server, ADA, (None, "platform_admin"))
    for _ in range(FAILURES_THAT_LOCK):
        await log_in(server, ADA, WRONG)
    assert (await log_in(server, ADA)).status == 429
    path = f"/api/v1/users/{user['id']}/reset-token"
    text = (await server.request("POST", path)).json["reset_token"]
    reset = {"token": text, "new_password": "seven purple giraffes"}
    await server.request("POST", "/api/v1/auth/reset", reset, key=None)
    assert (await log_in(server, ADA, "seven purple giraffes")).status == 200


async def test_what_people_do_to_sign_in_is_in_the_audit_log_without_their_secrets(
    server: Server,
) -> None:
    tenant = await server.make_tenant()
    user = await make_user(server, ADA, (tenant, "tenant_admin"))
    await log_in(server, ADA, WRONG)
    browser = await browser_of(server, ADA)
    await browser.request("POST", "/api/v1/auth/logout")
    await log_in(server, "nobody@example.com", WRONG)
    rows = await server.pool.query(
        "select action, actor_type, actor_id, tenant_id, address, after from audit_logs "
        "where resource_type = 'user' order by occurred_at, id"
    )
    tenant_id = server.tenant_id(tenant)
    assert [(row[0], row[1], str(row[2]), row[3]) for row in rows[1:]] == [
        ("login_failed", "anonymous", "None", tenant_id),
        ("logged_in", "user", user["id"], tenant_id),
        ("logged_out", "user", user["id"], tenant_id),
        ("login_failed", "anonymous", "None", None),
    ]
    everything = str(await server.pool.query("select * from audit_logs")) + str(
        await server.pool.query("select * from users")
    )
    for secret in (PASSWORD, WRONG, browser.cookie.partition("=")[2], "$argon2id$"):
        assert secret not in everything


async def test_what_redis_holds_signs_nobody_in(server: Server) -> None:
    await make_user(server, ADA, (None, "platform_admin"))
    token, browser = await token_of(server, ADA), await browser_of(server, ADA)
    kept: list[Any] = []
    for key in await server.key_value.scan("*"):
        kept.append(key)
        if (await server.key_value.command("TYPE", key)) in ("hash", b"hash"):
            kept.append(await server.key_value.hgetall(key))
    assert len(kept) > 4
    for secret in (token, browser.cookie.partition("=")[2], browser.csrf_token):
        assert secret not in str(kept)
