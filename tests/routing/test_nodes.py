"""A switch of ours has phones rung that are registered at another one."""

from __future__ import annotations

from typing import Any, Literal
from unittest.mock import Mock

import attrs
import pytest

from nizam.model.extension import Extension
from nizam.routing.decision import Decision
from nizam.routing.facts import NO_FACTS, Contact, Facts, RingingLeg
from nizam.routing.peer_calls import opened, peer_keys, sealed
from nizam.routing.phones import phones_elsewhere
from nizam.routing.plan import Bridge, Export, Hangup, Intercept, Respond, Set, UserLeg
from nizam.routing.request import CallRequest
from nizam.routing.tokens import RingHere, phone_mark, read_token, write_token
from tests.routing.tenants import ACME, CALL, Tenants, identifier, recorded_tenants, steps

FIRST = "11111111-2222-4333-8444-555555555555"
NODE = "10.0.0.6"
KEYS = peer_keys([b"k" * 32])
BEN = RingHere(identifier("acme"), identifier("acme/1002"))


@pytest.fixture
def tenants() -> Tenants:
    tenants = recorded_tenants()
    body = {"name": "fs2", "esl_host": NODE, "xml_username": "fs2", "sip_address": f"{NODE}:5060"}
    tenants.put("switch_node", "fs2", body, {"xml_password": "s3cret"})
    tenants.snapshot.peer_keys = KEYS
    return tenants


def ask(
    tenants: Tenants,
    extension: str = "acme/1002",
    what: Literal["ring", "speak", "take"] = "ring",
    phone: str = "",
    **fields: Any,
) -> Decision:
    slug = extension.partition("/")[0]
    token = RingHere(identifier(slug), identifier(extension), what, phone)
    told = sealed(KEYS, FIRST, token)
    asked = CallRequest("public", write_token(token), CALL, network_ip=NODE, peer_call_id=told)
    facts = fields.pop("facts", NO_FACTS)
    return tenants.decide(attrs.evolve(asked, **fields), facts=facts)


def test_a_token_is_read_as_it_was_written() -> None:
    for token in (
        BEN,
        attrs.evolve(BEN, what="take"),
        attrs.evolve(BEN, what="speak", phone=phone_mark("sip:1002@10.1.1.1")),
    ):
        assert read_token(write_token(token)) == token


def test_the_phones_that_are_here_ring_and_nothing_follows(tenants: Tenants) -> None:
    decision = ask(tenants)
    assert decision.plan[-1] == Bridge((UserLeg("1002", ACME),))
    assert (decision.outcome, decision.tenant_id) == ("routed", identifier("acme"))


def exports(decision: Decision) -> dict[str, str]:
    return {it.name: it.value for it in steps(decision.plan, Export)}


def test_it_is_a_part_of_the_call_at_the_other_switch_which_has_sent_it(tenants: Tenants) -> None:
    decision = ask(tenants)
    assert decision.call_id == FIRST
    # By its own id the events of this switch are sorted.
    assert exports(decision) == {
        "nizam_tenant_id": str(identifier("acme")),
        "nizam_call_id": CALL,
        "nizam_part_of": FIRST,
    }


def test_a_phone_is_not_told_what_switches_tell_each_other(tenants: Tenants) -> None:
    assert Set("sip_copy_custom_headers", "false") in ask(tenants).plan


def test_where_the_phone_there_sends_the_call_it_is_the_same_call(tenants: Tenants) -> None:
    decision = tenants.dial("1003", call_id=CALL, part_of=FIRST)
    assert decision.call_id == FIRST
    assert exports(decision)["nizam_part_of"] == FIRST
    assert tenants.dial("1003", part_of="${system rm}").call_id == CALL


def test_what_is_told_is_what_is_understood() -> None:
    old, new = peer_keys([b"old" * 11, b"new" * 11])
    told = sealed((new, old), FIRST, BEN)
    assert opened((new, old), told, BEN) == FIRST
    # While keys are changed, one instance knows the other's.
    assert opened((old, new), told, BEN) == FIRST
    assert opened((old,), told, BEN) is None
    assert (FIRST in told, old.hex() in told) == (True, False)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        FIRST,
        f"{FIRST}.",
        f"{FIRST}.{'0' * 32}",
        f"{FIRST}.\xe9",
        sealed(KEYS, FIRST, attrs.evolve(BEN, extension_id=identifier("acme/1001"))),
        sealed(KEYS, FIRST, attrs.evolve(BEN, tenant_id=identifier("globex"))),
        sealed(KEYS, CALL, BEN).replace(CALL, FIRST),
        sealed(peer_keys([b"guessed"]), FIRST, BEN),
        "${system rm}",
    ],
)
def test_a_header_that_is_not_sealed_by_us_makes_no_part(
    tenants: Tenants, header: str | None
) -> None:
    decision = ask(tenants, peer_call_id=header)
    assert decision.call_id == CALL
    assert "nizam_part_of" not in exports(decision)


