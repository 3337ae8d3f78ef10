"""An Idempotency-Key makes a POST safe to send again."""

from __future__ import annotations

from tests.http.conftest import Server

_BODY = {"number": "1001", "display_name": "Ada"}


async def test_the_same_request_gives_the_stored_answer(server: Server) -> None:
    tenant = await server.make_tenant()
    path = f"{tenant}/extensions"
    first = await server.request("POST", path, _BODY, idempotency_key="k1")
    again = await server.request("POST", path, _BODY, idempotency_key="k1")
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert len((await server.request("GET", path)).json["data"]) == 1


async def test_another_request_under_the_same_key_is_refused(server: Server) -> None:
    tenant = await server.make_tenant()
    path = f"{tenant}/extensions"
    await server.request("POST", path, _BODY, idempotency_key="k1")
    other = await server.request("POST", path, {**_BODY, "number": "1002"}, idempotency_key="k1")
    assert (other.status, other.json["code"]) == (422, "idempotency_mismatch")


async def test_a_request_that_failed_may_be_mended_under_its_key(server: Server) -> None:
    tenant = await server.make_tenant()
    path = f"{tenant}/extensions"
    failed = await server.request("POST", path, {"number": "1001"}, idempotency_key="k1")
    assert failed.status == 422
    mended = await server.request("POST", path, _BODY, idempotency_key="k1")
    assert mended.status == 201


async def test_the_kept_answer_is_encrypted(server: Server) -> None:
    tenant = await server.make_tenant()
    made = await server.request("POST", f"{tenant}/extensions", _BODY, idempotency_key="k1")
    rows = await server.pool.query("select answer from idempotency_keys")
    assert rows
    assert made.json["sip_password"] not in rows[0][0]


async def test_a_key_belongs_to_the_api_key_that_used_it(server: Server) -> None:
    tenant = await server.make_tenant()
    other = await server.make_key("*", tenant=tenant)
    path = f"{tenant}/extensions"
    await server.request("POST", path, _BODY, idempotency_key="k1")
    second = await server.request("POST", path, _BODY, idempotency_key="k1", key=other)
    assert (second.status, second.json["code"]) == (409, "conflict")


async def test_a_key_that_is_none_is_refused(server: Server) -> None:
    tenant = await server.make_tenant()
    answer = await server.request("POST", f"{tenant}/extensions", _BODY, idempotency_key="x" * 256)
    assert (answer.status, answer.json["code"]) == (400, "bad_request")
