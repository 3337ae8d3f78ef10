"""Calls to the outside: routes, rights, dialling policy, gateways."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from nizam.routing.facts import Facts, NothingLive
from nizam.routing.outbound import PROGRESS_SECONDS
from nizam.routing.plan import Bridge, Caller, GatewayLeg, Hangup, Set, UserLeg
from tests.routing.tenants import ACME, Tenants, identifier, last, recorded_tenants, steps, to

ONE, TWO = str(identifier("acme/one")), str(identifier("acme/two"))


@pytest.fixture
def tenants() -> Tenants:
    return recorded_tenants()


def _route(tenants: Tenants, name: str = "national", **changes: Any) -> None:
    body = {"name": name, "patterns": ["+."], "gateways": [{"gateway_id": ONE}]}
    tenants.put("outbound_route", f"acme/{name}", body | changes)


def _gateway(tenants: Tenants, name: str = "one", **changes: Any) -> None:
    tenants.put("gateway", f"acme/{name}", {"name": name, "host": "192.0.2.10"} | changes)


def _numbers(decision: Any) -> list[str]:
    return [leg.number for bridge in steps(decision.plan, Bridge) for leg in bridge.legs]


def test_gateways_are_tried_in_order_and_only_for_causes_of_the_carrier(tenants: Tenants) -> None:
    first, second = steps(tenants.dial("2025550777").plan, Bridge)
    caller = Caller("ten_acme")
    assert first.legs == (
        GatewayLeg(ONE, "+12025550777", progress_timeout_seconds=PROGRESS_SECONDS, caller=caller),
    )
    assert "GATEWAY_DOWN" in first.continue_on
    assert second == Bridge((GatewayLeg(TWO, "+12025550777", caller=caller),), continue_on="never")


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
    ("form", "patterns", "dialled", "sent"),
    [
        ("as_routed", ["+."], "2025550777", "+12025550777"),
        ("as_routed", ["X."], "2025550777", "2025550777"),
        ("e164_plus", ["X."], "2025550777", "+12025550777"),
        ("e164", ["+."], "2025550777", "12025550777"),
        ("e164", ["+."], "011442079460000", "442079460000"),
        ("national", ["+."], "+12025550777", "2025550777"),
        ("national", ["+."], "+442079460000", "011442079460000"),
        ("international", ["+."], "+442079460000", "011442079460000"),
        ("international", ["+."], "2025550777", "01112025550777"),
        ("as_dialled", ["+."], "2025550777", "2025550777"),
    ],
)
def test_a_carrier_gets_numbers_in_its_own_format(
    tenants: Tenants, form: str, patterns: list[str], dialled: str, sent: str
) -> None:
    tenants.tenant("acme", dialling={"international": True})
    _gateway(tenants, number_format=form)
    _route(tenants, patterns=patterns)
    assert _numbers(tenants.dial(dialled)) == [sent]


@pytest.mark.parametrize(
    ("gateway", "route", "dialled", "sent"),
    [
        ({"prefix": "7788"}, {}, "2025550777", "778812025550777"),
        ({"number_format": "e164"}, {"strip": 1}, "2025550777", "2025550777"),
        ({"number_format": "e164"}, {"prepend": "99"}, "2025550777", "9912025550777"),
        ({"number_format": "e164"}, {"patterns": ["9."], "strip": 1}, "92025550777", "12025550777"),
        (
            {"number_format": "e164", "prefix": "#"},
            {"patterns": ["NXXXXXX"], "prepend": "1202"},
            "5550777",
            "#12025550777",
        ),
        ({"number_format": "e164"}, {"patterns": ["8X"], "strip": 1}, "85", "5"),
    ],
)
def test_digits_are_put_before_and_stripped_around_the_carriers_format(
    tenants: Tenants, gateway: dict[str, Any], route: dict[str, Any], dialled: str, sent: str
) -> None:
    tenants.tenant("acme", dialling={"allowed_prefixes": ["5"]})
    _gateway(tenants, **gateway)
    _route(tenants, **route)
    assert _numbers(tenants.dial(dialled)) == [sent]


def test_each_carrier_gets_the_number_in_its_own_format(tenants: Tenants) -> None:
    _gateway(tenants, number_format="national")
    assert _numbers(tenants.dial("2025550777")) == ["2025550777", "+12025550777"]


@pytest.mark.parametrize("number", ["+1202555", "+44207946000012", "+99912345678"])
def test_what_cannot_be_a_number_is_refused_before_any_carrier_is_asked(
    tenants: Tenants, number: str
) -> None:
    tenants.tenant("acme", dialling={"international": True})
    _route(tenants, toll_class="local")
    decision = tenants.dial(number)
    assert (decision.outcome, last(decision)) == ("denied", Hangup("INVALID_NUMBER_FORMAT"))
    assert any("cannot be a number" in it.detail for it in decision.trace)


class Known(NothingLive):
    """Knows of two gateways whether they are up."""

    def __init__(self, **states: bool) -> None:
        self._states = {identifier(f"acme/{name}"): up for name, up in states.items()}

    def gateway_up(self, gateway_id: UUID, node: str) -> bool | None:
        return self._states.get(gateway_id)


@pytest.mark.parametrize(
    ("known", "order"),
    [
        ({}, [ONE, TWO]),
        ({"one": False}, [TWO, ONE]),
        ({"one": False, "two": False}, [ONE, TWO]),
        ({"one": True, "two": False}, [ONE, TWO]),
    ],
)
def test_a_gateway_that_is_known_to_be_down_is_tried_last(
    tenants: Tenants, known: dict[str, bool], order: list[str]
) -> None:
    decision = tenants.dial("2025550777", facts=Facts(Known(**known)))
    legs = [leg for bridge in steps(decision.plan, Bridge) for leg in bridge.legs]
    assert [it.gateway_id for it in legs] == order
    down = [it.detail for it in decision.trace if "is down" in it.detail]
    assert len(down) == list(known.values()).count(False)


@pytest.mark.parametrize(
    ("gateway", "tenant", "offered"),
    [(None, None, None), (None, "PCMA", "PCMA"), ("G722,PCMU", "PCMA", "G722,PCMU")],
)
def test_a_carrier_is_offered_its_own_codecs_else_the_tenants(
    tenants: Tenants, gateway: str | None, tenant: str | None, offered: str | None
) -> None:
    tenants.tenant("acme", codecs=tenant)
    _gateway(tenants, codecs=gateway)
    _route(tenants)
    ((leg,),) = [it.legs for it in steps(tenants.dial("2025550777").plan, Bridge)]
    assert leg.codecs == offered


def test_phones_are_offered_the_tenants_codecs(tenants: Tenants) -> None:
    tenants.tenant("acme", codecs="G722,PCMA")
    bridge = steps(tenants.dial("1002").plan, Bridge)[0]
    assert bridge.legs == (UserLeg("1002", ACME, codecs="G722,PCMA"),)


def test_headers_that_a_phone_writes_do_not_reach_the_carrier(tenants: Tenants) -> None:
    kept = Set("sip_copy_custom_headers", "false")
    assert kept in tenants.dial("2025550777").plan
    assert kept not in tenants.dial("1002").plan


def test_without_a_route_the_number_is_not_found(tenants: Tenants) -> None:
    tenants.snapshot.remove("outbound_route", identifier("acme"), identifier("acme/national"))
    assert tenants.dial("2025550777").outcome == "not_found"
    tenants.extension("acme/1002", forward={"always": to("did", "acme/nothing")})
    assert tenants.dial("1002").outcome == "unreachable"
