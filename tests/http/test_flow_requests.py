"""The requests of call flows: made once, against real servers, whoever comes for the answer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import attrs
import orjson
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from nizam.http.flow_requests import MOST_AT_ONCE, FlowRequests
from nizam.kv.single import SingleRedis
from nizam.routing.facts import Fetch, Fetched
from nizam.routing.request import CallRequest
from nizam.webhooks.connections import READ_LIMIT
from nizam.webhooks.egress import EgressAgent
from nizam.webhooks.signing import key_of, signature
from tests.kv.conftest import key_value, single  # noqa: F401 - a fixture
from tests.webhooks.receiver import Answer, Receiver

TENANT = UUID("01900000-0000-7000-8000-000000000001")
WEBHOOK = UUID("01900000-0000-7000-8000-000000000002")
CALL = CallRequest("acme.example.test", "5100", "6ea0bf15-77d6-42ac-8f51-8e7252f1e616")
KEY = key_of("whsec_" + "A" * 40)
LOOPBACK = [ip_network("127.0.0.0/8")]


def requests(key_value: SingleRedis, allowed: Any = LOOPBACK) -> FlowRequests:  # noqa: F811
    from twisted.internet import reactor

    def keys(tenant_id: UUID, webhook_id: UUID) -> list[bytes]:
        return [KEY] if (tenant_id, webhook_id) == (TENANT, WEBHOOK) else []

    return FlowRequests(reactor, key_value, EgressAgent(reactor, allowed), keys)


@attrs.define
class Desk:
    """Two instances of NIZAM on one Redis, and a server that a flow asks."""

    one: FlowRequests
    two: FlowRequests
    server: Receiver

    def fetch(self, **changes: Any) -> Fetch:
        given = Fetch("node", self.server.url("orders"), "POST", 5, {"node": "ask"})
        return attrs.evolve(given, **changes)

    def answers(self, body: bytes = b"{}", status: int = 200, seconds: float | None = 0) -> None:
        self.server.behave["orders"] = lambda seen: Answer(status, (), body, seconds)

    @property
    def asked(self) -> int:
        return len(self.server.on("orders"))


@pytest_twisted.async_yield_fixture
async def desk(key_value: SingleRedis) -> AsyncIterator[Desk]:  # noqa: F811
    from twisted.internet import reactor

    server = Receiver(reactor)
    server.start()
    made = Desk(requests(key_value), requests(key_value), server)
    yield made
    await made.one.close()
    await made.two.close()
    await server.stop()


async def test_the_object_in_an_answer_is_what_was_asked_for(desk: Desk) -> None:
    desk.answers(b'{"vip": true, "open": 3}')
    found = await desk.one.fetch(TENANT, CALL, desk.fetch(), 1.2)
    assert found == Fetched("answered", {"vip": True, "open": 3})
    (seen,) = desk.server.on("orders")
    assert (orjson.loads(seen.body), seen.headers["content-type"]) == (
        {"node": "ask"},
        "application/json",
    )


async def test_a_get_has_no_body(desk: Desk) -> None:
    desk.answers(b'{"a": 1}')
    found = await desk.one.fetch(TENANT, CALL, desk.fetch(method="GET"), 1.2)
    (seen,) = desk.server.on("orders")
    assert (found.state, seen.body, "content-length" in seen.headers) == ("answered", b"", False)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{}", 404, "answered with status 404"),
        (b"{}", 302, "answered with status 302"),
        (b"{}", 500, "answered with status 500"),
        (b"[1]", 200, "the answer is not a JSON object"),
        (b"<html>", 200, "the answer is not JSON"),
        (b'{"a": "\xff"}', 200, "the answer is not JSON"),
        (b'{"a": "' + b"x" * READ_LIMIT + b'"}', 200, "the answer is cut off or over 64 KiB"),
    ],
    ids=lambda it: str(it)[:20],
)
async def test_what_is_no_good_answer(desk: Desk, body: bytes, status: int, words: str) -> None:
    desk.answers(body, status)
    found = await desk.one.fetch(TENANT, CALL, desk.fetch(), 1.2)
    assert found == Fetched("failed", words=words)


@pytest.mark.parametrize("status", [200, 204])
async def test_nothing_is_a_good_answer(desk: Desk, status: int) -> None:
    desk.answers(b"", status)
    assert (await desk.one.fetch(TENANT, CALL, desk.fetch(), 1.2)).state == "answered"


async def test_an_address_of_our_own_network_is_not_asked(
    desk: Desk,
    key_value: SingleRedis,  # noqa: F811
) -> None:
    strict = requests(key_value, ())
    try:
        found = await strict.fetch(TENANT, CALL, desk.fetch(), 1.2)
    finally:
        await strict.close()
    assert found == Fetched("failed", words="127.0.0.1 is not a public address")
    assert desk.asked == 0


async def test_a_request_is_signed_as_a_delivery_of_the_webhook(desk: Desk) -> None:
    desk.answers()
    await desk.one.fetch(TENANT, CALL, desk.fetch(signed_by=WEBHOOK), 1.2)
    (seen,) = desk.server.on("orders")
    named, when = seen.headers["webhook-id"], int(seen.headers["webhook-timestamp"])
    assert seen.headers["webhook-signature"] == signature([KEY], named, when, seen.body)
    assert abs(when - time.time()) < 5


@pytest.mark.parametrize("signed_by", [None, TENANT])
async def test_without_a_secret_it_is_not_signed(desk: Desk, signed_by: UUID | None) -> None:
    desk.answers()
    await desk.one.fetch(TENANT, CALL, desk.fetch(signed_by=signed_by), 1.2)
    (seen,) = desk.server.on("orders")
    assert "webhook-signature" not in seen.headers
    assert seen.headers["webhook-id"].startswith("flow_")


async def test_a_slow_answer_is_kept_for_whoever_comes_back_for_it(desk: Desk) -> None:
    from twisted.internet import reactor

    desk.answers(b'{"late": true}', seconds=0.6)
    began = time.monotonic()
    assert (await desk.one.fetch(TENANT, CALL, desk.fetch(), 0.2)).state == "pending"
    assert time.monotonic() - began < 0.5
    # Another instance waits for what the first has asked, and does not ask itself.
    there = await desk.two.fetch(TENANT, CALL, desk.fetch(), 2.0)
    here = await desk.one.fetch(TENANT, CALL, desk.fetch(), 2.0)
    assert there == here == Fetched("answered", {"late": True})
    await deferLater(reactor, 0)
    assert desk.asked == 1


async def test_no_answer_in_time_is_told_to_both(desk: Desk) -> None:
    desk.answers(seconds=None)
    fetch = desk.fetch(timeout_seconds=1)
    assert (await desk.one.fetch(TENANT, CALL, fetch, 0.1)).state == "pending"
    there = await desk.two.fetch(TENANT, CALL, fetch, 4.0)
    here = await desk.one.fetch(TENANT, CALL, fetch, 4.0)
    assert there == here == Fetched("failed", words="no complete answer within 1 s")


async def test_an_instance_that_dies_leaves_no_call_waiting(
    desk: Desk,
    key_value: SingleRedis,  # noqa: F811
) -> None:
    name = f"nizam:flow:{TENANT}:{CALL.unique_id}:node"
    assert await key_value.set(name, b"", seconds=60, only_new=True)
    found = await desk.two.fetch(TENANT, CALL, desk.fetch(timeout_seconds=1), 5.0)
    assert (found.state, desk.asked) == ("failed", 0)


async def test_who_waits_for_another_instance_waits_no_longer_when_this_one_stops(
    desk: Desk,
) -> None:
    desk.answers(seconds=None)
    for instance in (desk.one, desk.two):
        assert (await instance.fetch(TENANT, CALL, desk.fetch(), 0.2)).state == "pending"
    waiting = Deferred.fromCoroutine(desk.two.fetch(TENANT, CALL, desk.fetch(), 60))
    await desk.two.close()
    assert waiting.called
    assert (await waiting).state != "answered"


async def test_without_redis_each_instance_asks_with_the_same_id(desk: Desk) -> None:
    from twisted.internet import reactor

    nowhere = SingleRedis(reactor, "127.0.0.1", 1, None, deadline=0.1)
    alone = [requests(nowhere), requests(nowhere)]
    desk.answers(b'{"a": 1}')
    try:
        for it in alone:
            assert (await it.fetch(TENANT, CALL, desk.fetch(), 2.0)).state == "answered"
    finally:
        for it in alone:
            await it.close()
        await nowhere.stop()
    assert len(desk.server.event_ids("orders")) == 2
    assert len(set(desk.server.event_ids("orders"))) == 1


async def test_calls_tenants_and_nodes_do_not_share_answers(desk: Desk) -> None:
    desk.answers()
    other_call = attrs.evolve(CALL, unique_id="7ea0bf15-77d6-42ac-8f51-8e7252f1e616")
    await desk.one.fetch(TENANT, CALL, desk.fetch(), 2.0)
    await desk.one.fetch(TENANT, other_call, desk.fetch(), 2.0)
    await desk.one.fetch(WEBHOOK, CALL, desk.fetch(), 2.0)
    await desk.one.fetch(TENANT, CALL, desk.fetch(key="other"), 2.0)
    assert desk.asked == 4


async def test_a_tenant_has_only_so_many_requests_under_way(desk: Desk) -> None:
    desk.answers(seconds=None)
    for number in range(MOST_AT_ONCE):
        await desk.one.fetch(TENANT, CALL, desk.fetch(key=f"n{number}", timeout_seconds=1), 0)
    found = await desk.one.fetch(TENANT, CALL, desk.fetch(key="more"), 0)
    assert (found.state, "under way" in found.words) == ("failed", True)
    assert (await desk.one.fetch(WEBHOOK, CALL, desk.fetch(), 0)).state == "pending"
