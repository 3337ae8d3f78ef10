"""Whose number is shown outside, where it stands, and when it is withheld."""

from __future__ import annotations

from typing import Any

import pytest

from nizam.fsxml.dialplan import actions
from nizam.routing.decision import Decision
from nizam.routing.plan import Bridge, Caller, Diversion, GatewayLeg, Hangup, Transfer
from nizam.sim.dialstring import parse_dial_string
from tests.routing.tenants import ACME, Tenants, identifier, last, recorded_tenants, steps

OWN = "+12025550101"
"""A DID of acme, the other one is +12025550102; +12025550201 is one of globex."""
OTHER = "+12025550102"
OUTSIDE = "2025550777"


@pytest.fixture
def tenants() -> Tenants:
    tenants = recorded_tenants()
    _gateway(tenants)
    _route(tenants)
    return tenants


def _gateway(tenants: Tenants, **changes: Any) -> None:
    tenants.put("gateway", "acme/one", {"name": "one", "host": "192.0.2.10"} | changes)


def _route(tenants: Tenants, **changes: Any) -> None:
    one = {"gateway_id": str(identifier("acme/one"))}
    tenants.put(
        "outbound_route",
        "acme/national",
        {"name": "National", "patterns": ["+."], "gateways": [one]} | changes,
    )


def _shows(tenants: Tenants, **caller_id: Any) -> None:
    tenants.extension("acme/1001", caller_id=caller_id)


def _caller(decision: Decision) -> Caller:
    legs = [leg for bridge in steps(decision.plan, Bridge) for leg in bridge.legs]
    (caller,) = [leg.caller for leg in legs if isinstance(leg, GatewayLeg)]
    assert caller is not None
    return caller


def _variables(decision: Decision) -> dict[str, str]:
    """What FreeSWITCH reads of the leg to the carrier."""
    (data,) = [data for application, data in actions(decision.plan) if application == "bridge"]
    (branch,) = parse_dial_string(data)
    ((leg,),) = branch.attempts
    return dict(leg.variables)


def _denied(decision: Decision) -> list[str]:
    return [it.detail for it in decision.trace if it.step == "caller_id" and it.result == "denied"]


@pytest.mark.parametrize(
    ("extension", "route", "gateway", "tenant", "shown"),
    [
        (OWN, OTHER, None, None, OWN),
        (None, OWN, OTHER, None, OWN),
        (None, None, OWN, OTHER, OWN),
        (None, None, None, OWN, OWN),
        (None, None, None, None, None),
    ],
)
def test_the_extensions_number_comes_before_the_routes_the_gateways_and_the_tenants(
    tenants: Tenants,
    extension: str | None,
    route: str | None,
    gateway: str | None,
    tenant: str | None,
    shown: str | None,
) -> None:
    _shows(tenants, external_number=extension)
    _route(tenants, caller_id=route)
    _gateway(tenants, caller_id=gateway)
    tenants.tenant("acme", dialling={"caller_id": tenant})
    assert _caller(tenants.dial(OUTSIDE)).number == shown


def test_a_route_can_insist_on_its_own_number_and_name(tenants: Tenants) -> None:
    _shows(tenants, external_number=OWN, external_name="Ada")
    _route(tenants, caller_id_rule="route", caller_id=OTHER, caller_name="Acme")
    caller = _caller(tenants.dial(OUTSIDE))
    assert (caller.number, caller.name) == (OTHER, "Acme")


@pytest.mark.parametrize(
    ("own", "route", "shown"), [("Ada", "Acme", "Ada"), (None, "Acme", "Acme"), (None, None, "")]
)
def test_the_name_inside_is_never_shown_outside(
    tenants: Tenants, own: str | None, route: str | None, shown: str
) -> None:
    _shows(tenants, external_name=own, external_number=OWN, internal_name="The boss")
    _route(tenants, caller_name=route)
    decision = tenants.dial(OUTSIDE)
    assert _caller(decision).name == shown
    assert _variables(decision)["origination_caller_id_name"] == (shown or OWN)


@pytest.mark.parametrize(
    ("number", "whose"),
    [("+12025550201", "another tenant's"), ("+13105550123", "nobody's here"), ("+911911", "none")],
)
def test_a_number_that_is_not_the_tenants_is_not_shown(
    tenants: Tenants, number: str, whose: str
) -> None:
    _shows(tenants, external_number=number)
    _route(tenants, caller_id=OWN)
    decision = tenants.dial(OUTSIDE)
    assert _caller(decision).number == OWN, whose
    assert _denied(decision) == [
        f"does not show {number}, the extension's: it is no number of the tenant"
    ]


def test_a_number_that_the_platform_allows_is_shown(tenants: Tenants) -> None:
    tenants.tenant("acme", dialling={"caller_ids": ["+13105550123"]})
    _shows(tenants, external_number="+13105550123")
    assert _caller(tenants.dial(OUTSIDE)).number == "+13105550123"


