"""Whose time zone counts: the condition's own, the DID's, the caller's, the tenant's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from nizam.fsxml.request import XmlRequest, call_request
from nizam.model.registry import resource
from nizam.routing.decision import Decision
from nizam.routing.plan import Playback, Set
from nizam.routing.request import ZONE_DID
from nizam.routing.tokens import IvrChoice, write_token
from tests.routing.tenants import Tenants, identifier, steps, to

# Nine o'clock in New York, three in the afternoon in Berlin, eleven at night in Tokyo.
AT = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
HOURS = {
    "morning": {"from": "08:00", "to": "12:00"},
    "afternoon": {"from": "12:00", "to": "18:00"},
    "night": {"from": "22:00", "to": "00:00"},
}
DID = "+12025550101"


def played(decision: Decision) -> list[str]:
    return [it.sound for it in steps(decision.plan, Playback)]


@pytest.fixture
def tenants() -> Tenants:
    """acme in New York with a number for each part of the day, and one that plays which it is."""
    tenants = Tenants()
    tenants.tenant("acme", time_zone="America/New_York")
    tenants.tenant("globex", time_zone="Asia/Tokyo")
    tenants.extension("acme/1001")
    after: dict[str, Any] = {"type": "play", "sound": "other.wav"}
    for number, (name, rule) in enumerate(HOURS.items(), 7001):
        put_condition(tenants, name, rule, number=str(number), otherwise_destination=after)
        after = to("time_condition", f"acme/{name}")
    tenants.put("did", "acme/did", {"number": DID, "destination": after})
    return tenants


def put_condition(tenants: Tenants, name: str, rule: dict[str, str], **fields: Any) -> None:
    tenants.put(
        "time_condition",
        f"acme/{name}",
        {
            "name": name,
            "rules": [rule],
            "match_destination": {"type": "play", "sound": f"{name}.wav"},
            "otherwise_destination": {"type": "hangup"},
            **fields,
        },
    )


def put_did(tenants: Tenants, **fields: Any) -> None:
    destination = to("time_condition", "acme/night")
    tenants.put("did", "acme/did", {"number": DID, "destination": destination, **fields})


def test_the_tenants_zone_counts_where_nothing_else_has_one(tenants: Tenants) -> None:
    assert played(tenants.arrive(DID, AT)) == ["morning.wav"]
    assert played(tenants.dial("7003", now=AT)) == ["morning.wav"]


def test_a_call_that_comes_in_by_a_did_is_in_the_time_zone_of_the_did(tenants: Tenants) -> None:
    put_did(tenants, time_zone="Asia/Tokyo")
    decision = tenants.arrive(DID, AT)
    assert played(decision) == ["night.wav"]
    assert [it.detail for it in decision.trace if it.step == "time"] == [
        "rule 1 (22:00-00:00) holds at Tue 2026-11-24 23:00:00+09:00 in Asia/Tokyo, "
        f"the time zone of did {DID}"
    ]


def test_a_condition_with_a_zone_of_its_own_keeps_it(tenants: Tenants) -> None:
    put_did(tenants, time_zone="Asia/Tokyo")
    put_condition(
        tenants,
        "night",
        HOURS["afternoon"],
        number="7003",
        time_zone="Europe/Berlin",
        match_destination={"type": "play", "sound": "own.wav"},
    )
    assert played(tenants.arrive(DID, AT)) == ["own.wav"]


def test_a_call_inside_is_in_the_time_zone_of_the_extension_that_makes_it(tenants: Tenants) -> None:
    tenants.extension("acme/1001", time_zone="Europe/Berlin")
    decision = tenants.dial("7003", now=AT)
    assert played(decision) == ["afternoon.wav"]
    assert any("the time zone of extension 1001" in it.detail for it in decision.trace)


def test_the_tenants_own_did_dialled_inside_brings_its_zone(tenants: Tenants) -> None:
    tenants.extension("acme/1001", time_zone="Europe/Berlin")
    put_did(tenants, time_zone="Asia/Tokyo")
    assert played(tenants.dial(DID, now=AT)) == ["night.wav"]


def test_a_did_that_leads_to_another_did_keeps_its_zone_unless_that_has_one(
    tenants: Tenants,
) -> None:
    put_did(tenants, time_zone="Asia/Tokyo", destination=to("did", "acme/other"))
    other = {"number": "+12025550102", "destination": to("time_condition", "acme/night")}
    tenants.put("did", "acme/other", other)
    assert played(tenants.arrive(DID, AT)) == ["night.wav"]
    tenants.put("did", "acme/other", other | {"time_zone": "Europe/Berlin"})
    assert played(tenants.arrive(DID, AT)) == ["afternoon.wav"]


def test_a_policy_is_asked_in_the_time_zone_of_the_did(tenants: Tenants) -> None:
    put_did(tenants, time_zone="Asia/Tokyo")
    policy = {
        "name": "At night",
        "applies_to": "inbound",
        "condition": {"type": "time", "rules": [HOURS["night"]]},
        "action": {"type": "reject", "cause": "USER_BUSY"},
    }
    tenants.put("routing_policy", "acme/night", policy)
    assert tenants.arrive(DID, AT).outcome == "denied"
    own = {"type": "time", "rules": [HOURS["night"]], "time_zone": "Europe/Berlin"}
    tenants.put("routing_policy", "acme/night", policy | {"condition": own})
    assert tenants.arrive(DID, AT).outcome == "routed"


def test_a_policy_on_a_calendar_asks_for_the_day_in_the_zone_of_the_did(tenants: Tenants) -> None:
    tenants.put("calendar", "acme/cal", {"name": "C", "days": [{"date": "2026-11-25"}]})
    policy = {
        "name": "Closed",
        "applies_to": "inbound",
        "condition": {"type": "time", "calendar_id": str(identifier("acme/cal"))},
        "action": {"type": "reject", "cause": "USER_BUSY"},
    }
    tenants.put("routing_policy", "acme/closed", policy)
    late = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)  # past midnight in Tokyo alone
    assert tenants.arrive(DID, late).outcome == "routed"
    put_did(tenants, time_zone="Asia/Tokyo")
    assert tenants.arrive(DID, late).outcome == "denied"


def test_the_call_stays_in_the_zone_of_its_did_when_it_asks_again(tenants: Tenants) -> None:
    tenants.put(
        "ivr",
        "acme/5000",
        {
            "number": "5000",
            "name": "Main",
            "greeting_long": "ivr/ivr-welcome.wav",
            "entries": [{"digits": "1", "destination": to("time_condition", "acme/night")}],
        },
    )
    put_did(tenants, time_zone="Asia/Tokyo", destination=to("ivr", "acme/5000"))
    kept = [it for it in steps(tenants.arrive(DID, AT).plan, Set) if it.name == ZONE_DID]
    assert kept == [Set(ZONE_DID, str(identifier("acme/did")))]
    chosen = write_token(IvrChoice(identifier("acme/5000"), "entry", "1"))
    again = tenants.dial(chosen, by=None, now=AT, zone_did_id=kept[0].value)
    assert played(again) == ["night.wav"]
    assert kept[0] in again.plan


def test_without_a_zone_the_did_is_not_kept(tenants: Tenants) -> None:
    assert not [it for it in steps(tenants.arrive(DID, AT).plan, Set) if it.name == ZONE_DID]


@pytest.mark.parametrize("kept", ["globex/did", "nonsense", "", "0" * 1000])
def test_what_is_no_did_of_the_tenant_changes_nothing(tenants: Tenants, kept: str) -> None:
    destination = {"type": "hangup"}
    body = {"number": "+12025550201", "destination": destination, "time_zone": "Asia/Tokyo"}
    tenants.put("did", "globex/did", body)
    value = str(identifier(kept)) if "/" in kept else kept
    assert played(tenants.dial("7003", now=AT, zone_did_id=value)) == ["morning.wav"]


def test_the_kept_did_is_read_from_the_channel() -> None:
    did = identifier("acme/did")
    asked = XmlRequest(f"section=dialplan&variable_{ZONE_DID}={did}".encode())
    assert call_request(asked).zone_did_id == str(did)
    assert call_request(XmlRequest(b"section=dialplan")).zone_did_id is None


@pytest.mark.parametrize("zone", ["localtime", "Factory", "Europe/Atlantis", "CEST", "../UTC", ""])
def test_zones_that_name_no_place_are_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="IANA time zone"):
        resource("did").body.model_validate(
            {"number": DID, "destination": {"type": "hangup"}, "time_zone": zone}
        )
