"""The summary of calls that no recording has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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


AT = datetime(2026, 11, 24, tzinfo=UTC)


def carried_by(*legs: tuple[str, bool, bool]) -> str | None:
    """The gateway of a call that had these legs, one after the other: gateway, answered,
    bridged."""
    outbound = [
        Leg(
            leg_id=UUID(int=10 + index),
            started_at=AT + timedelta(seconds=index),
            direction="outbound",
            gateway=gateway,
            answered_at=AT if answered else None,
            bridged_at=AT if bridged else None,
        )
        for index, (gateway, answered, bridged) in enumerate(legs)
    ]
    return summarise(CALL, [only_leg("NORMAL_CLEARING", "route World"), *outbound]).gateway


@pytest.mark.parametrize(
    ("legs", "gateway"),
    [
        ((), None),
        ((("one", False, False),), "one"),
        ((("one", False, False), ("two", True, True)), "two"),
        ((("one", False, False), ("two", False, False)), "two"),
        # It answered and did not press the key that takes the call.
        ((("one", True, False), ("two", True, True), ("three", False, False)), "two"),
        ((("one", True, False), ("two", False, False)), "one"),
    ],
)
def test_the_gateway_of_a_call_is_the_one_that_carried_it_or_was_tried_last(
    legs: tuple[tuple[str, bool, bool], ...], gateway: str | None
) -> None:
    assert carried_by(*legs) == gateway