def test_a_number_that_is_no_longer_a_did_of_the_tenant_is_no_longer_shown(
    tenants: Tenants,
) -> None:
    _shows(tenants, external_number=OTHER)
    assert _caller(tenants.dial(OUTSIDE)).number == OTHER
    tenants.snapshot.remove("did", identifier("acme"), identifier("acme/did2"))
    assert _caller(tenants.dial(OUTSIDE)).number is None


@pytest.mark.parametrize(
    ("gateway", "account"),
    [
        ({"username": "acme77"}, "acme77"),
        ({"username": "acme77", "from_user": "4930123"}, "4930123"),
        ({}, None),
    ],
)
def test_without_a_number_the_carrier_sees_its_own_customer_or_nobody(
    tenants: Tenants, gateway: dict[str, Any], account: str | None
) -> None:
    _gateway(tenants, **gateway)
    decision = tenants.dial(OUTSIDE)
    assert _caller(decision).number == account
    assert _variables(decision)["origination_caller_id_number"] == account or "anonymous"


def test_a_policy_may_choose_among_the_tenants_numbers_only(tenants: Tenants) -> None:
    for number, shown in (("2025550102", OTHER), ("+13105550123", OWN)):
        tenants.put(
            "routing_policy",
            "acme/policy",
            {
                "name": "Policy",
                "condition": {"type": "destination", "pattern": "+."},
                "action": {"type": "set_caller_id", "number": number, "name": "Campaign"},
            },
        )
        _shows(tenants, external_number=OWN, external_name="Ada")
        caller = _caller(tenants.dial(OUTSIDE))
        assert (caller.number, caller.name) == (shown, "Campaign")


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("e164_plus", "+12025550101"),
        ("e164", "12025550101"),
        ("national", "2025550101"),
        ("international", "01112025550101"),
    ],
)
def test_the_callers_number_is_written_as_the_carrier_wants_it(
    tenants: Tenants, form: str, shown: str
) -> None:
    _gateway(tenants, caller_id_format=form)
    _shows(tenants, external_number=OWN)
    assert _caller(tenants.dial(OUTSIDE)).number == shown


# -- where it stands -----------------------------------------------------------------------------

# Seen to leave a FreeSWITCH 1.11.1: with cid type `none` the number stands in From alone, with
# `pid` in P-Asserted-Identity (P-Preferred-Identity without `screen`) beside the account in From,
# with `rpid` in Remote-Party-ID with screen=yes.


@pytest.mark.parametrize(("header", "kind"), [("from", "none"), ("pai", "pid"), ("rpid", "rpid")])
def test_the_number_stands_where_the_carrier_looks_for_it(
    tenants: Tenants, header: str, kind: str
) -> None:
    _gateway(tenants, caller_id_in=header)
    _shows(tenants, external_number=OWN, external_name="Ada")
    assert _variables(tenants.dial(OUTSIDE)) == {
        "origination_callee_id_name": "+12025550777",
        "origination_caller_id_number": OWN,
        "origination_caller_id_name": "Ada",
        "sip_cid_type": kind,
        "origination_privacy": "screen",
    }


@pytest.mark.parametrize(
    ("header", "privacy", "anonymous", "asked"),
    [
        ("from", "anonymous", True, True),
        ("from", "header", False, True),
        ("pai", "anonymous", True, False),
        ("pai", "header", False, False),
        ("rpid", "anonymous", True, True),
        ("rpid", "header", False, True),
    ],
)
def test_a_withheld_number_is_hidden_as_the_carrier_understands_it(
    tenants: Tenants, header: str, privacy: str, anonymous: bool, asked: bool
) -> None:
    _gateway(tenants, caller_id_in=header, privacy=privacy)
    _shows(tenants, external_number=OWN, withhold=True)
    variables = _variables(tenants.dial(OUTSIDE))
    assert variables["origination_privacy"] == "screen:hide_name:hide_number"
    # With `pid` FreeSWITCH itself adds Privacy: id.
    assert (variables.get("sip_h_Privacy") == "id") is asked
    hidden = ("sip:anonymous@anonymous.invalid", "Anonymous") if anonymous else (None, None)
    assert (variables.get("sip_invite_from_uri"), variables.get("sip_from_display")) == hidden


# -- when it is withheld -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extension", "route", "phone", "dialled", "withheld"),
    [
        (False, False, False, OUTSIDE, False),
        (True, False, False, OUTSIDE, True),
        (False, True, False, OUTSIDE, True),
        (False, False, True, OUTSIDE, True),
        (False, False, False, f"*67{OUTSIDE}", True),
        (False, False, False, f"*67+1{OUTSIDE}", True),
        (True, True, True, f"*82{OUTSIDE}", False),
    ],
)
def test_who_withholds_a_number(
    tenants: Tenants, extension: bool, route: bool, phone: bool, dialled: str, withheld: bool
) -> None:
    _shows(tenants, external_number=OWN, withhold=extension)
    _route(tenants, withhold_caller_id=route)
    decision = tenants.dial(dialled, caller_hides=phone)
    assert (_caller(decision).privacy == "anonymous") is withheld
    assert _caller(decision).number == OWN


