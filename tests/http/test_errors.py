"""Whatever is sent, the answer is a problem document that says what is wrong, and never a 500."""

from __future__ import annotations

import re

import pytest

from tests.http.conftest import Server

_LIST = "/api/v1/tenants"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/api/v1/tenants/", 404, "not_found"),
        ("GET", "/api//v1/tenants", 404, "not_found"),
        ("GET", "/api/v1/tenants/%00", 404, "not_found"),
        ("GET", "/api/v1/tenants/%ff", 404, "not_found"),
        ("GET", "/api/v1/tenants/not-a-uuid", 404, "not_found"),
        ("GET", "/api/v1/tenants/01937a5e-0000-7000-8000-000000000001", 404, "not_found"),
        ("GET", "/api/v1/tenants/01937a5e-0000-7000-8000-000000000001/dids", 404, "not_found"),
        ("PUT", "/api/v1/tenants", 405, "method_not_allowed"),
        ("POST", "/api/v1/me", 405, "method_not_allowed"),
        ("GET", f"{_LIST}?limit=0", 422, "validation_failed"),
        ("GET", f"{_LIST}?limit=201", 422, "validation_failed"),
        ("GET", f"{_LIST}?limit=ten", 422, "validation_failed"),
        ("GET", f"{_LIST}?limit=5&limit=6", 422, "validation_failed"),
        ("GET", f"{_LIST}?colour=red", 422, "validation_failed"),
        ("GET", f"{_LIST}?name[like]=x", 422, "validation_failed"),
        ("GET", f"{_LIST}?created_at[gte]=yesterday", 422, "validation_failed"),
        ("GET", f"{_LIST}?created_at=9999-12-31T23:59:59-14:00", 422, "validation_failed"),
        ("GET", f"{_LIST}?sort=colour", 422, "validation_failed"),
        ("GET", f"{_LIST}?cursor=bad", 422, "validation_failed"),
        ("GET", f"{_LIST}?cursor=%F0%9F%98%80", 422, "validation_failed"),
        ("GET", f"{_LIST}?cursor=WyJjcmVhdGVkX2F0IiwxLDJd", 422, "validation_failed"),
        ("GET", f"{_LIST}?q=", 422, "validation_failed"),
        ("GET", f"{_LIST}?name=%00", 400, "bad_request"),
        ("GET", f"{_LIST}?name=%ff", 400, "bad_request"),
        ("GET", f"{_LIST}?{'a=1&' * 200}", 400, "bad_request"),
    ],
)
async def test_a_wrong_request_is_answered_with_this_code(
    server: Server, method: str, path: str, status: int, code: str
) -> None:
    answer = await server.request(method, path)
    assert (answer.status, answer.json["code"]) == (status, code), answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["request_id"] == answer.headers["x-request-id"]


async def test_every_list_parameter_that_is_wrong_is_named_at_once(server: Server) -> None:
    answer = await server.request("GET", f"{_LIST}?limit=0&sort=x&colour=red")
    assert {it["path"] for it in answer.json["errors"]} == {"limit", "sort", "colour"}


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (b"[]", 400, "malformed_json"),
        (b'{"name": "a", "name": "b"}', 400, "malformed_json"),
        (b'{"name": "\\ud800"}', 400, "malformed_json"),
        (b'{"name": "\xff"}', 400, "malformed_json"),
        (b'{"name": NaN}', 400, "malformed_json"),
        (b'{"name": ' + b"[" * 50_000, 400, "malformed_json"),
        (b'{"name": "a\\u0000"}', 422, "validation_failed"),
        (b'{"colour": 1}', 422, "validation_failed"),
        (b'{"name": "' + b"a" * 1_048_576 + b'"}', 413, "payload_too_large"),
    ],
    ids=lambda it: repr(it)[:30],
)
async def test_a_wrong_body_is_answered_with_this_code(
    server: Server, raw: bytes, status: int, code: str
) -> None:
    answer = await server.request("POST", _LIST, raw=raw)
    assert (answer.status, answer.json["code"]) == (status, code), answer.body


async def test_a_method_that_is_not_allowed_names_those_that_are(server: Server) -> None:
    answer = await server.request("DELETE", _LIST)
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_a_request_id_comes_back_unless_it_could_do_harm(server: Server) -> None:
    kept = await server.request("GET", "/api/v1/me", x_request_id="my-id.1")
    assert kept.headers["x-request-id"] == "my-id.1"
    replaced = await server.request("GET", "/api/v1/me", x_request_id='"><script>')
    assert re.fullmatch("[0-9a-f-]{36}", replaced.headers["x-request-id"])


async def test_an_error_of_ours_says_nothing_of_its_cause(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*args: object) -> None:
        raise RuntimeError("the secret cause")

    monkeypatch.setattr(type(server.store), "get", broken)
    answer = await server.request("GET", "/api/v1/tenants/01937a5e-0000-7000-8000-000000000001")
    assert (answer.status, answer.json["code"]) == (500, "internal")
    assert b"secret cause" not in answer.body


async def test_head_answers_like_get_without_a_body(server: Server) -> None:
    answer = await server.request("HEAD", "/api/v1/me")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 10


async def test_browsers_of_configured_origins_may_call(server: Server) -> None:
    ours, theirs = "https://console.example.com", "https://evil.example.com"
    preflight = await server.request("OPTIONS", _LIST, key=None, origin=ours)
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == ours
    assert "POST" in preflight.headers["access-control-allow-methods"]
    refused = await server.request("OPTIONS", _LIST, key=None, origin=theirs)
    assert "access-control-allow-origin" not in refused.headers
    answer = await server.request("GET", _LIST, origin=ours)
    assert answer.headers["access-control-allow-origin"] == ours
    assert answer.headers["x-content-type-options"] == "nosniff"
