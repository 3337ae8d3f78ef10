"""What is told of conferences and of parked calls, from recorded traffic.

The recorded room and lot are no tenant's; here they are taken for the room and the lot of one.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from uuid import UUID

import attrs
import pytest

from nizam.esl.event import SwitchEvent
from nizam.events.places import Place, Places
from nizam.model.events import Event
from nizam.routing.tokens import ParkedTooLong as TooLong
from nizam.routing.tokens import write_token
from tests.events.replaying import ACME, GLOBEX, feed, normaliser, recorded, step_of

JSON, PLAIN = "calls/esl/events-json-all", "calls/esl/events-plain-all"
ROOM = Place(UUID("0198bbbb-0000-7000-8000-000000000001"), ACME, "3000", "Board")
LOT = Place(UUID("0198bbbb-0000-7000-8000-000000000002"), ACME, "7100", "Front desk")
FAMILIES = ("conference", "parking")


def places(room: Place | None = ROOM, lot: Place | None = LOT) -> Places:
    return Places(
        lambda name: room if name == "3000-acme" else None,
        lambda name: lot if name == "lot-acme" else None,
    )


def told(events: Iterable[Event]) -> list[Event]:
    """Those about rooms and slots, in the order of FreeSWITCH's counter."""
    found = [it for it in events if it.type.split(".")[0] in FAMILIES]
    return sorted(found, key=lambda it: it.sequence)


def of_recording(known: Places | None = None, name: str = JSON) -> list[Event]:
    return told(feed(normaliser(places=known or places()), recorded(name)).events)


def changed(event: SwitchEvent, headers: Mapping[str, str]) -> SwitchEvent:
    """The event with some other headers."""
    return SwitchEvent(event.name, {**event.headers, **headers}, event.body)


def with_destination_at_exit(destination: str) -> list[SwitchEvent]:
    """The recorded parking, but the call leaves the slot for `destination` and not by a bridge,
    as FreeSWITCH 1.11.1 was seen to say it."""
    events = []
    for event in recorded(JSON):
        if event.subclass == "valet_parking::info":
            if event.get("Action") == "bridge":
                continue
            if event.get("Action") == "exit":
                event = changed(event, {"Caller-Destination-Number": destination})
        events.append(event)
    return events


def test_a_conference_opens_fills_empties_and_closes() -> None:
    events = [it for it in of_recording() if it.type.startswith("conference.")]
    assert [(it.type.removeprefix("conference."), it.data["members"]) for it in events] == [
        ("started", 0),
        ("joined", 1),
        ("joined", 2),
        ("left", 1),
        ("left", 0),
        ("ended", 0),
    ]
    assert {it.tenant_id for it in events} == {ACME}
    for event in events:
        assert event.data["conference_room_id"] == str(ROOM.id)
        assert (event.data["number"], event.data["name"]) == ("3000", "Board")
    assert len({it.data["conference_id"] for it in events}) == 1


def test_members_are_told_of_with_their_leg_and_how_long_they_were_in() -> None:
    joined_1, joined_2, left_1, left_2 = [
        it for it in of_recording() if it.type in ("conference.joined", "conference.left")
    ]
    for joined, left, number in ((joined_1, left_1, "1001"), (joined_2, left_2, "1002")):
        assert joined.leg_id == joined.call_id == left.leg_id
        assert joined.data["from"] == number
        assert joined.data["moderator"] is False
        stayed = left.occurred_at - joined.occurred_at
        assert left.data["duration_ms"] == stayed.total_seconds() * 1000 // 1
        assert "duration_ms" not in joined.data
    started, ended = of_recording()[0], of_recording()[-1]
    lasted = ended.occurred_at - started.occurred_at
    assert ended.data["duration_ms"] == lasted.total_seconds() * 1000 // 1


def recordings_of(events: Iterable[SwitchEvent], known: Places | None = None) -> list[Event]:
    """What is told of the files of conferences."""
    found = feed(normaliser(places=known or places()), events).events
    return [it for it in found if "conference_room_id" in it.data and "path" in it.data]


def test_the_recording_of_a_conference_is_told_of() -> None:
    started, stopped = recordings_of(recorded(JSON))
    assert (started.type, stopped.type) == ("recording.started", "recording.stopped")
    for event in (started, stopped):
        assert (event.tenant_id, event.leg_id) == (ACME, None)
        assert event.data["conference_room_id"] == str(ROOM.id)
        assert event.data["path"] == "/var/lib/freeswitch/recordings/acme/conf.wav"
    assert (stopped.data["duration_ms"], stopped.data["size_bytes"]) == (81480, 1303828)
    assert stopped.data["may_continue"] is False


