"""Dry runs that go on: the whole way of a caller through a call flow, without a call."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nizam.routing.explain import Explanation, explain
from nizam.routing.rehearsal import MOST_STEPS, Acts
from tests.routing.flow_calls import put_flow, to_extension
from tests.routing.tenants import NOON, Tenants, identifier, recorded_tenants

NODES: list[dict[str, Any]] = [
    {"id": "order", "type": "collect", "variable": "order", "max_digits": 4, "next": "look"},
    {
        "id": "look",
        "type": "http",
        "url": "https://example.com/",
        "variable": "order",
        "next": "known",
        "error_next": "desk",
    },
    {
        "id": "known",
        "type": "branch",
        "variable": "order_state",
        "branches": [{"value": "sent", "next": "sent"}],
        "next": "desk",
    },
    {"id": "sent", "type": "play", "sound": "sent.wav", "next": "end"},
    {"id": "desk", "type": "bridge", "destination": to_extension("1002"), "next": "sorry"},
    {"id": "sorry", "type": "play", "sound": "sorry.wav", "next": "end"},
    {"id": "end", "type": "hangup"},
]


@pytest.fixture
def tenants() -> Tenants:
    made = recorded_tenants()
    put_flow(made, NODES)
    made.put(
        "did",
        "acme/did",
        {
            "number": "+12025550101",
            "destination": {"type": "call_flow", "id": str(identifier("acme/5100"))},
        },
    )
    return made


def rehearsed(tenants: Tenants, acts: Acts | None, to: str = "5100") -> Explanation:
    context: Any = "public" if to.startswith("+") else "internal"
    return explain(
        tenants.snapshot,
        identifier("acme"),
        "1001",
        to,
        context,
        NOON,
        random.Random(1),
        acts=acts,
    )


def plans(explanation: Explanation) -> list[str]:
    return [str(it["summary"]) for it in explanation.then or []]


@pytest.mark.parametrize(
    ("acts", "expected"),
    [
        (None, []),
        (Acts(), []),
        (
            Acts(("4711",), (), {"look": {"state": "sent"}}),
            ["set order_state to sent; play sent.wav; hang up NORMAL_CLEARING"],
        ),
        (
            Acts(("4711",), ("USER_BUSY",)),
            [
                "ring 1002 for 20s; else ask again after desk of flow 5100",
                "play sorry.wav; hang up NORMAL_CLEARING",
            ],
        ),
        (Acts(("",), ("SUCCESS",)), ["ring 1002 for 20s; else ask again after desk of flow 5100"]),
    ],
)
@pytest.mark.parametrize("to", ["5100", "+12025550101"])
def test_a_call_goes_as_far_as_it_is_said_what_happens(
    tenants: Tenants, acts: Acts | None, expected: list[str], to: str
) -> None:
    explanation = rehearsed(tenants, acts, to)
    assert plans(explanation) == expected
    assert explanation.outcome == "routed"


def test_a_way_without_an_end_is_followed_only_so_far(tenants: Tenants) -> None:
    again = {**NODES[0], "next": "order"}
    put_flow(tenants, [again])
    assert len(plans(rehearsed(tenants, Acts(("1",) * 100)))) == MOST_STEPS


def test_a_flow_of_another_tenant_is_not_rehearsed(tenants: Tenants) -> None:
    put_flow(tenants, NODES, name="globex/5100")
    tenants.put(
        "did",
        "globex/did",
        {
            "number": "+12025550201",
            "destination": {"type": "call_flow", "id": str(identifier("globex/5100"))},
        },
    )
    explanation = rehearsed(tenants, Acts(("1",), ("USER_BUSY",)), "+12025550201")
    assert (explanation.outcome, explanation.then) == ("not_found", [])


def test_the_time_zone_of_the_did_counts_to_the_end(tenants: Tenants) -> None:
    hours = {
        "name": "Hours",
        "rules": [{"from": "09:00", "to": "17:00"}],
        "match_destination": to_extension("1002"),
        "otherwise_destination": to_extension("1001"),
    }
    tenants.put("time_condition", "acme/hours", hours)
    opens = {"type": "time_condition", "id": str(identifier("acme/hours"))}
    asks = {"id": "ask", "type": "collect", "variable": "x", "next": "open"}
    put_flow(tenants, [asks, {"id": "open", "type": "bridge", "destination": opens}])
    did = {"destination": {"type": "call_flow", "id": str(identifier("acme/5100"))}}
    tenants.put("did", "acme/did", {"number": "+12025550101", "time_zone": "Asia/Tokyo"} | did)
    then = rehearsed(tenants, Acts(("1",)), "+12025550101").then or []
    said = [it["detail"] for it in then[0]["trace"]]
    assert any("in Asia/Tokyo, the time zone of did +12025550101" in it for it in said)
