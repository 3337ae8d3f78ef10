"""Where calls go: the order of the dial plan, and what each destination plans."""

from __future__ import annotations

from typing import Any

import pytest

from nizam.routing.flow_state import MAX_HOPS
from nizam.routing.plan import (
    Answer,
    Bridge,
    Caller,
    Echo,
    Export,
    GatewayLeg,
    Hangup,
    Playback,
    Respond,
    RingReady,
    RunIvr,
    Set,
    Sleep,
    Transfer,
    UserLeg,
    Voicemail,
    VoicemailCheck,
)
from nizam.routing.tokens import AfterRinging, IvrChoice, menu_name, write_token
from tests.routing.tenants import (
    ACME,
    CALL,
    GLOBEX,
    Tenants,
    identifier,
    last,
    recorded_tenants,
    steps,
    to,
)


@pytest.fixture
def tenants() -> Tenants:
    return recorded_tenants()


def test_an_extension_rings_and_then_takes_a_message(tenants: Tenants) -> None:
    decision = tenants.dial("1002")
    assert decision.outcome == "routed"
    assert decision.plan[-4:] == (
        Bridge((UserLeg("1002", ACME),), ring_seconds=20, continue_on="always"),
        Answer(),
        Sleep(500),
        Voicemail(ACME, "1002"),
    )


def test_a_plan_begins_with_the_ids_of_the_call(tenants: Tenants) -> None:
    decision = tenants.dial("1002")
    assert decision.plan[:5] == (
        Export("nizam_tenant_id", str(identifier("acme"))),
        Export("nizam_call_id", CALL),
        Set("nizam_route", "extension 1002"),
        Set("nizam_revision", str(decision.revision)),
        Set("hangup_after_bridge", "true"),
    )


def test_a_later_question_of_the_same_call_keeps_its_call_id(tenants: Tenants) -> None:
    first = "11111111-2222-4333-8444-555555555555"
    decision = tenants.dial("1002", call_id=first)
    assert decision.call_id == first
    assert Export("nizam_call_id", first) in decision.plan


def test_a_call_id_that_is_no_uuid_is_not_taken_over(tenants: Tenants) -> None:
    assert tenants.dial("1002", call_id="${system rm}").call_id == CALL


def test_only_calls_from_outside_are_held_in_the_tenants_context_and_not_by_export(
    tenants: Tenants,
) -> None:
    inside, outside = tenants.dial("1002"), tenants.arrive("12025550101")
    held = Set("force_transfer_context", ACME)
    assert held not in inside.plan
    assert held in outside.plan
    assert "force_transfer_context" not in [it.name for it in steps(outside.plan, Export)]


@pytest.mark.parametrize(
    ("number", "outcome", "expected"),
    [
        ("1002", "routed", Voicemail(ACME, "1002")),
        ("2000", "routed", Voicemail(ACME, "1003")),
        ("5000", "routed", Hangup("NORMAL_CLEARING")),
        ("*97", "routed", VoicemailCheck(ACME, "1001")),
        ("*98", "routed", VoicemailCheck(ACME)),
        ("*9196", "routed", Echo()),
        ("12025550101", "routed", Voicemail(ACME, "1001")),
        ("4040", "not_found", Hangup("UNALLOCATED_NUMBER")),
        ("", "not_found", Hangup("UNALLOCATED_NUMBER")),
        ("${system rm}", "not_found", Hangup("UNALLOCATED_NUMBER")),
        ("+442079460000", "not_found", Hangup("UNALLOCATED_NUMBER")),
    ],
)
def test_what_is_dialled_is_looked_up_in_order(
    tenants: Tenants, number: str, outcome: str, expected: Any
) -> None:
    decision = tenants.dial(number)
    assert (decision.outcome, last(decision)) == (outcome, expected)


def test_a_number_of_the_tenant_comes_before_an_outbound_route(tenants: Tenants) -> None:
    tenants.put(
        "outbound_route",
        "acme/all",
        {
            "name": "All",
            "priority": 1,
            "patterns": ["XXXX"],
            "gateways": [{"gateway_id": str(identifier("acme/one"))}],
        },
    )
    assert steps(tenants.dial("1002").plan, Bridge)[0].legs == (UserLeg("1002", ACME),)


