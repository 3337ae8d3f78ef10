"""What is kept of a call that was routed."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from nizam.fsxml.dialplan import render
from nizam.fsxml.served import Served
from nizam.routing.decide import decide
from nizam.routing.request import CallRequest, FlowState
from nizam.routing.tokens import FlowStep, write_token
from tests.routing.flow_calls import put_flow
from tests.routing.tenants import ACME, CALL, NOON, identifier, recorded_tenants

NODES: list[dict[str, Any]] = [
    {
        "id": "door",
        "type": "collect",
        "variable": "pin",
        "max_digits": 6,
        "branches": [{"digits": "4711", "next": "copy"}],
        "next": "copy",
    },
    {"id": "copy", "type": "set", "variable": "copy", "value": "is {pin}", "next": "which"},
    {
        "id": "which",
        "type": "branch",
        "variable": "pin",
        "branches": [{"value": "4711", "next": "digits"}],
        "next": "digits",
    },
    {"id": "digits", "type": "say", "text": "{pin}", "next": "text"},
    {"id": "text", "type": "say", "text": "You said {pin}.", "next": "end"},
    {"id": "end", "type": "hangup"},
]


def served(pressed: str) -> Served:
    """The answer to a caller who has pressed this at the door."""
    tenants = recorded_tenants()
    tenants.snapshot.speech = ("flite", "slt")
    put_flow(tenants, NODES)
    after = write_token(FlowStep(identifier("acme/5100"), 1, "door", "after"))
    flow = FlowState(after, "5100", {"pin": pressed})
    call = CallRequest(ACME, after, CALL, caller_extension="1001", call_id=CALL, flow=flow)
    decision = decide(tenants.snapshot, call, NOON, random.Random(1))
    view = tenants.snapshot.tenant(identifier("acme"))
    return Served(call, decision, NOON, render(decision, call.context), view)


@pytest.mark.parametrize("pin", ["4711", "123456"])
def test_what_a_caller_has_pressed_in_a_call_flow_is_not_kept(pin: str) -> None:
    it = served(pin)
    assert it.xml.count(pin.encode()) == 3, "the switch is told"
    kept = json.dumps(it.document())
    assert pin not in kept
    assert kept.count("hidden") >= 3


def test_what_was_chosen_by_one_digit_is_kept() -> None:
    it = served("7")
    assert b"copy=is 7" in it.xml
    assert it.document()["xml"] == it.xml.decode()
