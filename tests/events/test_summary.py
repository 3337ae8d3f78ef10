"""The summary of calls that no recording has."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from nizam.events.cdr import summarise
from nizam.events.legs import Leg

CALL = UUID(int=1)


def only_leg(cause: str, route: str) -> Leg:
    """The leg of a phone whose call made no other one."""
    at = datetime(2026, 11, 24, tzinfo=UTC)
    return Leg(
        leg_id=CALL,
        started_at=at,
        ended_at=at,
        direction="inbound",
        extension_id=UUID(int=2),
        context="acme.example.test",
        hangup_cause=cause,
        route=route,
    )


@pytest.mark.parametrize(
    ("route", "direction"),
    [
        ("route World", "outbound"),
        ("extension 1002 to route World", "outbound"),
        ("extension 1002", "internal"),
        ("not_found", "internal"),
    ],
)
def test_a_call_whose_gateway_was_down_is_still_an_outbound_one(route: str, direction: str) -> None:
    assert summarise(CALL, [only_leg("GATEWAY_DOWN", route)]).direction == direction


@pytest.mark.parametrize("cause", ["CALL_REJECTED", "OUTGOING_CALL_BARRED"])
def test_what_the_caller_may_not_do_is_rejected(cause: str) -> None:
    assert summarise(CALL, [only_leg(cause, "denied")]).result == "rejected"