def test_the_tenants_own_did_is_not_dialled_through_a_carrier(tenants: Tenants) -> None:
    decision = tenants.dial("2025550101")
    legs = [leg for bridge in steps(decision.plan, Bridge) for leg in bridge.legs]
    assert legs == [UserLeg("1001", ACME)]
    assert decision.route == "did +12025550101 to extension 1001"


def test_another_tenants_did_goes_out_through_the_carrier(tenants: Tenants) -> None:
    bridges = steps(tenants.dial("12025550201").plan, Bridge)
    assert isinstance(bridges[0].legs[0], GatewayLeg)


def test_another_tenants_extension_is_not_reached(tenants: Tenants) -> None:
    tenants.extension("globex/1077")
    assert tenants.dial("1077").outcome == "not_found"
    assert tenants.dial("1077", domain=GLOBEX).outcome == "routed"


def test_a_call_that_belongs_to_another_tenant_is_refused(tenants: Tenants) -> None:
    decision = tenants.dial("1002", own_domain=GLOBEX)
    assert (decision.outcome, last(decision)) == ("denied", Hangup("CALL_REJECTED"))


def test_an_unknown_domain_is_not_answered(tenants: Tenants) -> None:
    assert tenants.dial("1002", domain="nowhere.example.test").plan == ()


@pytest.mark.parametrize(
    ("changes", "inside", "outside"),
    [
        (
            {"status": "suspended"},
            Hangup("OUTGOING_CALL_BARRED"),
            Respond(480, "Temporarily Unavailable"),
        ),
        (
            {"enabled": False},
            Hangup("OUTGOING_CALL_BARRED"),
            Respond(480, "Temporarily Unavailable"),
        ),
        ({"status": "terminated"}, None, None),
        ({"status": "trial"}, Voicemail(ACME, "1001"), Voicemail(ACME, "1001")),
    ],
)
def test_a_tenants_status_comes_first(
    tenants: Tenants, changes: dict[str, Any], inside: Any, outside: Any
) -> None:
    tenants.tenant("acme", **changes)
    for decision, expected in (
        (tenants.dial("1001"), inside),
        (tenants.arrive("12025550101"), outside),
    ):
        assert (last(decision) if decision.plan else None) == expected


# -- extensions ----------------------------------------------------------------------------------


def test_a_disabled_extension_is_not_reached(tenants: Tenants) -> None:
    tenants.extension("acme/1002", enabled=False)
    assert last(tenants.dial("1002")) == Hangup("NO_ROUTE_DESTINATION")


def test_without_voicemail_and_forwards_the_call_ends_as_the_phone_ended_it(
    tenants: Tenants,
) -> None:
    tenants.extension("acme/1002", voicemail={"enabled": False})
    assert last(tenants.dial("1002")) == Bridge((UserLeg("1002", ACME),), ring_seconds=25)


@pytest.mark.parametrize(
    ("busy", "expected"),
    [(None, Voicemail(ACME, "1002")), (to("voicemail", "acme/1003"), Voicemail(ACME, "1003"))],
)
def test_do_not_disturb_is_busy(tenants: Tenants, busy: Any, expected: Any) -> None:
    tenants.extension("acme/1002", do_not_disturb=True, forward={"busy": busy})
    decision = tenants.dial("1002")
    assert steps(decision.plan, Bridge) == []
    assert last(decision) == expected


def test_do_not_disturb_without_voicemail_says_busy(tenants: Tenants) -> None:
    tenants.extension("acme/1002", do_not_disturb=True, voicemail={"enabled": False})
    assert last(tenants.dial("1002")) == Hangup("USER_BUSY")