def test_a_code_for_one_call_leads_past_nothing(tenants: Tenants) -> None:
    tenants.put("blocked_number", "acme/x", {"pattern": "+12025550777", "direction": "outbound"})
    assert tenants.dial(f"*67{OUTSIDE}").outcome == tenants.dial(OUTSIDE).outcome == "denied"
    tenants.extension("acme/1001", toll_class="internal")
    assert last(tenants.dial("*672025550888")) == Hangup("OUTGOING_CALL_BARRED")


def test_a_code_without_a_number_calls_nobody(tenants: Tenants) -> None:
    assert last(tenants.dial("*67")) == Hangup("SERVICE_NOT_IMPLEMENTED")


def test_the_wish_of_a_caller_is_not_that_of_whom_a_call_is_forwarded_by(tenants: Tenants) -> None:
    outside = {"type": "external", "number": "+12025550777"}
    tenants.extension(
        "acme/1002", forward={"always": outside}, caller_id={"external_number": OTHER}
    )
    caller = _caller(tenants.dial("*671002"))
    assert (caller.number, caller.privacy) == (OTHER, "none")


# -- forwarded calls -----------------------------------------------------------------------------


def _forwarded(tenants: Tenants, **extension: Any) -> None:
    outside = {"type": "external", "number": "+12025550777"}
    body = {"forward": {"always": outside}, "caller_id": {"external_number": OWN}}
    tenants.extension("acme/1001", **(body | extension))


def test_a_forwarded_call_shows_the_number_of_who_forwards(tenants: Tenants) -> None:
    _forwarded(tenants)
    caller = _caller(tenants.arrive(OWN))
    assert (caller.number, caller.diversion) == (OWN, None)


def test_a_route_can_show_the_original_caller_and_who_forwarded(tenants: Tenants) -> None:
    _route(tenants, caller_id_rule="original")
    _forwarded(tenants)
    decision = tenants.arrive(OWN)
    assert _caller(decision) == Caller(
        "+13105550999", diversion=Diversion(OWN, ACME, "unconditional")
    )
    diversion = _variables(decision)["sip_h_Diversion"]
    assert diversion == f"<sip:{OWN}@{ACME}>;reason=unconditional"


@pytest.mark.parametrize(
    ("forward", "cause", "reason"),
    [
        ("busy", "USER_BUSY", "user-busy"),
        ("no_answer", "NO_ANSWER", "no-answer"),
        ("not_registered", "USER_NOT_REGISTERED", "unavailable"),
    ],
)
def test_the_diversion_says_why(tenants: Tenants, forward: str, cause: str, reason: str) -> None:
    _route(tenants, caller_id_rule="original")
    outside = {"type": "external", "number": "+12025550777"}
    _forwarded(tenants, forward={forward: outside})
    again = last(tenants.arrive(OWN))
    assert isinstance(again, Transfer)
    decision = tenants.dial(
        again.destination, by=None, caller_number="13105550999", disposition=cause
    )
    diversion = _caller(decision).diversion
    assert diversion is not None
    assert diversion.reason == reason


@pytest.mark.parametrize(
    "fields",
    [
        {"by": "1002", "caller_number": "13105550999"},
        {"by": None, "caller_number": "anonymous"},
        {"by": None, "caller_number": "13105550999", "caller_hides": True},
        {"by": None, "caller_number": "1310"},
    ],
    ids=["a phone that claims a number", "no number", "a withheld number", "no public number"],
)
def test_only_what_a_carrier_told_is_passed_on(tenants: Tenants, fields: dict[str, Any]) -> None:
    _route(tenants, caller_id_rule="original")
    _forwarded(tenants)
    assert _caller(tenants.dial("1001", **fields)).number == OWN


def test_an_original_caller_is_not_shown_without_a_number_of_the_tenant(tenants: Tenants) -> None:
    _route(tenants, caller_id_rule="original")
    _forwarded(tenants, caller_id={})
    decision = tenants.arrive(OWN)
    assert _caller(decision).number is None
    assert _denied(decision) == ["no number of the tenant says who forwards"]


def test_members_outside_see_the_groups_number_and_phones_see_the_caller(tenants: Tenants) -> None:
    tenants.put(
        "ring_group",
        "acme/2000",
        {
            "number": "2000",
            "name": "All",
            "members": [
                {"extension_id": str(identifier("acme/1002"))},
                {"number": "+12025550777"},
            ],
        },
    )
    _route(tenants, caller_id=OTHER)
    assert _caller(tenants.dial("2000")).number == OTHER
    written = [data for _, data in actions(tenants.dial("2000").plan)]
    assert not any(it.startswith("effective_caller_id_number") for it in written)


def test_a_did_that_leads_outside_shows_the_routes_number(tenants: Tenants) -> None:
    destination = {"type": "external", "number": "+12025550777"}
    tenants.put("did", "acme/did", {"number": OWN, "destination": destination})
    _route(tenants, caller_id=OTHER)
    assert _caller(tenants.arrive(OWN)).number == OTHER
