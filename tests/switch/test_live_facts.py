"""What routing may ask of the live state: found by name, right after every change."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from twisted.internet.task import Clock

from nizam.routing.facts import Contact
from nizam.routing.snapshot import Snapshot
from nizam.switch.live import LiveState
from nizam.switch.live_facts import LiveFacts

ACME = UUID("01900000-0000-7000-8000-000000000001")
GLOBEX = UUID("01900000-0000-7000-8000-000000000002")
ADA = UUID("01900000-0000-7000-8000-0000000000a1")
BOB = UUID("01900000-0000-7000-8000-0000000000b0")


def phone(user: str, contact: str, at: str, tenant: UUID = ACME) -> dict[str, Any]:
    return {
        "tenant_id": str(tenant),
        "user": user,
        "domain": "acme.example.test",
        "contact": contact,
        "node": "fs1",
        "registered_at": at,
    }


def call(call_id: str, *legs: tuple[UUID, str, str], at: str = "1") -> dict[str, Any]:
    return {
        "call_id": call_id,
        "tenant_id": str(ACME),
        "node": "fs1",
        "started_at": at,
        "legs": [
            {"leg_id": f"{call_id}-{n}", "extension_id": str(it), "state": state, "direction": way}
            for n, (it, state, way) in enumerate(legs)
        ],
    }


@pytest.fixture
def live() -> LiveState:
    return LiveState(Clock())


@pytest.fixture
def facts(live: LiveState) -> LiveFacts:
    return LiveFacts(live, Snapshot())


def test_all_phones_of_a_user_are_found_the_newest_first(live: LiveState, facts: LiveFacts) -> None:
    live.put("registrations", "fs1", "a", phone("1001", "sip:1001@10.0.0.1", "2026-01-01"))
    live.put("registrations", "fs1", "b", phone("1001", "sip:1001@10.0.0.2", "2026-01-02"))
    live.put("registrations", "fs1", "c", phone("1002", "sip:1002@10.0.0.3", "2026-01-03"))
    live.put("registrations", "fs1", "d", phone("1001", "sip:1001@10.9.9.9", "2026-01-04", GLOBEX))
    assert facts.contacts(ACME, "1001") == (
        Contact("sip:1001@10.0.0.2", "fs1"),
        Contact("sip:1001@10.0.0.1", "fs1"),
    )
    live.put("registrations", "fs1", "a", phone("1001", "sip:1001@10.0.0.7", "2026-01-05"))
    live.remove("registrations", "fs1", "b")
    assert facts.contacts(ACME, "1001") == (Contact("sip:1001@10.0.0.7", "fs1"),)
    live.replace("registrations", "fs1", {})
    assert facts.contacts(ACME, "1001") == ()


def test_legs_of_an_extension_are_counted_until_they_end(live: LiveState, facts: LiveFacts) -> None:
    live.put(
        "calls", "fs1", "x", call("x", (ADA, "answered", "inbound"), (BOB, "ringing", "outbound"))
    )
    live.put("calls", "fs1", "y", call("y", (ADA, "held", "outbound")))
    assert (facts.legs(ACME, ADA), facts.legs(ACME, BOB), facts.legs(GLOBEX, ADA)) == (2, 1, 0)
    live.put("calls", "fs1", "y", call("y", (ADA, "ended", "outbound")))
    live.remove("calls", "fs1", "x")
    assert (facts.legs(ACME, ADA), facts.legs(ACME, BOB)) == (0, 0)


def test_ringing_legs_are_those_of_the_called_the_longest_first(
    live: LiveState, facts: LiveFacts
) -> None:
    live.put("calls", "fs1", "new", call("new", (BOB, "ringing", "outbound"), at="2"))
    live.put("calls", "fs1", "old", call("old", (BOB, "ringing", "outbound"), at="1"))
    live.put("calls", "fs1", "own", call("own", (BOB, "ringing", "inbound"), at="0"))
    live.put("calls", "fs1", "up", call("up", (BOB, "answered", "outbound"), at="0"))
    assert [it.leg_id for it in facts.ringing(ACME, BOB)] == ["old-0", "new-0"]


def test_a_gateway_is_up_at_one_switch_and_unknown_at_another(
    live: LiveState, facts: LiveFacts
) -> None:
    live.put("gateways", "fs1", str(ADA), {"gateway": str(ADA), "node": "fs1", "up": False})
    assert (facts.gateway_up(ADA, "fs1"), facts.gateway_up(ADA, "fs2")) == (False, None)
