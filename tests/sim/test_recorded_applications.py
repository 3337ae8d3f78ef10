"""The events of conferences and parking have the recorded headers, in order, and sources."""

from __future__ import annotations

import json

import pytest

from nizam.sim.replay import recorded_events
from tests.recordings import stream
from tests.sim.world import World

SUBCLASSES = ("conference::maintenance", "valet_parking::info")


def _recorded() -> dict[tuple[str, str], list[tuple[str, str]]]:
    """The first recorded event of each kind."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for event, frame in recorded_events(stream("calls/esl/events-json-all")):
        if event.subclass in SUBCLASSES:
            body = frame.partition(b"\n\n")[2].decode(errors="replace")
            headers = json.loads(body, object_pairs_hook=list)
            found.setdefault((event.subclass, dict(headers)["Action"]), headers)
    return found


async def _simulated(world: World) -> dict[tuple[str, str], list[tuple[str, str]]]:
    world.plans |= {
        "810": ["answer", "conference room@room"],
        "700": ["answer", "valet_park lot 701"],
    }
    world.conference = {
        "caller-controls": "nizam",
        "domain": "example.test",
        "auto-record": "/media/${uuid}.wav",
    }
    rooms = world.stage.exchange.conferences
    one = world.anna.dials("810")
    await world.stage.until(lambda: "room" in rooms and rooms["room"].floor is not None)
    world.anna.presses("00")
    world.anna.hangs_up()
    await one.ended()
    parked = world.anna.dials("700")
    await parked.reaches("parked 701")
    fetching = world.ben.dials("700")
    await fetching.reaches("retrieved 701")
    world.anna.hangs_up()
    await parked.ended()
    await fetching.ended()
    await world.told()
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for event in world.client.events:
        fields = dict(event)
        if fields.get("Event-Subclass") in SUBCLASSES:
            found.setdefault((fields["Event-Subclass"], fields["Action"]), event)
    return found


@pytest.mark.time_limit(20)
async def test_conferences_and_parking_tell_what_was_recorded(world: World) -> None:
    recorded, simulated = _recorded(), await _simulated(world)
    assert set(simulated) == {
        *(("conference::maintenance", it) for it in ("conference-create", "add-member")),
        *(("conference::maintenance", it) for it in ("mute-member", "unmute-member")),
        *(("conference::maintenance", it) for it in ("floor-change", "del-member")),
        *(("conference::maintenance", it) for it in ("start-recording", "stop-recording")),
        ("conference::maintenance", "conference-destroy"),
        *(("valet_parking::info", it) for it in ("hold", "bridge", "exit")),
    }
    for kind, event in simulated.items():
        theirs = recorded[kind]
        assert _names(event) == _names(theirs), kind
        for name in ("Event-Calling-File", "Event-Calling-Function", "Event-Calling-Line-Number"):
            assert dict(event)[name] == dict(theirs)[name], kind


def _names(event: list[tuple[str, str]]) -> list[str]:
    """The headers in order, without variables, and without the other leg, which was recorded while
    the bridge was made."""
    return [
        name
        for name, _ in event
        if not name.startswith(("variable_", "Other-", "Event-Sequence", "Caller-Callee-ID"))
    ]