def test_a_forward_of_all_calls_does_not_ring_the_phone(tenants: Tenants) -> None:
    tenants.extension("acme/1002", forward={"always": to("extension", "acme/1003")})
    bridges = steps(tenants.dial("1002").plan, Bridge)
    assert [leg for bridge in bridges for leg in bridge.legs] == [UserLeg("1003", ACME)]


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ("USER_BUSY", Playback("busy.wav")),
        ("CALL_REJECTED", Playback("busy.wav")),
        ("USER_NOT_REGISTERED", Playback("away.wav")),
        ("SUBSCRIBER_ABSENT", Playback("away.wav")),
        ("NO_ANSWER", Voicemail(ACME, "1002")),
        ("NO_USER_RESPONSE", Voicemail(ACME, "1002")),
    ],
)
def test_what_follows_depends_on_why_nobody_answered(
    tenants: Tenants, cause: str, expected: Any
) -> None:
    tenants.extension(
        "acme/1002",
        forward={
            "busy": {"type": "play", "sound": "busy.wav"},
            "not_registered": {"type": "play", "sound": "away.wav"},
        },
    )
    asked_again = last(tenants.dial("1002"))
    assert isinstance(asked_again, Transfer)
    assert asked_again.context == ACME
    decision = tenants.dial(asked_again.destination, disposition=cause)
    assert expected in decision.plan


def test_a_loop_of_forwards_ends_after_five(tenants: Tenants) -> None:
    tenants.extension("acme/1001", forward={"always": to("extension", "acme/1002")})
    tenants.extension("acme/1002", forward={"always": to("extension", "acme/1001")})
    decision = tenants.dial("1001", by="1003")
    assert (decision.outcome, last(decision)) == ("loop", Hangup("EXCHANGE_ROUTING_ERROR"))
    assert len([it for it in decision.trace if it.step == "forward"]) == 6


def test_forwards_are_counted_over_the_questions_of_one_call(tenants: Tenants) -> None:
    for number, other in (("1001", "1002"), ("1002", "1001")):
        tenants.extension(f"acme/{number}", forward={"busy": to("extension", f"acme/{other}")})
    destination, asked = "1001", 0
    while True:
        step = last(tenants.dial(destination, by="1003", disposition="USER_BUSY"))
        if not isinstance(step, Transfer):
            break
        destination, asked = step.destination, asked + 1
    assert (step, asked) == (Hangup("EXCHANGE_ROUTING_ERROR"), 6)


def test_follow_me_rings_together_with_the_phone(tenants: Tenants) -> None:
    tenants.extension("acme/1002", follow_me=["1003", "+12025550777", "4040"])
    bridge = steps(tenants.dial("1002").plan, Bridge)[0]
    assert bridge.legs == (
        UserLeg("1002", ACME),
        UserLeg("1003", ACME),
        GatewayLeg(str(identifier("acme/one")), "+12025550777", caller=Caller("ten_acme")),
    )


# -- ring groups ---------------------------------------------------------------------------------


def _group(tenants: Tenants, **changes: Any) -> None:
    members = [
        {"extension_id": str(identifier("acme/1001")), "timeout_seconds": 10},
        {"extension_id": str(identifier("acme/1002")), "delay_seconds": 5},
        {"extension_id": str(identifier("acme/1003"))},
    ]
    body = {"number": "2000", "name": "Group", "ring_seconds": 20, "members": members}
    tenants.put("ring_group", "acme/2000", body | changes)


def test_a_simultaneous_group_rings_all_members_at_once(tenants: Tenants) -> None:
    _group(tenants)
    plan = tenants.dial("2000").plan
    assert RingReady() in plan
    assert last(tenants.dial("2000")) == Bridge(
        (
            UserLeg("1001", ACME, timeout_seconds=10),
            UserLeg("1002", ACME, timeout_seconds=20, delay_seconds=5),
            UserLeg("1003", ACME, timeout_seconds=20),
        ),
        ring_seconds=20,
        ignore_early_media=True,
    )