def test_it_belongs_to_the_call_that_the_conference_began_with() -> None:
    (began, *_) = [it for it in of_recording() if it.type == "conference.joined"]
    named = {"Path": f"/media/{ACME}/recordings/{began.leg_id}.wav"}
    events = [changed(it, named) if it.get("Path") else it for it in recorded(JSON)]
    for event in recordings_of(events):
        assert (event.call_id, event.leg_id) == (began.call_id, None)
        assert (event.data["from"], event.data["to"]) == ("1001", "3000")


@pytest.mark.parametrize(
    "other",
    [
        {"Path": ""},
        {"Error": "File could not be opened for recording"},
    ],
)
def test_nothing_is_told_of_a_file_that_there_is_not(other: dict[str, str]) -> None:
    about = ("start-recording", "stop-recording")
    events = [changed(it, other) if it.get("Action") in about else it for it in recorded(JSON)]
    assert recordings_of(events) == []
    assert recordings_of(recorded(JSON), places(room=None)) == []


def test_a_moderator_is_told_of_as_one() -> None:
    moderator = {"Member-Type": "moderator"}
    events = [changed(it, moderator) if it.get("Member-Type") else it for it in recorded(JSON)]
    found = told(feed(normaliser(places=places()), events).events)
    assert [it.data["moderator"] for it in found if it.type == "conference.joined"] == [True, True]


def test_a_parked_call_is_told_of_and_who_fetched_it() -> None:
    parked, retrieved = [it for it in of_recording() if it.type.startswith("parking.")]
    assert (parked.type, retrieved.type) == ("parking.parked", "parking.retrieved")
    assert step_of("calls", parked.occurred_at).startswith("valet park")
    for event in (parked, retrieved):
        assert event.tenant_id == ACME
        assert event.leg_id == event.call_id == parked.leg_id
        assert event.data["parking_lot_id"] == str(LOT.id)
        assert event.data["slot"] == "7101"
    assert parked.data["parked_by"] == "1001"
    assert retrieved.data["outcome"] == "retrieved"
    assert retrieved.data["retrieved_by"] == "1002"
    assert retrieved.data["retrieved_by_call_id"] == "84b49f99-eee7-4743-9a22-5fc0e199277d"
    waited = retrieved.occurred_at - parked.occurred_at
    assert retrieved.data["duration_ms"] == waited.total_seconds() * 1000 // 1


def test_a_call_that_nobody_fetches_in_time_is_returned() -> None:
    events = with_destination_at_exit(write_token(TooLong(LOT.id)))
    parked, returned = [
        it for it in told(feed(normaliser(places=places()), events).events) if "slot" in it.data
    ]
    assert (returned.type, returned.data["outcome"]) == ("parking.retrieved", "returned")
    assert returned.data["retrieved_by"] is None
    waited = returned.occurred_at - parked.occurred_at
    assert returned.data["duration_ms"] == waited.total_seconds() * 1000 // 1


@pytest.mark.parametrize(
    "destination", ["7101", "1001", write_token(TooLong(UUID(int=7))), "parked-nonsense"]
)
def test_a_call_that_only_leaves_its_slot_is_not_returned(destination: str) -> None:
    events = with_destination_at_exit(destination)
    found = told(feed(normaliser(places=places()), events).events)
    assert [it.type for it in found if "slot" in it.data] == ["parking.parked"]


@pytest.mark.parametrize(
    ("headers", "by"),
    [
        ({}, "1001"),  # the caller has dialled the lot
        ({"Caller-Profile-Index": "2"}, None),  # somebody sent the call here, and nobody knows who
        (
            {
                "Caller-Profile-Index": "2",
                "variable_sip_refer_to": "<sip:7100@acme.example.test>",
                "variable_sip_h_Referred-By": "<sip:1003@acme.example.test>",
            },
            "1003",
        ),
        (
            {
                "Caller-Profile-Index": "3",
                "variable_sip_refer_to": "<sip:1002@acme.example.test>",  # that was before
                "variable_sip_h_Referred-By": "<sip:1003@acme.example.test>",
            },
            None,
        ),
    ],
)
def test_who_parked_a_call_is_told_where_it_is_certain(
    headers: Mapping[str, str], by: str | None
) -> None:
    events = []
    for event in recorded(JSON):
        if event.subclass == "valet_parking::info" and event.get("Action") == "hold":
            event = changed(event, {"Caller-Destination-Number": "7100", **headers})
        events.append(event)
    found = told(feed(normaliser(places=places()), events).events)
    [parked] = [it for it in found if it.type == "parking.parked"]
    assert parked.data["parked_by"] == by


