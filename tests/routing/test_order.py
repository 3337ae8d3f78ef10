"""What is looked at before what: emergency, blocked numbers, status, policies, codes, numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from nizam.fsxml.dialplan import actions
from nizam.routing.plan import Bridge, Conference, Hangup, Park, ParkInSlot, Playback
from tests.routing.tenants import Tenants, identifier, last, recorded_tenants, steps, to


@pytest.fixture
def tenants() -> Tenants:
    return recorded_tenants()


def block(tenants: Tenants, pattern: str, **changes: Any) -> None:
    tenants.put("blocked_number", f"acme/{pattern}", {"pattern": pattern} | changes)


def policy(tenants: Tenants, condition: dict[str, Any], **changes: Any) -> None:
    tenants.put(
        "routing_policy",
        "acme/policy",
        {"name": "Policy", "condition": condition, "action": {"type": "reject"}} | changes,
    )


def emergency(tenants: Tenants) -> None:
    tenants.put(
        "emergency_plan",
        "acme/help",
        {
            "name": "Help",
            "numbers": ["911"],
            "gateways": [
                {"gateway_id": str(identifier("acme/two")), "order": 2},
                {"gateway_id": str(identifier("acme/one")), "order": 1},
            ],
        },
    )


@pytest.mark.parametrize("status", ["trial", "active", "suspended"])
def test_an_emergency_call_is_stopped_by_nothing(tenants: Tenants, status: str) -> None:
    emergency(tenants)
    block(tenants, "911", direction="both")
    policy(tenants, {"type": "destination", "pattern": "911"})
    tenants.extension("acme/1001", toll_class="internal")
    tenants.tenant("acme", status=status)
    decision = tenants.dial("911")
    legs = [leg.gateway_id for bridge in steps(decision.plan, Bridge) for leg in bridge.legs]
    assert legs == [str(identifier("acme/one")), str(identifier("acme/two"))]


@pytest.mark.parametrize(
    ("pattern", "changes", "refused"),
    [
        ("+13105550999", {}, True),
        ("+1310.", {}, True),
        ("13105550999", {"direction": "both"}, True),
        ("+13105550999", {"direction": "outbound"}, False),
        ("+13105550999", {"enabled": False}, False),
        ("+13105550999", {"expires_at": "2026-11-24T12:00:00Z"}, False),
        ("+13105550999", {"expires_at": "2026-11-24T12:00:01Z"}, True),
        ("+13105550998", {}, False),
    ],
)
def test_a_blocked_number_cannot_call_in(
    tenants: Tenants, pattern: str, changes: dict[str, Any], refused: bool
) -> None:
    block(tenants, pattern, **changes)
    decision = tenants.arrive("+12025550101")
    assert (decision.outcome == "denied") is refused
    assert (last(decision) == Hangup("CALL_REJECTED")) is refused


def test_a_blocked_number_cannot_be_called(tenants: Tenants) -> None:
    block(tenants, "+1202555.", direction="outbound")
    assert last(tenants.dial("12025550777")) == Hangup("OUTGOING_CALL_BARRED")
    assert tenants.dial("1002").outcome == "routed"


DID = {"type": "did", "did_id": str(identifier("acme/did"))}
NIGHT = {"type": "time", "rules": [{"from": "20:00", "to": "06:00"}]}
HOLIDAY = {"type": "time", "calendar_id": str(identifier("acme/holidays"))}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (DID, True),
        ({"not": DID}, False),
        (NIGHT, False),
        (HOLIDAY, True),
        ({"type": "anonymous"}, False),
        ({"type": "caller_pattern", "pattern": "+1310NXXXXXX"}, True),
        ({"type": "caller_prefix", "prefixes": ["+44", "+1310"]}, True),
        ({"type": "caller_prefix", "prefixes": ["+44"]}, False),
        ({"type": "caller_country", "countries": ["US"]}, True),
        ({"type": "caller_country", "countries": ["DE", "FR"]}, False),
        ({"type": "blocked_list"}, True),
        ({"type": "destination", "pattern": "+1202555010X"}, True),
        ({"all": [DID, NIGHT]}, False),
        ({"any": [NIGHT, DID]}, True),
        ({"all": [DID, {"not": {"any": [NIGHT, {"type": "anonymous"}]}}]}, True),
    ],
)
def test_when_a_policy_holds(tenants: Tenants, condition: dict[str, Any], holds: bool) -> None:
    tenants.put("calendar", "acme/holidays", {"name": "H", "days": [{"month": 11, "day": 24}]})
    block(tenants, "+13105550999", direction="outbound")
    policy(tenants, condition, applies_to="inbound")
    assert (tenants.arrive("+12025550101").outcome == "denied") is holds


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"type": "reject", "cause": "USER_BUSY"}, Hangup("USER_BUSY")),
        (
            {"type": "redirect", "destination": {"type": "hangup", "cause": "NORMAL_CLEARING"}},
            Hangup("NORMAL_CLEARING"),
        ),
    ],
)
def test_a_policy_refuses_or_redirects(
    tenants: Tenants, action: dict[str, Any], expected: Hangup
) -> None:
    policy(tenants, {"type": "destination", "pattern": "1002"}, action=action)
    assert last(tenants.dial("1002")) == expected
    assert tenants.dial("1003").outcome == "routed"


def test_a_policy_that_sets_the_caller_id_lets_the_call_go_on(tenants: Tenants) -> None:
    action = {"type": "set_caller_id", "name": "Checked", "number": "+12025550100"}
    policy(tenants, {"type": "destination", "pattern": "1002"}, action=action)
    decision = tenants.dial("1002")
    written = list(actions(decision.plan))
    assert ("set", "effective_caller_id_name=Checked") in written
    assert steps(decision.plan, Bridge)


def test_allow_ends_the_policies(tenants: Tenants) -> None:
    policy(tenants, {"type": "destination", "pattern": "1002"}, priority=50)
    tenants.put(
        "routing_policy",
        "acme/first",
        {
            "name": "First",
            "priority": 1,
            "condition": {"type": "destination", "pattern": "1002"},
            "action": {"type": "allow"},
        },
    )
    assert tenants.dial("1002").outcome == "routed"


def test_a_policy_as_destination_has_an_otherwise(tenants: Tenants) -> None:
    policy(
        tenants,
        {"type": "anonymous"},
        applies_to="none",
        otherwise={"type": "play", "sound": "open.wav"},
    )
    tenants.put(
        "did",
        "acme/did",
        {"number": "+12025550101", "destination": to("routing_policy", "acme/policy")},
    )
    assert Playback("open.wav") in tenants.arrive("+12025550101").plan
    assert tenants.dial("1002").outcome == "routed"


def test_a_conference_room_is_entered_by_its_number(tenants: Tenants) -> None:
    room = tenants.put(
        "conference_room",
        "acme/3000",
        {"number": "3000", "name": "Board", "member_pin": "4711"},
    )
    decision = tenants.dial("3000")
    assert last(decision) == Conference(f"conf-{room.hex}")
    assert not any("4711" in data for _, data in actions(decision.plan))


@pytest.fixture
def lot(tenants: Tenants) -> str:
    body = {"number": "700", "name": "Desk", "slot_from": "701", "slot_to": "709"}
    made = tenants.put(
        "parking_lot", "acme/700", body | {"return_destination": to("extension", "acme/1002")}
    )
    return made.hex


@pytest.mark.parametrize("dialled", ["700", "*68"])
def test_a_call_is_parked_in_a_free_slot(tenants: Tenants, lot: str, dialled: str) -> None:
    assert last(tenants.dial(dialled)) == Park(f"lot-{lot}@acme.example.test", "701", "709")


@pytest.mark.parametrize("dialled", ["705", "*69705"])
def test_a_parked_call_is_fetched_by_its_slot(tenants: Tenants, lot: str, dialled: str) -> None:
    assert last(tenants.dial(dialled)) == ParkInSlot(f"lot-{lot}@acme.example.test", "705")


def test_a_call_parked_too_long_goes_back(tenants: Tenants, lot: str) -> None:
    (token,) = [
        data.partition("=")[2]
        for _, data in actions(tenants.dial("700").plan)
        if data.startswith("valet_parking_orbit_exten=")
    ]
    decision = tenants.dial(token, by=None)
    assert steps(decision.plan, Bridge)[0].legs[0].number == "1002"


def test_a_call_to_a_call_flow_that_was_never_published_ends_with_words(tenants: Tenants) -> None:
    tenants.put(
        "call_flow",
        "acme/5100",
        {"number": "5100", "name": "F", "start": "a", "nodes": [{"id": "a", "type": "hangup"}]},
    )
    decision = tenants.dial("5100")
    assert last(decision) == Hangup("NO_ROUTE_DESTINATION")
    assert any("never published" in it.detail for it in decision.trace)


@pytest.mark.parametrize(
    ("dialled", "outcome"),
    [
        ("*97", "routed"),
        ("*991002", "routed"),
        ("*99", "unreachable"),
        ("*991999", "unreachable"),
        ("*9196", "routed"),
        ("*78", "routed"),
        ("*2", "unreachable"),
        ("*11", "routed"),
        ("*12", "not_found"),
    ],
)
def test_feature_codes_are_the_tenants_own(tenants: Tenants, dialled: str, outcome: str) -> None:
    tenants.put(
        "feature_code",
        "acme/*11",
        {"code": "*11", "feature": "speed_dial", "destination": to("extension", "acme/1003")},
    )
    assert tenants.dial(dialled).outcome == outcome


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 12, 25, 15, tzinfo=UTC), Hangup("NORMAL_CLEARING")),
        (datetime(2026, 12, 28, 15, tzinfo=UTC), Playback("open.wav")),
        (datetime(2026, 12, 26, 4, tzinfo=UTC), Hangup("NORMAL_CLEARING")),
    ],
)
def test_holidays_are_those_of_the_conditions_own_zone(
    tenants: Tenants, moment: datetime, expected: Any
) -> None:
    tenants.put("calendar", "acme/h", {"name": "H", "days": [{"month": 12, "day": 25}]})
    tenants.put(
        "time_condition",
        "acme/7000",
        {
            "number": "7000",
            "name": "Office",
            "rules": [{"weekdays": ["mon", "tue", "wed", "thu", "fri"]}],
            "calendar_id": str(identifier("acme/h")),
            "holidays_destination": {"type": "hangup"},
            "match_destination": {"type": "play", "sound": "open.wav"},
            "otherwise_destination": {"type": "play", "sound": "closed.wav"},
        },
    )
    assert expected in tenants.dial("7000", now=moment).plan
