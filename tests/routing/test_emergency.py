"""Calls for help: who may make them, how they get through, what is told of the caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from nizam.fsxml.dialplan import actions
from nizam.model.emergency_plan import EmergencyPlan
from nizam.routing.decision import Decision
from nizam.routing.facts import Facts, NothingLive
from nizam.routing.outbound import PROGRESS_SECONDS
from nizam.routing.plan import Bridge, GatewayLeg, Location
from tests.routing.tenants import Tenants, identifier, recorded_tenants, steps

OWN = "+12025550101"
ONE, TWO, THREE = (str(identifier(f"acme/{name}")) for name in ("one", "two", "three"))


@pytest.fixture
def tenants() -> Tenants:
    tenants = recorded_tenants()
    _plan(tenants)
    return tenants


def _plan(tenants: Tenants, **changes: Any) -> None:
    body = {
        "name": "Head office",
        "numbers": ["911", "9911"],
        "gateways": [{"gateway_id": TWO, "order": 2}, {"gateway_id": ONE, "order": 1}],
        "caller_id_number": OWN,
        "location": "1 Example Street",
        "notify": ["security@example.test"],
    }
    tenants.put("emergency_plan", "acme/help", body | changes)


def _legs(decision: Decision) -> list[GatewayLeg]:
    legs = [leg for bridge in steps(decision.plan, Bridge) for leg in bridge.legs]
    return [leg for leg in legs if isinstance(leg, GatewayLeg)]


def _lines(decision: Decision, step: str) -> list[str]:
    return [it.detail for it in decision.trace if it.step == step]


def _told(decision: Decision) -> Mapping[str, Any]:
    (notice,) = decision.notices
    assert notice.type == "emergency.dialled"
    return notice.data


# -- who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extension", "tenant"),
    [
        ({"toll_class": "internal"}, {}),
        ({"do_not_disturb": True, "forward": {"always": {"type": "hangup"}}}, {}),
        ({"max_calls": 1}, {}),
        ({}, {"status": "trial"}),
        ({}, {"status": "suspended"}),
        ({}, {"enabled": False}),
        ({}, {"dialling": {"blocked_prefixes": ["+1", "911", "9"]}}),
        ({}, {"quotas": {"max_concurrent_calls": 1, "max_calls_per_minute": 1}}),
    ],
)
def test_every_phone_of_a_tenant_reaches_help(
    tenants: Tenants, extension: dict[str, Any], tenant: dict[str, Any]
) -> None:
    tenants.extension("acme/1001", **extension)
    tenants.tenant("acme", **tenant)
    decision = tenants.dial("911")
    assert decision.outcome == "routed"
    assert [it.number for it in _legs(decision)] == ["911", "911"]
    assert (decision.limits, decision.commands, decision.fetch) == ((), (), None)
    assert decision.is_complete


def test_a_phone_without_an_extension_of_its_own_reaches_help_too(tenants: Tenants) -> None:
    assert _legs(tenants.dial("911", by=None))
    tenants.extension("acme/1001", enabled=False)
    assert _legs(tenants.dial("911"))


@pytest.mark.parametrize("pattern", ["911", "9."])
def test_a_blocked_number_and_a_policy_do_not_stop_it(tenants: Tenants, pattern: str) -> None:
    tenants.put("blocked_number", "acme/x", {"pattern": pattern, "direction": "both"})
    tenants.put(
        "routing_policy",
        "acme/policy",
        {
            "name": "Policy",
            "condition": {"type": "destination", "pattern": "911"},
            "action": {"type": "reject"},
        },
    )
    assert _legs(tenants.dial("911"))


def test_a_terminated_tenant_has_no_phones(tenants: Tenants) -> None:
    tenants.tenant("acme", status="terminated")
    assert tenants.dial("911").outcome == "gone"


# -- how it gets through -------------------------------------------------------------------------


def test_every_failure_leads_to_the_next_gateway_and_silence_too(tenants: Tenants) -> None:
    first, second = steps(tenants.dial("911").plan, Bridge)
    assert [it.gateway_id for it in _legs(tenants.dial("911"))] == [ONE, TWO]
    assert (first.continue_on, second.continue_on) == ("always", "never")
    timeouts = [it.progress_timeout_seconds for it in _legs(tenants.dial("911"))]
    assert timeouts == [PROGRESS_SECONDS, None]


def test_after_the_gateways_of_the_plan_the_tenants_others_are_tried(tenants: Tenants) -> None:
    tenants.put("gateway", "acme/three", {"name": "three", "host": "192.0.2.12"})
    _plan(tenants, gateways=[{"gateway_id": TWO}])
    decision = tenants.dial("911")
    assert [it.gateway_id for it in _legs(decision)] == [TWO, ONE, THREE]
    assert "if those fail, then by one, three" in _lines(decision, "emergency")


def test_gateways_that_are_disabled_are_passed_over(tenants: Tenants) -> None:
    tenants.put("gateway", "acme/one", {"name": "one", "host": "192.0.2.10", "enabled": False})
    assert [it.gateway_id for it in _legs(tenants.dial("911"))] == [TWO]


class OneIsDown(NothingLive):
    """Knows that gateway one does not answer."""

    def gateway_up(self, gateway_id: UUID, node: str) -> bool | None:
        return False if str(gateway_id) == ONE else None


def test_a_gateway_that_is_down_is_tried_last_of_those_of_the_plan(tenants: Tenants) -> None:
    tenants.put("gateway", "acme/three", {"name": "three", "host": "192.0.2.12"})
    decision = tenants.dial("911", facts=Facts(OneIsDown()))
    assert [it.gateway_id for it in _legs(decision)] == [TWO, ONE, THREE]


def test_the_carrier_gets_the_number_of_the_plan_without_its_own_prefix(tenants: Tenants) -> None:
    gateway = {"name": "one", "host": "192.0.2.10", "prefix": "77", "number_format": "e164"}
    tenants.put("gateway", "acme/one", gateway)
    assert [it.number for it in _legs(tenants.dial("9911"))] == ["9911", "9911"]
    _plan(tenants, dial="911")
    assert [it.number for it in _legs(tenants.dial("9911"))] == ["911", "911"]


@pytest.mark.parametrize(
    ("country", "dialled", "reached"),
    [("US", "911", True), ("DE", "112", True), ("DE", "110", True), ("US", "110", False)],
)
def test_the_numbers_of_the_country_reach_help_without_a_plan(
    tenants: Tenants, country: str, dialled: str, reached: bool
) -> None:
    tenants.snapshot.remove("emergency_plan", identifier("acme"), identifier("acme/help"))
    tenants.tenant("acme", country=country, status="suspended")
    decision = tenants.dial(dialled)
    assert [it.number for it in _legs(decision)] == ([dialled, dialled] if reached else [])


def test_a_disabled_plan_does_not_take_the_number_of_the_country_away(tenants: Tenants) -> None:
    _plan(tenants, enabled=False)
    assert _legs(tenants.dial("911"))
    assert not _legs(tenants.dial("9911"))


def test_an_extension_with_such_a_number_is_rung(tenants: Tenants) -> None:
    tenants.tenant("acme", country="DE")
    tenants.extension("acme/110")
    assert tenants.dial("110").route == "extension 110"


def test_a_tenant_without_a_gateway_is_told_why_nobody_answers(tenants: Tenants) -> None:
    for name in ("one", "two"):
        tenants.put("gateway", f"acme/{name}", {"name": name, "host": "x", "enabled": False})
    decision = tenants.dial("911")
    assert decision.outcome != "routed"
    assert "the tenant has no gateway in use" in _lines(decision, "emergency")


# -- what is told of the caller ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extension", "plan", "shown"),
    [
        ({"emergency_number": "+12025550111", "external_number": OWN}, OWN, "+12025550111"),
        ({"external_number": "+12025550102"}, OWN, OWN),
        ({"external_number": "+12025550102"}, None, "+12025550102"),
        ({"external_number": "+13105550123"}, None, "ten_acme"),
        ({}, None, "ten_acme"),
    ],
)
def test_the_extensions_number_for_emergencies_comes_first(
    tenants: Tenants, extension: dict[str, Any], plan: str | None, shown: str
) -> None:
    tenants.extension("acme/1001", caller_id=extension)
    _plan(tenants, caller_id_number=plan)
    assert [it.caller and it.caller.number for it in _legs(tenants.dial("911"))] == [shown, shown]


@pytest.mark.parametrize("dialled", ["911", "*67911"])
def test_the_number_is_never_withheld(tenants: Tenants, dialled: str) -> None:
    tenants.extension("acme/1001", caller_id={"withhold": True})
    decision = tenants.dial(dialled, caller_hides=True)
    assert {it.caller and it.caller.privacy for it in _legs(decision)} == {"none"}


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (OWN, f"who calls {OWN} back reaches extension 1001"),
        ("+12025550102", "who calls +12025550102 back reaches ring_group 2000"),
        ("+12025550199", "+12025550199 cannot be called back here"),
        ("+12025550201", "+12025550201 cannot be called back here"),
    ],
)
def test_it_is_explained_whom_a_callback_reaches(tenants: Tenants, shown: str, words: str) -> None:
    _plan(tenants, caller_id_number=shown)
    assert _lines(tenants.dial("911"), "callback") == [words.replace("_", " ")]


@pytest.mark.parametrize(
    ("extension", "header", "sent"),
    [
        ("Room 7, 2nd floor", "X-Emergency-Location", "Room 7 2nd floor"),
        (None, "X-Emergency-Location", "1 Example Street"),
        ("Room 7", None, None),
    ],
)
def test_the_location_is_sent_in_the_header_that_the_carrier_reads(
    tenants: Tenants, extension: str | None, header: str | None, sent: str | None
) -> None:
    tenants.extension("acme/1001", emergency_location=extension)
    _plan(tenants, location_header=header)
    decision = tenants.dial("911")
    location = extension or "1 Example Street"
    assert f"the caller is at {location}" in _lines(decision, "emergency")
    assert _told(decision)["location"] == location
    assert _legs(decision)[0].location == (None if header is None else Location(header, location))
    bridges = [data for application, data in actions(decision.plan) if application == "bridge"]
    assert all((f"sip_h_{header}={sent}" in it) is (sent is not None) for it in bridges)


@pytest.mark.parametrize("name", ["Route", "From", "X-", "X-A:b", "X-A\r\nFrom", "x-a", "P-Charge"])
def test_a_header_that_is_not_ours_to_write_is_refused(name: str) -> None:
    body = {"name": "A", "numbers": ["911"], "gateways": [{"gateway_id": ONE}]}
    with pytest.raises(ValueError, match="location_header"):
        EmergencyPlan.model_validate(body | {"location_header": name})


def test_those_who_are_to_know_are_told(tenants: Tenants) -> None:
    extension = tenants.extension("acme/1001", emergency_location="Room 7")
    assert _told(tenants.dial("911")) == {
        "number": "911",
        "extension_id": str(extension),
        "extension": "1001",
        "extension_name": "Acme 1001",
        "caller_id_number": OWN,
        "location": "Room 7",
        "emergency_plan_id": str(identifier("acme/help")),
        "emergency_plan": "Head office",
        "notify": ["security@example.test"],
    }


def test_other_calls_tell_nobody(tenants: Tenants) -> None:
    assert tenants.dial("1002").notices == ()
    assert tenants.dial("2025550777").notices == ()


def test_help_is_not_called_through_another_tenants_plan(tenants: Tenants) -> None:
    decision = tenants.dial("9911", domain="globex.example.test", by="1001")
    assert not _legs(decision)
