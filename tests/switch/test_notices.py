"""Events of decisions are stored and delivered once for each question, however often it is put."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import attrs
import orjson
import pytest

from nizam.fsxml.served import Served
from nizam.routing.decision import Decision
from nizam.routing.facts import Notice
from nizam.routing.request import CallRequest
from nizam.switch.notices import NoticeTeller, notices
from tests.events.replaying import ACME
from tests.switch.conftest import Site

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TENANT = {"name": "Acme", "slug": "acme", "domain": "acme.example.test", "status": "active"}
CALL_ID = "f1ce7d5b-bfdb-4635-8f61-2ebffbfe2240"
CALL = CallRequest(
    "acme.example.test",
    "911",
    CALL_ID,
    node="fs1",
    question_id="ac2a3c3e-97ba-4a0f-a4b5-a7b4fb2b0c16 5127",
    asked_at=1_795_521_600_123_456,
)
DECISION = Decision(
    (),
    (),
    "routed",
    CALL_ID,
    UUID(str(ACME)),
    notices=(
        Notice("emergency.dialled", {"number": "911"}),
        Notice("fraud.blocked", {"number": "+19005550100", "reason": "velocity_calls"}),
        Notice("fraud.blocked", {"number": "+19005550101", "reason": "velocity_calls"}),
    ),
)


def test_the_same_question_makes_the_same_events_wherever_and_whenever_it_is_decided() -> None:
    first = notices(CALL, DECISION, NOW)
    again = notices(CALL, DECISION, datetime(2026, 11, 24, 12, 1, tzinfo=UTC))
    assert [it.id for it in first] == [it.id for it in again]
    assert len({it.id for it in first}) == 3
    assert {(it.tenant_id, it.call_id, it.leg_id, it.node, it.sequence) for it in first} == {
        (ACME, UUID(CALL_ID), UUID(CALL_ID), "fs1", 5127)
    }


def test_another_question_of_the_same_call_makes_others() -> None:
    other = attrs.evolve(CALL, question_id=f"{CALL.question_id}1")
    assert not {it.id for it in notices(CALL, DECISION, NOW)} & {
        it.id for it in notices(other, DECISION, NOW)
    }


@pytest.mark.time_limit(30)
async def test_they_are_stored_and_delivered_once_though_two_instances_were_asked(
    site: Site,
) -> None:
    plant = site.plant
    body = {
        "enabled": True,
        "url": "https://example.com/",
        "event_types": ["fraud.*"],
        "filter": {},
        "status": "active",
    }
    await plant.pool.query(
        "insert into tenants (id, body) values (%s, %s) returning id",
        (ACME, orjson.dumps(TENANT).decode()),
    )
    await plant.pool.query(
        "insert into webhooks (id, tenant_id, body) values (%s, %s, %s) returning id",
        (uuid4(), ACME, orjson.dumps(body).decode()),
    )
    for _ in range(2):
        NoticeTeller(plant.intake.tell).served(Served(CALL, DECISION, NOW, b"", None))
        await plant.intake.writer.settled()
    stored = "select count(*) from call_events where type in ('emergency.dialled', 'fraud.blocked')"
    assert await plant.count(stored) == 3
    assert len(plant.delivered) == 2
