"""The recorded run of a real FreeSWITCH through the whole daemon, by all three of its doors."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from lxml import etree
from twisted.internet.task import Cooperator

from nizam.dev.demo import Api
from nizam.embedded.process import free_port
from nizam.sim.replay import ReplayFactory
from tests.chaos.stored import Stored, read
from tests.daemon.process import DaemonProcess, until
from tests.daemon.receiver import WebhookReceiver
from tests.daemon.site import (
    ESL_PASSWORD,
    WEBHOOK_SECRET,
    XML_PASSWORD,
    XML_USERNAME,
    administrator,
    environment,
    told_wrongly,
)
from tests.events.replaying import feed, normaliser, recorded
from tests.recordings import http_requests, stream

pytestmark = pytest.mark.time_limit(60)

RUN = "calls"
STREAM = f"{RUN}/esl/events-json-all"


async def make_tenant(api: Api, slug: str, did: str, receiver_url: str) -> str:
    """The tenant of the recordings called `slug`; its id."""
    tenant_id: str = (
        await api.request(
            "POST",
            "/api/v1/tenants",
            {"name": slug.title(), "slug": slug, "domain": f"{slug}.example.test", "country": "US"},
        )
    )["id"]
    tenant = f"/api/v1/tenants/{tenant_id}"
    await api.request("POST", f"{tenant}/activate")
    for number in ("1001", "1002", "1003"):
        made = await api.request(
            "POST",
            f"{tenant}/extensions",
            {
                "number": number,
                "display_name": f"{slug.title()} {number}",
                "sip_password": f"{slug}-{number}-pw",
                "voicemail": {"enabled": True, "pin": "4711"},
            },
        )
        if number == "1001":
            destination = {"type": "extension", "id": made["id"]}
            await api.request("POST", f"{tenant}/dids", {"number": did, "destination": destination})
    await api.request(
        "POST",
        f"{tenant}/webhooks",
        {"url": receiver_url, "event_types": ["*"], "secret": WEBHOOK_SECRET},
    )
    return tenant_id


EXPIRED = 4
"""The phones that were still registered at the end of the recordings, which is long ago."""


@attrs.define
class Replayed:
    """What came of the recordings."""

    daemon: DaemonProcess
    receiver: WebhookReceiver
    tenants: dict[str, str]
    answers: list[tuple[dict[str, Any], int, bytes]]
    stored: Stored


@pytest_twisted.async_yield_fixture
async def replayed(database: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Replayed]:
    """The daemon after FreeSWITCH asked it, told it and sent it everything that was recorded."""
    from twisted.internet import reactor

    receiver = WebhookReceiver(reactor, WEBHOOK_SECRET)
    receiver.start()
    esl_port = free_port()
    settings = environment(database, redis_url, tmp_path, free_port(), esl_port)
    daemon = DaemonProcess(reactor, settings, tmp_path / "nizam.log")
    daemon.start()
    await daemon.ready()
    api = await administrator(reactor, daemon, database)
    dids = {"acme": "+12025550101", "globex": "+12025550201"}
    tenants = {slug: await make_tenant(api, slug, did, receiver.url) for slug, did in dids.items()}

    async def post(recorded: dict[str, Any], path: str, content_type: str) -> tuple[int, bytes]:
        return await daemon.request(
            "POST",
            path,
            data=recorded["body"].encode(),
            headers={"Content-Type": content_type},
            auth=(XML_USERNAME, XML_PASSWORD),
        )

    answers, records = [], []
    for request in http_requests(RUN):
        path, _, query = request["path"].partition("?")
        if path == "/freeswitch/xml":
            form = "application/x-www-form-urlencoded"
            answers.append((request, *await post(request, path, form)))
        elif path == "/freeswitch/cdr/json":
            records.append((request, query))
    # Without a listing of the channels the daemon does not take the recorded calls for gone.
    cooperator = Cooperator()
    factory = ReplayFactory(stream(STREAM), ESL_PASSWORD, cooperator, {})
    port: Any = reactor.listenTCP(esl_port, factory, interface="127.0.0.1")
    assert await until(reactor, lambda: factory.finished >= 2, 20.0), daemon.log_tail()
    for request, query in records:
        taken = await post(request, f"/freeswitch/cdr?{query}", "application/json")
        assert taken[0] == 200, taken
    all_events = {it.id for it in feed(normaliser(), recorded(STREAM)).events}

    def told() -> bool:
        stored = read(database)
        expired = [it for it in receiver.events.values() if it["type"] == "registration.expired"]
        return (
            all_events <= stored.event_ids
            and len(expired) == EXPIRED
            and not told_wrongly(receiver, stored)
        )

    if not await until(reactor, told, 15.0, pause=0.3):
        stored = read(database)
        raise AssertionError(told_wrongly(receiver, stored) + sorted(all_events - stored.event_ids))
    yield Replayed(daemon, receiver, tenants, answers, read(database))
    daemon.kill()
    cooperator.stop()
    await port.stopListening()
    await until(reactor, lambda: not factory.connections, 2.0)
    await receiver.stop()


async def test_the_recordings_give_the_expected_answers_events_cdrs_and_webhooks(
    replayed: Replayed,
) -> None:
    stored, receiver = replayed.stored, replayed.receiver

    # Answers: what the two tenants have is found, and nothing else.
    found = Counter(
        (request["key"]["section"], etree.fromstring(body).find(".//result") is None)
        for request, status, body in replayed.answers
        if status == 200
    )
    assert sum(found.values()) == len(replayed.answers)
    assert found == {
        ("directory", True): 150,
        ("directory", False): 24,
        ("dialplan", True): 86,
        ("dialplan", False): 1,
        ("configuration", True): 20,
        ("configuration", False): 69,
        ("languages", False): 29,
        ("chatplan", False): 2,
    }

    # Events: exactly those that the stream holds, whatever the daemon was doing beside.
    of_calls = Counter(event["type"] for events in stored.events.values() for event in events)
    assert of_calls == {
        "call.started": 80,
        "call.answered": 68,
        "call.ringing": 31,
        "call.bridged": 28,
        "call.dtmf": 21,
        "call.transferred": 3,
        "call.held": 2,
        "call.resumed": 2,
        "recording.started": 3,
        "recording.stopped": 3,
        "call.ended": 80,
        "call.missed": 6,
    }

    # CDRs: one summary of each call, and every leg from both of its sources.
    assert {len(it) for it in stored.summaries.values()} == {1}
    assert stored.summaries.keys() == stored.events.keys()
    results = Counter(it["result"] for summaries in stored.summaries.values() for it in summaries)
    assert results == {
        "answered": 64,
        "failed": 8,
        "voicemail": 4,
        "rejected": 2,
        "cancelled": 1,
        "no_answer": 1,
    }
    legs = [leg for of_call in stored.legs.values() for leg in of_call]
    assert len(legs) == 121
    assert all(leg["from_events"] and leg["from_cdr"] for leg in legs)

    # Webhooks: one for each event of a tenant.
    told = Counter(event["type"] for event in receiver.events.values())
    assert set(receiver.counts.values()) == {1}
    registrations = {
        "registration.registered": 6,
        "registration.unregistered": 2,
        "registration.failed": 2,
        "registration.expired": EXPIRED,
    }
    strangers = Counter(
        event["type"]
        for events in stored.events.values()
        for event in events
        if event["tenant_id"] is None
    )
    assert strangers == {"call.started": 1, "call.ended": 1}
    others = registrations | {"webhook.created": 2, "voicemail.waiting": 2}
    assert told == of_calls - strangers + Counter(others)
    assert {event["tenant_id"] for event in receiver.events.values()} == set(
        replayed.tenants.values()
    )
    assert not replayed.daemon.logged("error", "critical")