@pytest.mark.parametrize(
    ("strategy", "seed", "expected"),
    [
        ("sequence", 1, ["1001", "1002", "1003"]),
        ("rollover", 1, ["1001", "1002", "1003"]),
        ("round_robin", 4, ["1001", "1002", "1003"]),
        ("round_robin", 2, ["1003", "1001", "1002"]),
        ("random", 2, ["1002", "1003", "1001"]),
    ],
)
def test_other_groups_ring_one_member_after_the_other(
    tenants: Tenants, strategy: str, seed: int, expected: list[str]
) -> None:
    _group(tenants, strategy=strategy)
    bridge = steps(tenants.dial("2000", seed=seed).plan, Bridge)[0]
    assert bridge.order == "in_turn"
    assert bridge.ring_seconds is None
    assert [leg.number for leg in bridge.legs] == expected


def test_members_that_take_no_calls_are_left_out(tenants: Tenants) -> None:
    _group(tenants)
    tenants.extension("acme/1001", do_not_disturb=True)
    tenants.extension("acme/1002", enabled=False)
    bridge = steps(tenants.dial("2000").plan, Bridge)[0]
    assert [leg.number for leg in bridge.legs] == ["1003"]


def test_an_external_member_is_rung_through_the_carrier_and_confirms(tenants: Tenants) -> None:
    _group(tenants, members=[{"number": "+12025550777", "confirm": True}])
    bridge = steps(tenants.dial("2000").plan, Bridge)[0]
    gateway = str(identifier("acme/one"))
    caller = Caller("ten_acme")
    assert bridge.legs == (
        GatewayLeg(gateway, "+12025550777", timeout_seconds=20, confirm=True, caller=caller),
    )


def test_a_group_nobody_of_which_can_be_rung_goes_to_its_fallback(tenants: Tenants) -> None:
    _group(tenants, members=[{"number": "4040"}], fallback=to("voicemail", "acme/1003"))
    plan = tenants.dial("2000").plan
    assert steps(plan, Bridge) == []
    assert plan[-1] == Voicemail(ACME, "1003")


def test_groups_that_fall_back_to_each_other_come_to_an_end(tenants: Tenants) -> None:
    for number, other in (("2001", "2002"), ("2002", "2001")):
        tenants.put(
            "ring_group",
            f"acme/{number}",
            {
                "number": number,
                "name": number,
                "members": [{"number": "1001"}],
                "fallback": to("ring_group", f"acme/{other}"),
            },
        )
    assert last(tenants.dial("2001")) == Hangup("EXCHANGE_ROUTING_ERROR")


def test_the_callers_name_is_shown_with_the_prefixes_on_its_way(tenants: Tenants) -> None:
    _group(tenants, caller_name_prefix="Sales")
    tenants.put(
        "did",
        "acme/did2",
        {
            "number": "+12025550102",
            "caller_name_prefix": "US",
            "destination": to("ring_group", "acme/2000"),
        },
    )
    named = steps(tenants.arrive("12025550102").plan, Set)
    assert [it.value for it in named if it.name == "effective_caller_id_name"] == [
        "US User 13105550999",
        "Sales US User 13105550999",
    ]


# -- menus ---------------------------------------------------------------------------------------


def test_an_ivr_is_answered_and_run_by_its_id(tenants: Tenants) -> None:
    menu = f"ivr-{identifier('acme/5000').hex}"
    assert tenants.dial("5000").plan[-4:] == (
        Answer(),
        Sleep(500),
        RunIvr(menu),
        Hangup("NORMAL_CLEARING"),
    )


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (("entry", "1"), Voicemail(ACME, "1002")),
        (("timeout", ""), Voicemail(ACME, "1003")),
        (("invalid", ""), Hangup("USER_BUSY")),
        (("direct", "1003"), Voicemail(ACME, "1003")),
        (("entry", "9"), Hangup("NO_ROUTE_DESTINATION")),
    ],
)
def test_what_a_caller_from_outside_chose_in_a_menu(
    tenants: Tenants, choice: tuple[Any, str], expected: Any
) -> None:
    token = write_token(IvrChoice(identifier("acme/5000"), *choice))
    assert last(tenants.dial(token, by=None)) == expected


