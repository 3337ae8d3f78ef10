"""A call that one switch of ours has sent on to another is one call: told, counted, billed once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest

from nizam.esl.event import SwitchEvent
from nizam.events.cdr import summarise
from nizam.events.legs import Leg, leg_from_json_cdr
from nizam.events.normalise import Normaliser
from nizam.events.told import Output
from nizam.model.events import Event
from nizam.routing.tokens import RingHere, write_token
from nizam.switch.call_states import state_of
from nizam.switch.calls_shown import call_document, one_call

ACME = UUID("0198aaaa-0000-7000-8000-000000000001")
BEN = UUID("0198aaaa-0000-7000-8000-0000000000b0")
TOKEN = write_token(RingHere(ACME, BEN))
START = 1_795_475_334_000_000


@attrs.define
class Leg_:  # noqa: N801
    """A leg of a switch, as its events tell of it; `own` are the variables that our XML sets."""

    direction: str
    own: dict[str, str] = attrs.field(factory=dict)
    dialled: str = "1002"
    id: UUID = attrs.field(factory=uuid4)


@attrs.define
class Switches:
    """Two switches, what they said, and what follows from it; `lookup` is what was asked."""

    lookup: dict[str, tuple[UUID, UUID]] = attrs.field(factory=dict)
    events: list[Event] = attrs.field(factory=list)
    legs: list[Leg] = attrs.field(factory=list)
    normalisers: dict[str, Normaliser] = attrs.field(factory=dict)
    time: int = 0

    def says(self, node: str, name: str, leg: Leg_, **fields: str) -> None:
        self.time += 1
        headers = {
            "Unique-ID": str(leg.id),
            "Core-UUID": node,
            "Event-Sequence": str(self.time),
            "Event-Date-Timestamp": str(START + self.time * 1_000_000),
            "Caller-Channel-Created-Time": str(START),
            "Call-Direction": leg.direction,
            "Caller-Destination-Number": leg.dialled,
            "Caller-Callee-ID-Number": "1002",
            "Caller-Caller-ID-Number": "1001",
            "Caller-Profile-Index": "1",
            **{f"variable_{key}": value for key, value in leg.own.items()},
            **{key.replace("_", "-"): value for key, value in fields.items()},
        }
        self.take(self.normaliser(node).feed(SwitchEvent(name, headers), self.time))

    def normaliser(self, node: str) -> Normaliser:
        if node not in self.normalisers:
            self.normalisers[node] = Normaliser(
                node, tenant_of_domain=lambda _: None, lookup=self.lookup.get
            )
        return self.normalisers[node]

    def take(self, output: Output) -> None:
        self.events += output.events
        self.legs += output.legs

    def told(self) -> list[tuple[str, str]]:
        return [(it.type, it.node or "") for it in self.events]


def ours(call_id: UUID, **more: Any) -> dict[str, str]:
    own = {"nizam_tenant_id": ACME, "nizam_call_id": call_id, **more}
    return {name: str(value) for name, value in own.items()}


def _bridge(one: Leg_, other: Leg_) -> dict[str, str]:
    return {"Bridge_A_Unique_ID": str(one.id), "Bridge_B_Unique_ID": str(other.id)}


@attrs.define
class Course:
    """Anna at fs1 calls Ben, whose phone is at fs2."""

    switches: Switches = attrs.field(factory=Switches)
    anna: Leg_ = attrs.field(factory=lambda: Leg_("inbound"))
    across: Leg_ = attrs.field(factory=lambda: Leg_("outbound", dialled=TOKEN))
    arrives: Leg_ = attrs.field(factory=lambda: Leg_("inbound", dialled=TOKEN))
    ben: Leg_ = attrs.field(factory=lambda: Leg_("outbound"))

    @property
    def call_id(self) -> UUID:
        return self.anna.id

    def begins(self) -> None:
        says = self.switches.says
        says("fs1", "CHANNEL_CREATE", self.anna)
        self.anna.own = ours(self.call_id)
        self.across.own = ours(
            self.call_id, nizam_extension_id=BEN, originating_leg_uuid=self.anna.id
        )
        says("fs1", "CHANNEL_CREATE", self.across)
        says("fs2", "CHANNEL_CREATE", self.arrives)
        here = ours(self.arrives.id, nizam_part_of=self.call_id)
        self.arrives.own = here
        self.ben.own = {
            **here,
            "nizam_extension_id": str(BEN),
            "originating_leg_uuid": str(self.arrives.id),
        }
        says("fs2", "CHANNEL_CREATE", self.ben)

    def is_answered(self) -> None:
        says = self.switches.says
        for node, leg in (("fs2", self.ben), ("fs1", self.across)):
            says(node, "CHANNEL_PROGRESS", leg)
        for node, leg in (("fs2", self.ben), ("fs2", self.arrives)):
            says(node, "CHANNEL_ANSWER", leg)
        for node, leg in (("fs1", self.across), ("fs1", self.anna)):
            says(node, "CHANNEL_ANSWER", leg)
        bridge = {
            "Bridge_A_Unique_ID": str(self.arrives.id),
            "Bridge_B_Unique_ID": str(self.ben.id),
        }
        says("fs2", "CHANNEL_BRIDGE", self.arrives, **bridge)
        bridge = {
            "Bridge_A_Unique_ID": str(self.anna.id),
            "Bridge_B_Unique_ID": str(self.across.id),
        }
        says("fs1", "CHANNEL_BRIDGE", self.anna, **bridge)

    def ends(self, how: Mapping[str, str]) -> None:
        """Everybody hangs up; `how` each leg ended, by its name."""
        for node, name in (("fs2", "ben"), ("fs2", "arrives"), ("fs1", "across"), ("fs1", "anna")):
            leg = getattr(self, name)
            leg.own["sip_hangup_disposition"] = how[name]
            answered = str(START + 5_000_000)
            self.switches.says(
                node,
                "CHANNEL_HANGUP_COMPLETE",
                leg,
                Hangup_Cause="NORMAL_CLEARING",
                Caller_Channel_Answered_Time=answered,
                Caller_Channel_Hangup_Time=str(START + 60_000_000),
            )


BEN_HANGS_UP = {
    "ben": "recv_bye",
    "arrives": "send_bye",
    "across": "recv_bye",
    "anna": "send_bye",
}
ANNA_HANGS_UP = {
    "ben": "send_bye",
    "arrives": "recv_bye",
    "across": "send_bye",
    "anna": "recv_bye",
}


def test_it_is_told_of_once_with_one_id() -> None:
    course = Course()
    course.begins()
    course.is_answered()
    course.switches.says("fs2", "DTMF", course.ben, DTMF_Digit="1")
    course.switches.says("fs1", "DTMF", course.across, DTMF_Digit="1")
    course.switches.says("fs2", "CHANNEL_HOLD", course.ben)
    course.ends(BEN_HANGS_UP)
    assert course.switches.told() == [
        ("call.started", "fs1"),
        ("call.ringing", "fs1"),
        ("call.answered", "fs1"),
        ("call.bridged", "fs1"),
        ("call.dtmf", "fs1"),
        ("call.held", "fs2"),
        ("call.ended", "fs1"),
    ]
    assert {it.call_id for it in course.switches.events} == {course.call_id}
    assert {it.tenant_id for it in course.switches.events} == {ACME}


def test_it_is_told_once_although_its_phone_is_rung_before_its_own_leg_has_a_name() -> None:
    """The switch has been answered; of the call it has only said that it came. The next that it
    says is CHANNEL_OUTGOING of the leg to the phone, which has no variables (FreeSWITCH 1.11.1)."""
    course = Course()
    says = course.switches.says
    says("fs2", "CHANNEL_CREATE", course.arrives)
    course.switches.lookup[str(course.arrives.id)] = (ACME, course.call_id)
    link = {"Other_Type": "originator", "Other_Leg_Unique_ID": str(course.arrives.id)}
    says("fs2", "CHANNEL_OUTGOING", course.ben, **link)
    assert course.switches.told() == []
    call = course.switches.normaliser("fs2").calls.get(course.arrives.id)
    assert call is not None
    assert (call.tenant_id, call.told_id) == (ACME, course.call_id)


@pytest.mark.parametrize(
    ("how", "by"), [(BEN_HANGS_UP, "callee"), (ANNA_HANGS_UP, "caller")], ids=["callee", "caller"]
)
def test_it_has_one_cdr_with_the_legs_of_both(how: Mapping[str, str], by: str) -> None:
    course = Course()
    course.begins()
    course.is_answered()
    course.ends(how)
    legs = course.switches.legs
    assert {it.call_id for it in legs} == {course.call_id}
    parents = {it.leg_id: it.originator_id for it in legs}
    assert parents == {
        course.anna.id: None,
        course.across.id: course.anna.id,
        course.arrives.id: course.anna.id,
        course.ben.id: course.arrives.id,
    }
    assert {it.number for it in legs} == {"1002"}
    summary = summarise(course.call_id, legs)
    assert (summary.node, summary.direction, summary.result) == ("fs1", "internal", "answered")
    assert (summary.hangup_by, summary.extension_ids) == (by, (BEN,))


def test_what_the_dialplan_lookup_told_is_enough() -> None:
    """As for a leg that ends before any event has our variables."""
    course = Course()
    course.switches.lookup[str(course.arrives.id)] = (ACME, course.call_id)
    course.switches.says("fs2", "CHANNEL_CREATE", course.arrives)
    [call] = course.switches.normaliser("fs2").calls
    assert (call.told_id, call.tenant_id) == (course.call_id, ACME)
    assert course.switches.events == []


def test_what_was_heard_before_is_told_as_a_part_all_the_same() -> None:
    course = Course()
    course.switches.says("fs2", "CHANNEL_CREATE", course.arrives)
    normaliser = course.switches.normaliser("fs2")
    course.switches.take(normaliser.learn(course.arrives.id, ACME, course.call_id))
    course.switches.says("fs2", "CHANNEL_HOLD", course.arrives)
    assert [(it.type, it.call_id) for it in course.switches.events] == [
        ("call.held", course.call_id)
    ]


def test_it_is_shown_once_with_the_legs_of_both_and_counted_once() -> None:
    course = Course()
    course.begins()
    course.is_answered()
    calls = {node: next(iter(it.calls)) for node, it in course.switches.normalisers.items()}
    parts = [call_document(calls[node], node) for node in ("fs2", "fs1")]
    shown = one_call(parts)
    assert (shown["call_id"], shown["node"]) == (str(course.call_id), "fs1")
    assert [it["node"] for it in shown["legs"]] == ["fs1", "fs1", "fs2", "fs2"]
    # Not what the switches dial between them.
    assert {it["number"] for it in shown["legs"]} == {"1002"}
    now = datetime.now(UTC)
    assert state_of(calls["fs2"], now, lambda *_: True) is None
    counted = state_of(calls["fs1"], now, lambda *_: True)
    assert counted is not None
    assert counted.call_id == str(course.call_id)


def test_where_the_phone_there_sends_the_caller_is_told_of() -> None:
    course = Course()
    course.begins()
    course.is_answered()
    course.switches.events.clear()
    course.arrives.own["transfer_source"] = "1795475334:uuid:bl_xfer:1003/acme.example.test/XML"
    moved = {"Caller_Profile_Index": "2", "Caller_Destination_Number": "1003"}
    third = Leg_("outbound", {**course.ben.own, "nizam_extension_id": str(uuid4())})
    course.switches.says("fs2", "CHANNEL_UNBRIDGE", course.arrives, **moved)
    course.switches.says("fs2", "CHANNEL_CREATE", third)
    course.switches.says("fs2", "CHANNEL_PROGRESS", third)
    assert course.switches.told() == [("call.transferred", "fs2"), ("call.ringing", "fs2")]
    assert {it.call_id for it in course.switches.events} == {course.call_id}


def test_a_cdr_says_which_call_it_is_a_part_of() -> None:
    leg_id, call_id = uuid4(), uuid4()
    record = {
        "core-uuid": "fs2",
        "channel_data": {"direction": "inbound"},
        "variables": {
            "uuid": str(leg_id),
            "direction": "inbound",
            "nizam_tenant_id": str(ACME),
            "nizam_call_id": str(leg_id),
            "nizam_part_of": str(call_id),
            "start_stamp": "2026-11-23 23:05:34",
            "start_uepoch": str(START),
        },
        "callflow": [{"times": {"created_time": str(START)}, "caller_profile": {}}],
    }
    leg = leg_from_json_cdr(record, "fs2")
    assert (leg.call_id, leg.originator_id) == (call_id, call_id)


def test_no_leg_is_shown_with_the_token_that_was_dialled() -> None:
    """CHANNEL_OUTGOING has the token in the place of the callee, too (FreeSWITCH 1.11.1)."""
    course = Course()
    says = course.switches.says
    says("fs1", "CHANNEL_CREATE", course.anna)
    link = {"Other_Type": "originator", "Other_Leg_Unique_ID": str(course.anna.id)}
    says("fs1", "CHANNEL_OUTGOING", course.across, Caller_Callee_ID_Number=TOKEN, **link)
    (call,) = course.switches.normaliser("fs1").calls
    assert call.channels[course.across.id].number is None
    says("fs1", "CHANNEL_CREATE", course.across, **link)
    assert call.channels[course.across.id].number == "1002"
