"""A switch of ours has phones rung that are registered at another one."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from nizam.routing.decide import Decision
from nizam.routing.plan import Bridge, Export, Hangup, UserLeg
from nizam.routing.request import CallRequest
from nizam.routing.tokens import RingHere, read_token, write_token
from tests.routing.tenants import ACME, CALL, Tenants, identifier, recorded_tenants, steps

FIRST = "11111111-2222-4333-8444-555555555555"
NODE = "10.0.0.6"


@pytest.fixture
def tenants() -> Tenants:
    tenants = recorded_tenants()
    body = {"name": "fs2", "esl_host": NODE, "xml_username": "fs2", "sip_address": f"{NODE}:5060"}
    tenants.put("switch_node", "fs2", body, {"xml_password": "s3cret"})
    return tenants


def ask(tenants: Tenants, extension: str = "acme/1002", **fields: Any) -> Decision:
    slug = extension.partition("/")[0]
    token = write_token(RingHere(identifier(slug), identifier(extension)))
    asked = CallRequest("public", token, CALL, network_ip=NODE, peer_call_id=FIRST)
    return tenants.decide(attrs.evolve(asked, **fields))


def test_a_token_is_read_as_it_was_written() -> None:
    token = RingHere(identifier("acme"), identifier("acme/1002"))
    assert read_token(write_token(token)) == token


def test_the_phones_that_are_here_ring_and_nothing_follows(tenants: Tenants) -> None:
    decision = ask(tenants)
    assert decision.plan[-1] == Bridge((UserLeg("1002", ACME),))
    assert (decision.outcome, decision.tenant_id) == ("routed", identifier("acme"))


def test_it_is_explained_with_the_call_at_the_other_switch_and_ends_apart_from_it(
    tenants: Tenants,
) -> None:
    decision = ask(tenants)
    assert decision.call_id == FIRST
    assert [it.value for it in steps(decision.plan, Export) if it.name == "nizam_call_id"] == [CALL]
    assert ask(tenants, peer_call_id="${system rm}").call_id == CALL


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
