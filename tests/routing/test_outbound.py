"""Calls to the outside: routes, rights, dialling policy, gateways."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from nizam.routing.outbound import PROGRESS_SECONDS
from nizam.routing.plan import Bridge, GatewayLeg, Hangup, Set
from tests.routing.tenants import Tenants, identifier, last, recorded_tenants, steps, to

ONE, TWO = str(identifier("acme/one")), str(identifier("acme/two"))


@pytest.fixture
def tenants() -> Tenants:
    return recorded_tenants()


def _route(tenants: Tenants, name: str = "national", **changes: Any) -> None:
    body = {"name": name, "patterns": ["+."], "gateways": [{"gateway_id": ONE}]}
    tenants.put("outbound_route", f"acme/{name}", body | changes)


def _numbers(decision: Any) -> list[str]:
    return [leg.number for bridge in steps(decision.plan, Bridge) for leg in bridge.legs]


def test_gateways_are_tried_in_order_and_only_for_causes_of_the_carrier(tenants: Tenants) -> None:
    first, second = steps(tenants.dial("2025550777").plan, Bridge)
    assert first.legs == (
        GatewayLeg(ONE, "+12025550777", progress_timeout_seconds=PROGRESS_SECONDS),
    )
    assert "GATEWAY_DOWN" in first.continue_on
    assert second == Bridge((GatewayLeg(TWO, "+12025550777"),), continue_on="never")


@pytest.mark.parametrize("cause", ["USER_BUSY", "NO_ANSWER", "CALL_REJECTED", "NORMAL_CLEARING"])
def test_a_busy_or_unwilling_party_is_never_rung_through_another_carrier(
    tenants: Tenants, cause: str
) -> None:
    gateways = [{"gateway_id": ONE, "order": 1}, {"gateway_id": TWO, "order": 2}]
    _route(tenants, gateways=gateways, failover_causes=[cause, "GATEWAY_DOWN"])
    first, _ = steps(tenants.dial("2025550777").plan, Bridge)
    assert first.continue_on == ("GATEWAY_DOWN",)


def test_equal_gateways_share_by_weight(tenants: Tenants) -> None:
    gateways = [{"gateway_id": ONE, "weight": 1}, {"gateway_id": TWO, "weight": 3}]
    _route(tenants, gateways=gateways)
    first = Counter(
        steps(tenants.dial("2025550777", seed=seed).plan, Bridge)[0].legs[0].gateway_id
        for seed in range(400)
    )
    assert 0.65 < first[TWO] / 400 < 0.85


def test_a_disabled_gateway_is_left_out(tenants: Tenants) -> None:
    tenants.put("gateway", "acme/one", {"name": "one", "host": "192.0.2.10", "enabled": False})
    (only,) = steps(tenants.dial("2025550777").plan, Bridge)
    assert only.legs[0].gateway_id == TWO


def test_the_route_with_the_lowest_priority_number_is_taken(tenants: Tenants) -> None:
    _route(tenants, "cheap", priority=1, patterns=["+1202."], prepend="77", strip=1)
    assert _numbers(tenants.dial("2025550777")) == ["772025550777"]


@pytest.mark.parametrize(
    ("changes", "dialled", "expected"),
    [
        ({}, "2025550777", "+12025550777"),
        ({"strip": 1}, "2025550777", "2025550777"),
        ({"strip": 1, "prepend": "0"}, "2025550777", "02025550777"),
        ({"prepend": "00"}, "2025550777", "0012025550777"),
        ({"patterns": ["9N."], "strip": 1}, "92025550777", "2025550777"),
    ],
)
def test_digits_are_stripped_and_put_before(
    tenants: Tenants, changes: dict[str, Any], dialled: str, expected: str
) -> None:
    _route(tenants, **changes)
    assert _numbers(tenants.dial(dialled)) == [expected]


@pytest.mark.parametrize(
    ("caller", "route", "allowed"),
    [
        ("internal", "local", False),
        ("local", "local", True),
        ("local", "national", False),
        ("national", "national", True),
        ("national", "international", False),
        ("international", "international", True),
    ],
)
def test_the_toll_class_of_the_caller_must_reach_the_routes(
    tenants: Tenants, caller: str, route: str, allowed: bool
) -> None:
    tenants.extension("acme/1001", toll_class=caller)
    _route(tenants, toll_class=route)
    decision = tenants.dial("2025550777")
    assert (decision.outcome == "routed") is allowed
    if not allowed:
        assert last(decision) == Hangup("OUTGOING_CALL_BARRED")


@pytest.mark.parametrize(
    ("policy", "dialled", "allowed"),
    [
        ({}, "+12025550777", True),
        ({}, "+442079460000", False),
        ({"international": True}, "+442079460000", True),
        ({"international": True}, "+19005551234", False),
        ({"international": True}, "+18765551234", True),
        ({}, "+18765551234", False),
        ({"premium": True}, "+19005551234", True),
        ({"allowed_prefixes": ["+44"]}, "+442079460000", True),
        ({"allowed_prefixes": ["+44"], "blocked_prefixes": ["+4420"]}, "+442079460000", False),
        ({"allowed_prefixes": ["+4420"], "blocked_prefixes": ["+44"]}, "+442079460000", True),
        ({"allowed_prefixes": ["+44"], "blocked_prefixes": ["+44"]}, "+442079460000", False),
        ({"international": True, "blocked_prefixes": ["+4420"]}, "+442079460000", False),
        ({"blocked_prefixes": ["+1202"]}, "+12025550777", False),
    ],
)
def test_the_dialling_policy_denies_what_is_not_allowed(
    tenants: Tenants, policy: dict[str, Any], dialled: str, allowed: bool
) -> None:
    tenants.tenant("acme", dialling=policy)
    _route(tenants)
    decision = tenants.dial(dialled)
    assert (decision.outcome == "routed") is allowed
    (why,) = [it for it in decision.trace if it.step == "dialling_policy"]
    assert (why.result == "matched") is allowed


@pytest.mark.parametrize(
    ("patterns", "strip", "dialled"),
    [
        (["9."], 1, "9011442079460000"),
        (["9."], 1, "919005551234"),
        (["0."], 0, "01118765551234"),
        (["X."], 0, "411"),
    ],
)
def test_the_policy_judges_what_the_carrier_gets_however_it_was_dialled(
    tenants: Tenants, patterns: list[str], strip: int, dialled: str
) -> None:
    _route(tenants, patterns=patterns, strip=strip)
    assert tenants.dial(dialled).outcome == "denied"


def test_a_caller_from_outside_dials_nothing_outside(tenants: Tenants) -> None:
    decision = tenants.dial("2025550777", by=None)
    assert (decision.outcome, last(decision)) == ("denied", Hangup("OUTGOING_CALL_BARRED"))


def test_a_disabled_extension_has_no_rights(tenants: Tenants) -> None:
    tenants.extension("acme/1001", enabled=False)
    assert tenants.dial("2025550777").outcome == "denied"


def test_a_forward_may_not_dial_what_the_forwarder_may_not(tenants: Tenants) -> None:
    outside = {"type": "external", "number": "+12025550777"}
    tenants.extension("acme/1001", toll_class="international")
    tenants.extension("acme/1002", toll_class="internal", forward={"always": outside})
    assert last(tenants.dial("1002")) == Hangup("OUTGOING_CALL_BARRED")


def test_a_did_may_lead_outside(tenants: Tenants) -> None:
    destination = {"type": "external", "number": "+12025550777"}
    tenants.put("did", "acme/did", {"number": "+12025550101", "destination": destination})
    assert _numbers(tenants.arrive("12025550101")) == ["+12025550777", "+12025550777"]


@pytest.mark.parametrize(
    ("extension", "route", "shown"),
    [
        ("+12025550101", None, "+12025550101"),
        ("+12025550101", "+12025550100", "+12025550101"),
        (None, "+12025550100", "+12025550100"),
        (None, None, None),
    ],
)
def test_the_caller_id_is_the_extensions_or_the_routes(
    tenants: Tenants, extension: str | None, route: str | None, shown: str | None
) -> None:
    tenants.extension("acme/1001", caller_id={"external_number": extension})
    _route(tenants, caller_id=route)
    sets = steps(tenants.dial("2025550777").plan, Set)
    assert [it.value for it in sets if it.name == "effective_caller_id_number"] == (
        [] if shown is None else [shown]
    )


def test_without_a_route_the_number_is_not_found(tenants: Tenants) -> None:
    tenants.snapshot.remove("outbound_route", identifier("acme"), identifier("acme/national"))
    assert tenants.dial("2025550777").outcome == "not_found"
    tenants.extension("acme/1002", forward={"always": to("did", "acme/nothing")})
    assert tenants.dial("1002").outcome == "unreachable"
