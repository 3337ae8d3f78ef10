"""Events on a service that speaks the Pusher protocol."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import attrs
import pytest
import pytest_twisted
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from nizam.realtime.pusher import publisher as publishing
from nizam.realtime.pusher.publisher import PusherApp, PusherPublisher
from nizam.realtime.pusher.signing import signed_query
from nizam.webhooks.egress import EgressAgent
from tests.realtime.conftest import Town, event, reactor

KEY, SECRET = "278d425bdf160c739803", "7ad3773142a6692b25b8"  # the documentation's


def test_requests_are_signed_as_the_documentation_of_the_protocol_shows() -> None:
    body = b'{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}'
    query = dict(parse_qsl(signed_query("/apps/3/events", body, KEY, SECRET, 1353088179)))
    assert query["body_md5"] == "ec365a775a4cd0599faeb73354201b6f"
    assert query["auth_signature"] == (
        "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
    )


class Service(Resource):
    """The HTTP API of such a service, which checks what it is sent. `answers` are the statuses of
    the next requests, 200 after them; what holds `poison` is refused. Answers take `seconds`."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.answers: list[int] = []
        self.poison = ""
        self.published: list[dict[str, Any]] = []
        self.largest = 0
        self.seconds = 0.0

    def render_POST(self, request: Any) -> int:  # noqa: N802 - Twisted's name
        body = request.content.read()
        query = [(name.decode(), it[0].decode()) for name, it in sorted(request.args.items())]
        given = dict(query)
        signed = "&".join(f"{name}={it}" for name, it in query if name != "auth_signature")
        text = f"POST\n{request.path.decode()}\n{signed}"
        expected = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
        assert given["auth_signature"] == expected
        assert given["body_md5"] == hashlib.md5(body, usedforsecurity=False).hexdigest()
        batch = json.loads(body)["batch"]
        status = self.answers.pop(0) if self.answers else 200
        if self.poison and any(self.poison in it["data"] for it in batch):
            status = 400
        request.setResponseCode(status)
        if status == 200:
            self.largest = max(self.largest, len(batch))
            self.published += batch
        request.write(b"{}")
        reactor.callLater(self.seconds, request.finish)
        return NOT_DONE_YET

    @property
    def ids(self) -> list[str]:
        return [json.loads(it["data"])["id"] for it in self.published]


@attrs.frozen
class Desk:
    """A town with such a service, and what makes publishers to it."""

    town: Town
    service: Service
    url: str

    def publisher(self, holder: str) -> PusherPublisher:
        return PusherPublisher(
            reactor,
            self.town.server.pool,
            self.town.bell,
            EgressAgent(reactor, [ip_network("127.0.0.0/8")]),
            PusherApp(self.url, "3", KEY, SECRET),
            holder,
        )


@pytest_twisted.async_yield_fixture
async def desk(town: Town) -> AsyncIterator[Desk]:
    service = Service()
    site = Site(service)  # type: ignore[no-untyped-call]
    port = reactor.listenTCP(0, site, interface="127.0.0.1")
    yield Desk(town, service, f"http://127.0.0.1:{port.getHost().port}")
    await port.stopListening()


async def begun(desk: Desk, publisher: PusherPublisher) -> None:
    """Start it, and wait until it follows the log."""
    publisher.startService()
    await desk.town.until(lambda: publisher.following)


async def test_calls_are_published_in_batches_on_the_channel_of_their_tenant(desk: Desk) -> None:
    publisher = desk.publisher("one")
    await begun(desk, publisher)
    await desk.town.happen(event("registration.registered", desk.town.tenant_id))
    ids = [it for _ in range(5) for it in await desk.town.call("started", "answered", "ended")]
    await desk.town.until(lambda: len(desk.service.published) == len(ids))
    await publisher.stopService()
    assert desk.service.ids == ids
    assert {it["channel"] for it in desk.service.published} == {
        f"private-tenant.{desk.town.tenant_id}.calls"
    }
    assert [it["name"] for it in desk.service.published[:3]] == [
        "call.started",
        "call.answered",
        "call.ended",
    ]
    assert desk.service.largest <= 10


async def test_nothing_is_lost_while_the_service_is_away_or_the_instance_changes(
    desk: Desk,
) -> None:
    publisher = desk.publisher("one")
    await begun(desk, publisher)
    desk.service.answers += [500, 503]
    ids = await desk.town.call("started", "answered")
    await desk.town.until(lambda: desk.service.ids == ids)
    await publisher.stopService()
    ids += await desk.town.call("started", "ended")
    another = desk.publisher("two")
    await begun(desk, another)
    await desk.town.until(lambda: desk.service.ids == ids)
    await another.stopService()


async def test_what_the_service_refuses_holds_up_nothing_else_and_what_is_large_is_cut(
    desk: Desk,
) -> None:
    publisher = desk.publisher("one")
    await begun(desk, publisher)
    desk.service.poison = "poison"
    await desk.town.call("started", name="poison")
    ids = await desk.town.happen(
        event("call.ended", desk.town.tenant_id, call_id=uuid4(), large="x" * 20_000)
    )
    await desk.town.until(lambda: desk.service.published)
    await publisher.stopService()
    assert desk.service.ids == list(ids)
    assert json.loads(desk.service.published[0]["data"])["truncated"] is True


async def test_a_service_that_answers_late_is_told_by_one_instance_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "LEASE_SECONDS", 0.4)
    monkeypatch.setattr(publishing, "POLL_SECONDS", 0.05)
    desk.service.seconds = 0.2
    one, two = desk.publisher("one"), desk.publisher("two")
    await begun(desk, one)
    two.startService()
    ids = [it for _ in range(20) for it in await desk.town.call("started", "ended")]
    await desk.town.until(lambda: len(desk.service.ids) >= len(ids))
    await one.stopService()
    await two.stopService()
    assert desk.service.ids == ids