def test_no_header_makes_a_call_from_outside_a_part_of_another(tenants: Tenants) -> None:
    told = sealed(KEYS, FIRST, BEN)
    decision = ask(tenants, network_ip="192.0.2.1", peer_call_id=told)
    assert (decision.call_id, decision.outcome) == (CALL, "not_found")


@pytest.mark.parametrize("address", ["", "192.0.2.1", "10.0.0.60", "fs2"])
def test_others_than_our_switches_are_told_that_nobody_has_the_number(
    tenants: Tenants, address: str
) -> None:
    decision = ask(tenants, network_ip=address)
    assert (decision.plan, decision.tenant_id) == ((Hangup("UNALLOCATED_NUMBER"),), None)


@pytest.mark.parametrize("address", ["[2001:db8::6]:5060", "2001:db8::6"])
def test_a_switch_is_known_by_its_ipv6_address_too(tenants: Tenants, address: str) -> None:
    body = {"name": "fs2", "esl_host": NODE, "xml_username": "fs2", "sip_address": address}
    tenants.put("switch_node", "fs2", body, {"xml_password": "s3cret"})
    assert ask(tenants, network_ip="2001:db8::6").outcome == "routed"


def test_a_call_id_of_somebody_else_is_not_taken_over(tenants: Tenants) -> None:
    decision = ask(tenants, destination="+12025550101", network_ip="192.0.2.1")
    assert decision.call_id == CALL


def test_nobody_dials_a_token_inside_the_tenant(tenants: Tenants) -> None:
    token = write_token(RingHere(identifier("acme"), identifier("acme/1002")))
    assert tenants.dial(token, network_ip=NODE).outcome == "not_found"
    other = write_token(RingHere(identifier("globex"), identifier("globex/1002")))
    assert tenants.dial(other, network_ip=NODE).outcome == "not_found"


@pytest.mark.parametrize("extension", ["acme/1009", "globex/2000", "nobody/1002"])
def test_what_is_no_extension_is_not_rung(tenants: Tenants, extension: str) -> None:
    assert not steps(ask(tenants, extension).plan, Bridge)


@pytest.mark.parametrize("status", ["suspended", "terminated"])
def test_a_tenant_that_is_not_served_is_not_rung(tenants: Tenants, status: str) -> None:
    tenants.tenant("acme", status=status)
    assert not steps(ask(tenants).plan, Bridge)


def test_a_disabled_extension_is_not_rung(tenants: Tenants) -> None:
    tenants.extension("acme/1002", enabled=False)
    assert ask(tenants).outcome == "unreachable"


# -- phones that answer by themselves, and calls that are taken -----------------------------------


def facts(
    *uris: str, ringing: tuple[RingingLeg, ...] = (), node: str = "fs1", legs: int = 0
) -> Facts:
    """Of 1002: the phones that are registered at a switch, and what rings there."""
    contacts = tuple(Contact(it, node) for it in uris)
    live = Mock(**{"contacts.return_value": contacts, "ringing.return_value": ringing})
    live.legs.return_value = legs
    return attrs.evolve(NO_FACTS, live=live)


def test_phones_here_answer_by_themselves_when_another_switch_asks_for_it(tenants: Tenants) -> None:
    decision = ask(tenants, what="speak")
    assert decision.plan[-1] == Bridge((UserLeg("1002", ACME, auto_answer=True),))
    assert decision.call_id == FIRST


def test_one_phone_of_several_is_meant(tenants: Tenants) -> None:
    first, second = "sip:1002@10.1.1.1", "sip:1002@10.1.1.2"
    there = facts(first, second)
    (bridge,) = steps(
        ask(tenants, what="speak", phone=phone_mark(second), node="fs1", facts=there).plan, Bridge
    )
    (leg,) = bridge.legs
    assert isinstance(leg, UserLeg)
    assert leg.phones is not None
    assert [it.uri for it in leg.phones.registered] == [second]


def rings(call: str, node: str, at: str = "2026-11-29T08:00:00Z") -> RingingLeg:
    return RingingLeg(f"{call}-leg", call, BEN.extension_id, node, at)


def test_a_call_that_rings_here_is_given_to_the_switch_that_asks(tenants: Tenants) -> None:
    later = "2026-11-29T08:00:09Z"
    ringing = (rings("a0", "fs2"), rings("a2", "fs1", later), rings("a1", "fs1"))
    decision = ask(tenants, what="take", node="fs1", facts=facts(ringing=ringing))
    assert decision.plan[-2:] == (Intercept("a1"), Respond(480, "Temporarily Unavailable"))
    # When it is over it is over: the phone that took it hears nothing of coming too late.
    assert Set("hangup_after_bridge", "true") in decision.plan
    assert not steps(decision.plan, Bridge)