@pytest.mark.parametrize(
    ("known", "types"),
    [
        (Places(), []),  # rooms and lots that are no tenant's, such as of pages
        (
            places(attrs.evolve(ROOM, tenant_id=GLOBEX), attrs.evolve(LOT, tenant_id=GLOBEX)),
            ["conference.started", "conference.ended"],  # but nothing of acme's calls
        ),
    ],
)
def test_calls_are_told_of_in_places_of_their_own_tenant_only(
    known: Places, types: list[str]
) -> None:
    assert [it.type for it in of_recording(known)] == types


@pytest.mark.parametrize(
    ("tenant", "joins"), [(ACME, 2), (GLOBEX, 0), (None, 0)], ids=["its own", "another", "nobody's"]
)
def test_members_whose_tenant_is_not_known_yet_wait_for_it(tenant: UUID | None, joins: int) -> None:
    target = normaliser(domains={}, places=places())
    events: list[Event] = []
    for event in recorded(JSON):
        if event.subclass == "conference::maintenance" or "3000" in (
            event.get("Caller-Destination-Number") or ""
        ):
            events += target.feed(event, 0.0).events
    assert "conference.joined" not in {it.type for it in events}
    for call in list(target.waiting):
        if tenant is not None:
            events += target.learn(call.call_id, tenant).events
    events += target.tick(3600.0).events
    assert [it.type for it in events].count("conference.joined") == joins
    assert {it.tenant_id for it in events if it.type == "conference.joined"} <= {ACME}


def test_two_instances_make_the_same_events() -> None:
    assert [it.id for it in of_recording()] == [it.id for it in of_recording(name=PLAIN)]
    assert len({it.id for it in of_recording()}) == len(of_recording()) == 8


@pytest.mark.parametrize("seed", range(5))
def test_events_that_come_twice_or_out_of_turn_are_told_of_once(seed: int) -> None:
    random_ = random.Random(seed)
    events: list[SwitchEvent] = []
    for event in recorded(JSON):
        events.insert(len(events) - random_.choice((0, 0, 0, 1)) if events else 0, event)
        if random_.random() < 0.3:
            events.append(event)
    found = told(feed(normaliser(places=places()), events).events)
    assert {it.id for it in found} == {it.id for it in of_recording()}


@pytest.mark.parametrize("family", FAMILIES)
def test_whoever_begins_to_listen_in_the_middle_is_told_the_rest(family: str) -> None:
    """As after a reconnect: what has begun unheard has a length that nobody knows."""
    begins = {"conference-create", "add-member", "hold"}
    events = [it for it in recorded(JSON) if it.get("Action") not in begins]
    found = told(feed(normaliser(places=places()), events).events)
    rest = [it for it in found if it.type.startswith(family)]
    assert {it.type for it in rest} == (
        {"conference.left", "conference.ended"} if family == "conference" else {"parking.retrieved"}
    )
    assert [it.data["duration_ms"] for it in rest] == [None] * len(rest)
    whole = {it.id for it in of_recording()}
    assert {it.id for it in rest} <= whole


@pytest.mark.parametrize(
    ("name", "begins", "family", "count"),
    [("3000-acme", "conference-create", "conference.", 6), ("lot-acme", "hold", "parking.", 2)],
)
def test_a_place_that_is_deleted_meanwhile_is_still_told_of(
    name: str, begins: str, family: str, count: int
) -> None:
    known: dict[str, Place] = {"3000-acme": ROOM, "lot-acme": LOT}
    target = normaliser(places=Places(known.get, known.get))
    events: list[Event] = []
    for event in recorded(JSON):
        events += target.feed(event, 0.0).events
        if event.get("Action") == begins:
            known.pop(name, None)
    assert len([it for it in told(events) if it.type.startswith(family)]) == count


def test_a_return_from_a_slot_is_no_transfer_by_somebody() -> None:
    """FreeSWITCH makes a caller profile for it as for a blind transfer."""
    token = write_token(TooLong(LOT.id))
    events = [
        changed(it, {"Caller-Destination-Number": token})
        if it.get("variable_transfer_source")
        else it
        for it in recorded(JSON)
    ]
    found = feed(normaliser(places=places()), events).events
    assert [it for it in found if it.type == "call.transferred"] == []
    assert "call.transferred" in {it.type for it in feed(normaliser(), recorded(JSON)).events}
