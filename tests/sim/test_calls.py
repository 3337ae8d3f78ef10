"""Calls by a script: asked for, carried out, told in events and CDRs, and kept in the truth."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater

from nizam.sim.script import Script, ScriptWriter
from nizam.sim.settings import Scenery
from nizam.sim.switch import SimulatedSwitch
from nizam.sim.truth import CallTruth
from tests.sim.answering import NOT_FOUND, AnsweringServer, verified_answer
from tests.sim.conftest import ACME, SCENERY, USERS, Connect, MakeSwitch

CARRIER = "carrier.example.test"


async def _call(switch: SimulatedSwitch, script: Script) -> CallTruth:
    call_id = await switch.place_call(script=script)
    return switch.truth.by_id()[call_id]


def _script(dialled: str, **more: Any) -> Script:
    basis = Script("test", ACME, dialled, caller=USERS[0], ring=0.5, talk=2.0)
    return attrs.evolve(basis, **more)


@pytest.mark.parametrize(
    ("script", "proofs", "cause"),
    [
        (
            _script("1002"),
            ["user accepted", "dialplan ext_acme_1002", "rang 1002", "bridged 1002"],
            "NORMAL_CLEARING",
        ),
        (
            _script("1002", hang_up_by="callee"),
            ["user accepted", "dialplan ext_acme_1002", "rang 1002", "bridged 1002"],
            "NORMAL_CLEARING",
        ),
        (
            _script("1002", callee="is busy"),
            [
                *("user accepted", "dialplan ext_acme_1002", "rang 1002", "refused USER_BUSY"),
                f"voicemail 1002@{ACME}",
            ],
            "NORMAL_CLEARING",
        ),
        (
            _script("1002", callee="lets it ring"),
            [
                *("user accepted", "dialplan ext_acme_1002", "rang 1002", "refused NO_ANSWER"),
                f"voicemail 1002@{ACME}",
            ],
            "NORMAL_CLEARING",
        ),
        (
            _script("1002", callee="lets it ring", give_up=1.5),
            ["user accepted", "dialplan ext_acme_1002", "rang 1002"],
            "ORIGINATOR_CANCEL",
        ),
        (
            _script("12025550101", caller=None, outside_caller="13105550999", domain=CARRIER),
            [
                *("dialplan did_12025550101", "transferred 1001", "dialplan ext_acme_1001"),
                *("rang 1001", "bridged 1001"),
            ],
            "NORMAL_CLEARING",
        ),
        (
            _script("2000"),
            [
                *("user accepted", "dialplan rg-simultaneous", "rang 1001", "rang 1002"),
                "bridged 1001",
            ],
            "NORMAL_CLEARING",
        ),
        (
            _script("2001", callee="is busy"),
            [
                *("user accepted", "dialplan rg-sequential", "rang 1001", "rang 1002"),
                "refused USER_BUSY",
            ],
            "NORMAL_CLEARING",
        ),
        (
            _script("3000", digits=("1",)),
            [
                *("user accepted", "dialplan ivr_acme_main", "menu ivr_acme_main", "pressed 1"),
                *("transferred 1002", "dialplan ext_acme_1002", "rang 1002", "bridged 1002"),
            ],
            "NORMAL_CLEARING",
        ),
        (
            _script("3000", digits=("5", "1003")),
            [
                *("user accepted", "dialplan ivr_acme_main", "menu ivr_acme_main", "invalid 5"),
                *(
                    "pressed 1003",
                    "transferred 1003",
                    "dialplan ext_acme_1003",
                    "rang 1003",
                    "bridged 1003",
                ),
            ],
            "NORMAL_CLEARING",
        ),
        (
            _script("3000"),
            [
                *("user accepted", "dialplan ivr_acme_main", "menu ivr_acme_main"),
                *("transferred 1001", "dialplan ext_acme_1001", "rang 1001", "bridged 1001"),
            ],
            "NORMAL_CLEARING",
        ),
        (
            _script("13105550777"),
            [
                *("user accepted", "dialplan outbound-gateway", "rang 12025550777"),
                "bridged 12025550777",
            ],
            "NORMAL_CLEARING",
        ),
        (_script("9196"), ["user accepted", "dialplan echo", "echo"], "NORMAL_CLEARING"),
        (
            _script("4486"),
            ["user accepted", "dialplan respond-486", "refused USER_BUSY"],
            "USER_BUSY",
        ),
        (
            _script("4404"),
            ["user accepted", "dialplan hangup-unallocated-number", "refused UNALLOCATED_NUMBER"],
            "UNALLOCATED_NUMBER",
        ),
        (_script("7999"), ["user accepted", "not found"], "NO_ROUTE_DESTINATION"),
    ],
    ids=lambda value: value.dialled if isinstance(value, Script) else "",
)
async def test_a_verified_document_is_followed_to_where_it_leads(
    switch: SimulatedSwitch, script: Script, proofs: list[str], cause: str
) -> None:
    call = await _call(switch, script)
    assert (list(call.proofs), call.cause) == (proofs, cause)
    assert switch.truth.problems == []
    assert switch.core.channels == {}


async def test_an_unregistered_user_falls_through_to_voicemail_without_a_second_leg(
    switch: SimulatedSwitch,
) -> None:
    await switch.phones.register(USERS[1], expires=0)
    call = await _call(switch, _script("1002"))
    assert "refused USER_NOT_REGISTERED" in call.proofs
    assert call.connected_to == f"1002@{ACME}"
    assert len(call.legs) == 1


async def test_a_gateway_that_is_down_ends_the_call(switch: SimulatedSwitch) -> None:
    switch.trunks.set_up("gw_acme_1", False)
    call = await _call(switch, _script("13105550777"))
    assert call.cause == "GATEWAY_DOWN"
    assert call.answered == 0


async def test_the_wrong_password_is_refused_and_the_call_never_begins(
    make_switch: MakeSwitch,
) -> None:
    stranger = attrs.evolve(USERS[0], password="wrong")
    switch = make_switch(scenery=attrs.evolve(SCENERY, users=(stranger, USERS[1])))
    await switch.start()
    assert await switch.place_call(script=_script("1002", caller=stranger)) == ""
    assert switch.truth.registered == {f"1002@{ACME}"}
    assert len(switch.truth.problems) == 2
    assert switch.truth.calls == []


async def test_the_questions_are_freeswitchs_own(
    switch: SimulatedSwitch, answers: AnsweringServer
) -> None:
    switch.exchange.questions.flush()
    await _call(switch, _script("1002"))
    methods = [f["sip_auth_method"] for f in answers.forms(action="sip_auth")]
    assert methods == ["REGISTER"] * 3 + ["INVITE"]
    (dialplan,) = answers.forms(section="dialplan")
    assert dialplan["Hunt-Destination-Number"] == "1002"
    assert dialplan["variable_user_context"] == ACME
    assert dialplan["variable_nizam_extension_id"] == "ext_acme_1001"
    assert "domain" not in dialplan
    (dialled,) = answers.forms(action="user_call")
    assert dialled["nizam_call_id"] == "call_01J9ZACME0000000000000001"
    head = answers.requests[0].head
    assert head["user-agent"] == "freeswitch-xml/1.0"
    assert head["content-type"] == "application/x-www-form-urlencoded"
    assert "connection" not in head


async def test_cacheable_users_are_asked_for_once_until_flushed(
    switch: SimulatedSwitch, answers: AnsweringServer, client_of: Connect
) -> None:
    client = await client_of(switch)
    before = len(answers.forms(section="directory"))
    await _call(switch, _script("1002"))
    assert len(answers.forms(section="directory")) == before
    assert await client.say(f"api xml_flush_cache id 1001 {ACME}") == "+OK cleared 1 entry\n"
    await _call(switch, _script("1002"))
    assert len(answers.forms(section="directory")) == before + 1


async def test_each_leg_has_one_cdr_and_the_same_end_in_events_and_truth(
    switch: SimulatedSwitch, answers: AnsweringServer, client_of: Connect, event_list: str
) -> None:
    client = await client_of(switch)
    await client.say(event_list)
    call = await _call(switch, _script("2000"))
    await switch.drain()
    await client.say("api echo done")
    posted = {asked.path.partition("uuid=")[2]: json.loads(asked.body) for asked in answers.cdrs()}
    ends = {
        dict(event)["Unique-ID"]: dict(event)
        for event in client.events
        if dict(event)["Event-Name"] == "CHANNEL_HANGUP_COMPLETE"
    }
    legs = {leg.uuid: leg for leg in call.legs}
    assert set(posted) == set(ends) == set(legs)
    assert len(legs) == 3
    for uuid, leg in legs.items():
        variables = posted[uuid]["variables"]
        assert variables["hangup_cause"] == ends[uuid]["Hangup-Cause"] == leg.cause
        assert int(variables["end_uepoch"]) == leg.ended
        assert int(ends[uuid]["Caller-Channel-Answered-Time"]) == leg.answered
        assert variables["nizam_call_id"] == "call_01J9ZACME0000000000000002"
    assert Counter(leg.cause for leg in legs.values()) == {"NORMAL_CLEARING": 2, "LOSE_RACE": 1}


async def test_a_refused_cdr_is_tried_three_times_on_one_connection_and_then_kept(
    make_switch: MakeSwitch,
    answers: AnsweringServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nizam.sim.cdr.DELAY_SECONDS", 0.01)
    switch = make_switch(cdr_error_folder=tmp_path)
    await switch.start()
    answers.cdr_status = 500
    call = await _call(switch, _script("9196"))
    await switch.drain()
    assert [asked.path for asked in answers.cdrs()] == [f"/cdr?uuid={call.call_id}"] * 3
    assert switch.truth.spooled == [call.call_id]
    kept = json.loads((tmp_path / f"{call.call_id}.cdr.json").read_text())
    assert kept["variables"]["uuid"] == call.call_id


async def test_a_message_left_is_announced_with_its_mailbox(
    switch: SimulatedSwitch, client_of: Connect, event_list: str
) -> None:
    client = await client_of(switch)
    await client.say(event_list)
    await _call(switch, _script("1002", callee="is busy", message=5.0))
    left = await client.event(Event_Subclass="vm::maintenance", VM_Action="leave-message")
    assert (left["VM-User"], left["VM-Domain"], left["VM-Message-Len"]) == ("1002", ACME, "5")
    start = await client.event(Event_Name="RECORD_START")
    assert start["Record-File-Path"] == left["VM-File-Path"]


async def test_recording_begins_when_the_call_is_answered(
    switch: SimulatedSwitch, client_of: Connect, event_list: str
) -> None:
    client = await client_of(switch)
    await client.say(event_list)
    call = await _call(switch, _script("6000"))
    stop = await client.event(Event_Name="RECORD_STOP", Unique_ID=call.call_id)
    assert stop["Record-File-Path"].endswith("/ten_acme/call_01J9ZACME0000000000000009.wav")
    names = client.names(call.call_id)
    assert names.index("CHANNEL_ANSWER") < names.index("RECORD_START") < names.index("RECORD_STOP")


async def test_an_answer_that_freeswitch_would_not_accept_is_a_problem(
    switch: SimulatedSwitch, answers: AnsweringServer
) -> None:
    def broken(form: dict[str, str]) -> bytes:
        return b"<html>" if form["section"] == "dialplan" else verified_answer(form)

    answers.answer = broken
    call = await _call(switch, _script("1002"))
    assert call.cause == "NO_ROUTE_DESTINATION"
    assert len(switch.truth.problems) == 1


async def test_when_nothing_is_found_nothing_rings(
    switch: SimulatedSwitch, answers: AnsweringServer
) -> None:
    switch.exchange.questions.flush()
    answers.answer = lambda form: NOT_FOUND
    assert await switch.place_call(script=_script("1002")) == ""
    assert switch.truth.calls == []


async def test_calls_keep_coming_at_their_rate_and_all_end(make_switch: MakeSwitch) -> None:
    switch = make_switch(calls_per_second=60.0)
    await switch.start()
    await _until(lambda: switch.truth.placed >= 40)
    switch.stop_calls()
    await switch.drain()
    assert len(switch.truth.calls) == switch.truth.placed
    assert switch.truth.problems == []
    assert switch.core.channels == {}
    legs = [leg.uuid for call in switch.truth.calls for leg in call.legs]
    assert sorted(switch.truth.posted) == sorted(legs)


def test_the_same_seed_writes_the_same_scripts() -> None:
    written = [
        [ScriptWriter(SCENERY, Random(seed)).write() for _ in range(3)] for seed in (7, 7, 8)
    ]
    assert written[0] == written[1] != written[2]


@pytest.mark.parametrize("kind", ["did", "ring_group", "ivr", "answered"])
def test_a_scenery_without_numbers_has_no_such_calls(kind: str) -> None:
    writer = ScriptWriter(Scenery(), Random(1))
    assert not writer.can_write
    with pytest.raises(ValueError, match=kind):
        writer.write(kind)


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await _a_moment()


def _a_moment() -> Awaitable[None]:
    return deferLater(reactor, 0.005)
