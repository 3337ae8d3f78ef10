"""Who sent whom where, and in which way: recorded from phones that do it in every way there is."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import pytest

from nizam.esl.event import SwitchEvent
from nizam.events.places import Places
from nizam.model.events import Event
from tests.events.replaying import ACME, Replayed, feed, normaliser, recorded, step_of

STREAM = "transfers/esl/events-json"
PLACES = Places(parks=lambda tenant_id, number: (tenant_id, number) == (ACME, "7000"))


@functools.cache
def replayed() -> Replayed:
    return feed(normaliser(places=PLACES), recorded(STREAM))


@functools.cache
def of(step: str) -> tuple[Event, ...]:
    """The events of the calls of this step."""
    found = [
        it
        for it in replayed().events
        if it.call_id is not None and step_of("transfers", it.occurred_at) == step
    ]
    return tuple(sorted(found, key=lambda it: (it.occurred_at, it.sequence)))


def transferred(step: str) -> Event:
    [event] = [it for it in of(step) if it.type == "call.transferred"]
    return event


@pytest.mark.parametrize(
    ("step", "kind", "whom", "by", "to"),
    [
        ("blind", "blind", "1002", "1001", "1003"),
        ("blind_callee", "blind", "1001", "1002", "1003"),
        ("att", "attended", "1001", "1002", "1003"),
        ("att_no_hold", "attended", "1001", "1002", "1003"),
        ("att_caller", "attended", "1002", "1001", "1003"),
        ("att_one_leg", "attended", "1001", "1002", "8100"),
        ("semi", "attended", "1001", "1002", "1003"),
        ("park", "park", "1001", "1002", "7000"),
        ("pickup", "pickup", "1001", "1003", "1003"),
        ("uuid_transfer_b", "blind", "1002", None, "1003"),
        ("uuid_transfer_a", "blind", "1001", None, "1003"),
        ("deflect", "deflect", "1001", None, None),
    ],
)
def test_a_transfer_says_who_sent_whom_where(
    step: str, kind: str, whom: str, by: str | None, to: str | None
) -> None:
    data = transferred(step).data
    assert (data["kind"], data["whom"], data["by"], data["to"]) == (kind, whom, by, to)
    assert (data["by"] is None) == (data["by_leg_id"] is None)
    assert data["blind"] == (kind in ("blind", "park"))


@pytest.mark.parametrize("step", ["hold", "pins"])
def test_a_call_that_nobody_sends_on_is_not_transferred(step: str) -> None:
    assert "call.transferred" not in {it.type for it in of(step)}


@pytest.mark.parametrize("step", ["att", "att_no_hold", "att_caller", "semi", "pickup"])
def test_where_a_second_call_is_joined_it_is_named(step: str) -> None:
    """The event is told of the call of whoever is sent on; the other call has a life of its own."""
    event = transferred(step)
    calls = [it.call_id for it in of(step) if it.type == "call.started"]
    first, second = calls
    assert (event.call_id, event.data["to_call_id"]) == (first, str(second))
    assert event.data["to_leg_id"] != str(event.leg_id)
    joined = [it for it in of(step) if it.type == "call.bridged" and "other_call_id" in it.data]
    assert len(joined) == 1


def test_calls_that_are_joined_each_begin_and_end_once() -> None:
    kinds = [it.type for it in of("att")]
    assert (kinds.count("call.started"), kinds.count("call.ended")) == (2, 2)


@pytest.mark.parametrize("step", ["blind", "att", "semi", "pickup", "deflect"])
def test_told_twice_it_is_the_same_transfer(step: str) -> None:
    twice = [event for event in recorded(STREAM) for _ in range(2)]
    again = feed(normaliser(places=PLACES), twice)
    ids = {it.id for it in again.events if it.type == "call.transferred"}
    assert transferred(step).id in ids
    assert len(ids) == sum(it.type == "call.transferred" for it in replayed().events)


def test_a_call_of_another_tenant_is_not_named() -> None:
    """Whatever somebody has brought about on the switch itself."""
    other = "0198aaaa-0000-7000-8000-000000000002"

    def headers(event: SwitchEvent) -> Mapping[str, Any]:
        second = str(transferred("pickup").data["to_call_id"])
        if event.get("Unique-ID") != second:
            return event.headers
        return dict(event.headers) | {
            "variable_nizam_tenant_id": other,
            "variable_domain_name": "globex.example.test",
        }

    events = [SwitchEvent(it.name, headers(it)) for it in recorded(STREAM)]
    found = feed(normaliser(places=PLACES), events)
    assert "pickup" not in {it.data["kind"] for it in found.events if it.type == "call.transferred"}