def test_one_that_has_stopped_ringing_is_not(tenants: Tenants) -> None:
    there = facts(ringing=(rings("a0", "fs2"),))
    decision = ask(tenants, what="take", node="fs1", facts=there)
    assert decision.outcome == "unreachable"
    assert decision.plan[-1] == Respond(480, "Temporarily Unavailable")
    assert not steps(decision.plan, Intercept)


@pytest.mark.parametrize("what", ["speak", "take"])
@pytest.mark.parametrize("told", [None, FIRST, sealed(KEYS, FIRST, BEN), "of another purpose"])
def test_an_address_alone_opens_no_microphone_and_takes_no_call(
    tenants: Tenants, what: Literal["speak", "take"], told: str | None
) -> None:
    """The seal of a call that is to ring is none for one that is to be answered."""
    if told == "of another purpose":
        told = sealed(KEYS, FIRST, attrs.evolve(BEN, what="take" if what == "speak" else "speak"))
    there = facts(ringing=(rings("a1", "fs1"),))
    decision = ask(tenants, what=what, peer_call_id=told, node="fs1", facts=there)
    assert decision.outcome == "unreachable"
    assert not steps(decision.plan, Bridge)
    assert not steps(decision.plan, Intercept)


@pytest.mark.parametrize("what", ["ring", "speak"])
def test_a_call_that_the_api_places_asks_the_other_switch_for_the_same(
    tenants: Tenants, what: Literal["ring", "speak"]
) -> None:
    """The phone is where its switch is draining, and the call is placed at another."""
    view = tenants.snapshot.tenant(identifier("acme"))
    assert view is not None
    entry = view.get(Extension, BEN.extension_id)
    assert entry is not None
    live = facts("sip:1002@10.1.1.1").live
    live.node_address.return_value = "10.0.0.5:5060"  # type: ignore[attr-defined]
    away = phones_elsewhere(view, entry, live, "fs2", FIRST, auto_answer=what == "speak")
    assert away is not None
    token = attrs.evolve(BEN, what=what)
    assert (away.addresses, away.here) == (("10.0.0.5:5060",), False)
    assert (away.token, opened(KEYS, away.call_id, token)) == (write_token(token), FIRST)


# -- a node that takes no new calls ----------------------------------------------------------------

REFUSED = [Respond(503, "Service Unavailable")]


def fs1(tenants: Tenants, status: str) -> None:
    body = {"name": "fs1", "esl_host": "10.0.0.5", "xml_username": "fs1", "status": status}
    tenants.put("switch_node", "fs1", body, {"xml_password": "s3cret"})


@pytest.mark.parametrize("status", ["draining", "out_of_service"])
def test_a_node_that_is_not_in_service_refuses_new_calls(tenants: Tenants, status: str) -> None:
    fs1(tenants, status)
    for decision in (tenants.dial("1002", node="fs1"), tenants.arrive("+12025550101", node="fs1")):
        assert (steps(decision.plan, Respond), decision.outcome) == (REFUSED, "denied")
        assert not steps(decision.plan, Bridge)
        # No counter is taken of a call that another node is going to get.
        assert decision.limits == ()
    assert steps(tenants.dial("1002", node="fs2").plan, Bridge)


@pytest.mark.parametrize("node", ["fs1", "fs3", ""])
def test_a_node_in_service_or_of_the_settings_takes_them(tenants: Tenants, node: str) -> None:
    fs1(tenants, "in_service")
    assert steps(tenants.dial("1002", node=node).plan, Bridge)


def test_a_call_that_is_up_goes_on_at_a_draining_node(tenants: Tenants) -> None:
    fs1(tenants, "draining")
    assert steps(tenants.dial("1002", node="fs1", call_id=CALL).plan, Bridge)


def test_other_nodes_still_reach_the_phones_of_a_draining_one(tenants: Tenants) -> None:
    fs1(tenants, "draining")
    assert steps(ask(tenants, node="fs1").plan, Bridge)


def test_emergency_calls_go_through_a_draining_node(tenants: Tenants) -> None:
    fs1(tenants, "draining")
    gateways = [{"gateway_id": str(identifier("acme/one")), "order": 1}]
    plan = {"name": "Help", "numbers": ["911"], "gateways": gateways}
    tenants.put("emergency_plan", "acme/help", plan)
    assert steps(tenants.dial("911", node="fs1").plan, Bridge)
