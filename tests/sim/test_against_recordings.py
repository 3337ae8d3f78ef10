"""Given the recorded answers, a simulated call has the recorded call's events and headers."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import pytest

from nizam.sim import wire
from nizam.sim.core import EncodedEvent
from nizam.sim.replay import recorded_events
from nizam.sim.script import Script
from tests.recordings import http_requests, stream
from tests.sim.answering import NOT_FOUND, AnsweringServer
from tests.sim.conftest import ACME, USERS, MakeSwitch

# Not simulated, or not of a channel.
LEFT_OUT = frozenset(
    {
        *("CHANNEL_STATE", "CHANNEL_CALLSTATE", "CODEC", "PRESENCE_IN", "API", "CHANNEL_EXECUTE"),
        *("CHANNEL_EXECUTE_COMPLETE", "PLAYBACK_START", "PLAYBACK_STOP", "RECV_INFO"),
    }
)
ORDERED = frozenset(
    {
        *("CHANNEL_CREATE", "CHANNEL_OUTGOING", "CHANNEL_ORIGINATE", "CHANNEL_PROGRESS"),
        *("CHANNEL_PROGRESS_MEDIA", "CHANNEL_ANSWER"),
    }
)
SAME_VALUE = (
    "Channel-State",
    "Channel-Call-State",
    "Channel-State-Number",
    "Channel-Name",
    "Call-Direction",
    "Channel-HIT-Dialplan",
    "Channel-Presence-ID",
    "Answer-State",
    "Hangup-Cause",
    "Caller-Direction",
    "Caller-Caller-ID-Name",
    "Caller-Caller-ID-Number",
    "Caller-Destination-Number",
    "Caller-Context",
    "Other-Type",
    "Other-Leg-Direction",
    "Other-Leg-Destination-Number",
    "variable_originate_disposition",
    "variable_endpoint_disposition",
    "variable_sip_hangup_disposition",
    "variable_hangup_cause_q850",
)


@lru_cache(maxsize=1)
def _recording() -> tuple[list[wire.Event], dict[tuple[str | None, ...], bytes]]:
    events = [
        wire.Event(event.name, event.subclass, json.loads(_body(frame), object_pairs_hook=list))
        for event, frame in recorded_events(stream("calls/esl/events-json-all"))
        if event.name not in LEFT_OUT
    ]
    answers: dict[tuple[str | None, ...], bytes] = {}
    for request in http_requests("calls"):
        if request.get("response") and request.get("body"):
            form = dict(parse_qsl(request["body"], keep_blank_values=True))
            answers.setdefault(_question(form), request["response"].encode())
    return events, answers


def _body(frame: bytes) -> str:
    return frame.partition(b"\n\n")[2].decode(errors="replace")


def _question(form: dict[str, str]) -> tuple[str | None, ...]:
    fields = {
        "directory": ("user", "domain", "purpose"),
        "dialplan": ("Hunt-Context", "Hunt-Destination-Number"),
    }.get(form.get("section", ""), ("key_value", "Menu-Name"))
    return (form.get("section"), *(form.get(name) for name in fields))


class _Everything:
    """Listens to all events."""

    def __init__(self) -> None:
        self.events: list[wire.Event] = []

    def wants(self, name: str, subclass: str | None) -> bool:
        return name not in LEFT_OUT

    def deliver(self, event: EncodedEvent) -> None:
        self.events.append(event.event)


async def _simulated(make_switch: MakeSwitch, script: Script) -> tuple[list[wire.Event], list[str]]:
    switch = make_switch()
    switch.exchange.api_expansion = True  # the recorded dial-strings call sofia_contact
    everything = _Everything()
    await switch.start()
    switch.core.listeners.append(everything)
    call_id = await switch.place_call(script=script)
    call = switch.truth.by_id()[call_id]
    assert switch.truth.problems == []
    legs = [call_id, *(leg.uuid for leg in call.legs if leg.uuid != call_id)]
    return everything.events, legs


def _of(events: list[wire.Event], legs: list[str]) -> list[tuple[str, int, wire.Event]]:
    """The events of these legs as name, number of the leg and event."""
    found = []
    for event in events:
        for number, leg in enumerate(legs):
            if (event.get("Unique-ID") or "").startswith(leg):
                found.append((event.name, number, event))
    return found


CALLS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "answered, the caller hangs up": (["f1ce7d", "2af9ac"], {}),
    "answered, the callee hangs up": (
        ["b4d6e8", "d5d39e"],
        {"caller": USERS[1], "dialled": "1001", "hang_up_by": "callee"},
    ),
    "cancelled while ringing": (["61b2cc", "f81a28"], {"callee": "lets it ring", "give_up": 1.0}),
    "declined": (["0555b4", "404273"], {"callee": "declines"}),
    "not in the dialplan": (["7fb519"], {"dialled": "9999"}),
}


@pytest.fixture
def script_and_legs(request: pytest.FixtureRequest) -> tuple[Script, list[str]]:
    legs, changes = CALLS[request.param]
    settings: dict[str, Any] = {"dialled": "1002", "caller": USERS[0], "talk": 3.0} | changes
    return Script("recorded", ACME, **settings), legs


@pytest.mark.parametrize("script_and_legs", CALLS, indirect=True)
async def test_a_call_has_the_recorded_events_headers_and_states(
    make_switch: MakeSwitch, answers: AnsweringServer, script_and_legs: tuple[Script, list[str]]
) -> None:
    recorded_all, recorded_answers = _recording()
    answers.answer = lambda form: recorded_answers.get(_question(form), NOT_FOUND)
    script, legs = script_and_legs
    events, simulated_legs = await _simulated(make_switch, script)
    recorded = _of(recorded_all, legs)
    simulated = _of(events, simulated_legs)

    for number in range(len(legs)):
        mine = [event for _, leg, event in simulated if leg == number]
        theirs = [event for _, leg, event in recorded if leg == number]
        assert [event.name for event in mine] == [event.name for event in theirs]
        for have, want in zip(mine, theirs, strict=True):
            names = [name for name, _ in want.headers]
            assert sorted(name for name, _ in have.headers) == sorted(names), want.name
            if want.name in ORDERED:
                assert [name for name, _ in have.headers] == names, want.name
            values = {name: want.get(name) for name in SAME_VALUE}
            assert {name: have.get(name) for name in SAME_VALUE} == values, want.name
            assert len(wire.event_json(have)) == pytest.approx(len(wire.event_json(want)), rel=0.1)


async def test_legs_take_turns_as_recorded(
    make_switch: MakeSwitch, answers: AnsweringServer
) -> None:
    recorded_all, recorded_answers = _recording()
    answers.answer = lambda form: recorded_answers.get(_question(form), NOT_FOUND)
    legs, _ = CALLS["answered, the caller hangs up"]
    script = Script("recorded", ACME, "1002", caller=USERS[0], talk=3.0)
    events, simulated_legs = await _simulated(make_switch, script)
    turns = [(name, leg) for name, leg, _ in _of(recorded_all, legs)]
    assert [(name, leg) for name, leg, _ in _of(events, simulated_legs)] == turns