@pytest.mark.parametrize("dialled", ["1999", "2000", "12025550777"])
def test_a_menu_asks_again_for_what_is_no_extension(tenants: Tenants, dialled: str) -> None:
    menu = menu_name(identifier("acme/5000"))
    token = write_token(IvrChoice(identifier("acme/5000"), "direct", dialled))
    for misses in (0, 1):
        again = (RunIvr(menu), Hangup("NORMAL_CLEARING"))
        plan = tenants.dial(token, by=None, ivr_misses=misses).plan
        assert plan[-3:] == (Set("nizam_ivr_misses", str(misses + 1)), *again)
    failed = tenants.dial(token, by=None, ivr_misses=2)
    assert failed.plan[-2:] == (Set("nizam_ivr_misses", "0"), Hangup("USER_BUSY"))
    assert Set("nizam_ivr_misses", "0") in tenants.dial("5000", by=None, ivr_misses=2).plan


def test_an_entry_dials_outside_on_behalf_of_the_tenant(tenants: Tenants) -> None:
    token = write_token(IvrChoice(identifier("acme/5000"), "entry", "*"))
    bridges = steps(tenants.dial(token, by=None).plan, Bridge)
    assert [leg.number for leg in bridges[0].legs] == ["+12025550777"]


def test_a_token_reaches_nothing_of_another_tenant(tenants: Tenants) -> None:
    menu = write_token(IvrChoice(identifier("acme/5000"), "entry", "1"))
    phone = write_token(AfterRinging(identifier("acme/1001"), 0))
    for token in (menu, phone):
        decision = tenants.dial(token, domain=GLOBEX)
        assert (decision.outcome, last(decision)) == (
            "unreachable",
            Hangup("NO_ROUTE_DESTINATION"),
        )


# -- the outside ---------------------------------------------------------------------------------


def test_a_did_is_found_however_the_carrier_writes_it(tenants: Tenants) -> None:
    forms = ("+12025550101", "12025550101", "0012025550101", "01112025550101", "2025550101")
    for received in forms:
        assert tenants.arrive(received).route.startswith("did +12025550101"), received


@pytest.mark.parametrize("received", ["12025559999", "", "abc", "1001", "${x}", "+1202555010١"])
def test_an_unknown_did_is_unallocated(tenants: Tenants, received: str) -> None:
    decision = tenants.arrive(received)
    assert decision.tenant_id is None
    assert decision.plan == (Hangup("UNALLOCATED_NUMBER"),)


def test_a_disabled_did_is_unallocated(tenants: Tenants) -> None:
    tenants.put(
        "did",
        "acme/did",
        {
            "number": "+12025550101",
            "enabled": False,
            "destination": to("extension", "acme/1001"),
        },
    )
    assert last(tenants.arrive("12025550101")) == Hangup("UNALLOCATED_NUMBER")


def test_credentials_on_the_public_context_give_no_rights(tenants: Tenants) -> None:
    decision = tenants.arrive("12025550101", caller_extension="1001")
    assert any("without an extension" in it.detail for it in decision.trace)


def test_every_decision_says_why_in_words(tenants: Tenants) -> None:
    decision = tenants.dial("1002")
    assert [it.step for it in decision.trace] == [
        "tenant",
        "caller",
        "number",
        "extension",
        "voicemail",
    ]
    named = decision.trace[3].resource
    assert named is not None
    assert (named.type, named.id) == ("extension", identifier("acme/1002"))


@pytest.mark.parametrize(
    "token",
    [
        f"ivr-{identifier('acme/5000').hex}-d1003",
        f"parked-{identifier('acme/700').hex}",
        f"after-{identifier('acme/1002').hex}-0",
    ],
)
def test_a_call_that_keeps_coming_back_is_cut(token: str) -> None:
    tenants = recorded_tenants()
    assert tenants.dial(token, hops=MAX_HOPS - 1).outcome != "loop"
    decision = tenants.dial(token, hops=MAX_HOPS)
    assert (decision.outcome, last(decision)) == ("loop", Hangup("EXCHANGE_ROUTING_ERROR"))
    assert tenants.dial("1002", hops=MAX_HOPS).outcome == "routed"
