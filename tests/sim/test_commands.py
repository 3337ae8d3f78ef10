"""API commands change what they say they change, and answer in the recorded words and shapes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from nizam.sim.people import Manner
from nizam.sim.script import Script
from nizam.sim.switch import SimulatedSwitch
from tests.recordings import transcript
from tests.sim.client import Client
from tests.sim.conftest import ACME, USERS, Connect, MakeSwitch

NOBODY = "00000000-0000-0000-0000-000000000000"
LONG = Script("test", ACME, "1002", caller=USERS[0], ring=0.5, talk=100_000.0)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("version short", "1.11.1-release\n"),
        ("hostname", "fs1.example.test"),
        ("echo hello", "hello"),
        ("echo", "-ERR no reply\n"),
        ("show channels as json", '{"row_count": 0}\n'),
        ("show calls as json", '{"row_count": 0}\n'),
        ("show registrations as json", '{"row_count": 0}\n'),
        ("show channels", "\n0 total.\n"),
        ("show channels count as json", '{"row_count":0,"rows":[]}'),
        ("nosuchapi with args", "-ERR nosuchapi Command not found!\n"),
        (f"uuid_kill {NOBODY}", "-ERR No such channel!\n"),
        ("uuid_kill", "-USAGE: <uuid> [cause]\n"),
        (f"uuid_exists {NOBODY}", "false"),
        (f"uuid_dump {NOBODY} json", "-ERR No such channel!\n"),
        (f"uuid_getvar {NOBODY} a", "-ERR No such channel!\n"),
        (f"uuid_setvar {NOBODY} a b", "-ERR No such channel!\n"),
        (f"uuid_transfer {NOBODY} 1003 XML {ACME}", "-ERR No such channel!\n"),
        (f"uuid_hold {NOBODY}", "+OK Success\n"),
        ("uuid_hold", "-USAGE: [off|toggle] <uuid> [<display>]\n-ERR Operation failed\n"),
        (f"uuid_record {NOBODY} start /x.wav", "-ERR Cannot locate session!\n"),
        # These by mod_commands.c.
        (f"uuid_bridge {NOBODY} {NOBODY}", "-ERR Invalid uuid\n"),
        (f"uuid_park {NOBODY}", "-ERR No such channel!\n"),
        (f"uuid_broadcast {NOBODY} 'playback::x.wav' both", "-ERR invalid uuid\n"),
        (f"uuid_break {NOBODY} both all", "-ERR No such channel!\n"),
        (f"uuid_send_dtmf {NOBODY} 12@100", "-ERR Cannot locate session!\n"),
        (f"uuid_audio {NOBODY} stop", "-ERR No such channel!\n"),
        ("sofia_contact */nobody@nowhere.example.test", "error/user_not_registered"),
        ("sofia profile external killgw nosuch", "-ERR no such gateway.\n"),
        ("xml_flush_cache id 1001 nowhere.example.test", "+OK cleared 0 entries\n"),
        ("reloadxml", "+OK [Success]\n"),
    ],
)
async def test_a_command_answers_as_recorded(
    make_switch: MakeSwitch, client_of: Connect, command: str, answer: str
) -> None:
    switch = make_switch(xml_url="")
    await switch.start()
    client = await client_of(switch)
    assert await client.say(f"api {command}") == answer


async def _bridged(switch: SimulatedSwitch, client: Client) -> tuple[str, str]:
    """A call that goes on until something ends it: the uuids of its legs."""
    await client.say("event json ALL")
    switch.place_call(script=LONG)
    bridge = await client.event(Event_Name="CHANNEL_BRIDGE")
    return bridge["Bridge-A-Unique-ID"], bridge["Bridge-B-Unique-ID"]


def _recorded_table(what: str) -> list[dict[str, Any]]:
    data = transcript("live/transcripts/api-live-calls").received.decode()
    tables = [json.loads(line) for line in re.findall(r'\{"row_count":\d,"rows":\[.*?\]\}', data)]
    index = {"calls": 0, "channels": 1, "registrations": -1}[what]
    rows: list[dict[str, Any]] = tables[index]["rows"]
    return rows


@pytest.mark.parametrize("what", ["calls", "channels", "registrations"])
async def test_tables_have_the_recorded_columns_in_their_order(
    switch: SimulatedSwitch, client_of: Connect, what: str
) -> None:
    client = await client_of(switch)
    await _bridged(switch, client)
    table = json.loads(await client.say(f"api show {what} as json"))
    assert table["row_count"] == len(table["rows"]) == {"calls": 1, "channels": 2}.get(what, 3)
    assert list(table["rows"][0]) == list(_recorded_table(what)[0])


async def test_tables_show_the_call_that_is_up(switch: SimulatedSwitch, client_of: Connect) -> None:
    client = await client_of(switch)
    a, b = await _bridged(switch, client)
    (call,) = json.loads(await client.say("api show calls as json"))["rows"]
    assert (call["uuid"], call["b_uuid"], call["callstate"]) == (a, b, "ACTIVE")
    assert (call["cid_num"], call["dest"]) == ("1001", "1002")
    dump = json.loads(await client.say(f"api uuid_dump {a} json"))
    assert (dump["Event-Name"], dump["Unique-ID"]) == ("CHANNEL_DATA", a)
    assert dump["variable_bridge_uuid"] == b


async def test_variables_are_set_and_read(switch: SimulatedSwitch, client_of: Connect) -> None:
    client = await client_of(switch)
    a, _ = await _bridged(switch, client)
    assert await client.say(f"api uuid_getvar {a} note") == "_undef_"
    assert await client.say(f"api uuid_setvar {a} note a b c") == "+OK\n"
    assert await client.say(f"api uuid_getvar {a} note") == "a b c"


@pytest.mark.parametrize("leg", [0, 1])
@pytest.mark.parametrize(
    ("cause", "seen"), [("CALL_REJECTED", "CALL_REJECTED"), ("NONSENSE", "NORMAL_CLEARING")]
)
async def test_killing_either_leg_ends_both(
    switch: SimulatedSwitch, client_of: Connect, leg: int, cause: str, seen: str
) -> None:
    client = await client_of(switch)
    legs = await _bridged(switch, client)
    assert await client.say(f"api uuid_kill {legs[leg]} {cause}") == "+OK\n"
    await switch.drain()
    (call,) = switch.truth.calls
    assert {leg.cause for leg in call.legs} == {seen}
    assert switch.core.channels == {}


async def test_holding_and_resuming_fire_their_events(
    switch: SimulatedSwitch, client_of: Connect
) -> None:
    client = await client_of(switch)
    a, _ = await _bridged(switch, client)
    for words in (a, a, f"off {a}", f"toggle {a}", f"toggle {a}"):
        assert await client.say(f"api uuid_hold {words}") == "+OK Success\n"
    await client.say("api echo all arrived")
    names = [name for name in client.names(a) if name.endswith("HOLD")]
    assert names == ["CHANNEL_HOLD", "CHANNEL_UNHOLD", "CHANNEL_HOLD", "CHANNEL_UNHOLD"]


async def test_recording_starts_is_masked_and_stops_once(
    switch: SimulatedSwitch, client_of: Connect
) -> None:
    client = await client_of(switch)
    a, _ = await _bridged(switch, client)
    for words, answer in (
        (f"{a} start /r.wav", "+OK Success\n"),
        (f"{a} mask /r.wav", "+OK Success\n"),
        (f"{a} mask /other.wav", "-ERR Cannot mask recording session!\n"),
        (f"{a} stop /r.wav", "+OK Success\n"),
        (f"{a} stop /r.wav", "-ERR Cannot stop record session!\n"),
        (f"{a} stop all", "+OK Success\n"),
    ):
        assert await client.say(f"api uuid_record {words}") == answer
    stop = await client.event(Event_Name="RECORD_STOP")
    assert stop["Record-File-Path"] == "/r.wav"
    assert stop["variable_record_completion_cause"] == "success-maxtime"


async def test_a_transferred_leg_asks_the_dialplan_again(
    switch: SimulatedSwitch, client_of: Connect
) -> None:
    client = await client_of(switch)
    a, b = await _bridged(switch, client)
    assert await client.say(f"api uuid_transfer {a} 4404 XML {ACME}") == "+OK\n"
    await switch.drain()
    (call,) = switch.truth.calls
    assert call.proofs[-3:] == (
        "transferred 4404",
        "dialplan hangup-unallocated-number",
        "refused UNALLOCATED_NUMBER",
    )
    end = await client.event(Event_Name="CHANNEL_HANGUP_COMPLETE", Unique_ID=a)
    assert re.fullmatch(rf"\d+:[\w-]+:bl_xfer:4404/{ACME}/XML", end["variable_transfer_source"])
    assert {leg.uuid for leg in call.legs} == {a, b}


async def test_the_other_leg_goes_on_alone_when_it_is_transferred(
    switch: SimulatedSwitch, client_of: Connect
) -> None:
    client = await client_of(switch)
    a, b = await _bridged(switch, client)
    await client.say(f"api uuid_transfer {a} -bleg 4404 XML {ACME}")
    await switch.drain()
    ended = {call.legs[0].uuid: call for call in switch.truth.calls}
    assert set(ended) == {a, b}
    assert ended[a].cause == "NORMAL_CLEARING"
    assert ended[b].cause == "UNALLOCATED_NUMBER"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (f"user/1009@{ACME} &park()", "-ERR SUBSCRIBER_ABSENT\n"),
        ("sofia/gateway/nosuch/1 &park()", "-ERR INVALID_GATEWAY\n"),
        (f"{{origination_uuid=x user/1002@{ACME} &park()", "-USAGE"),
        ("nosuch/x &park()", "-ERR CHAN_NOT_IMPLEMENTED\n"),
        (f"user/1002@{ACME}", "-USAGE"),
        ("", "-USAGE"),
    ],
)
async def test_an_originate_that_cannot_work_says_why(
    switch: SimulatedSwitch, client_of: Connect, words: str, answer: str
) -> None:
    client = await client_of(switch)
    assert (await client.say(f"api originate {words}".rstrip())).startswith(answer)


async def test_an_originated_leg_has_the_given_uuid_and_variables(
    switch: SimulatedSwitch, client_of: Connect
) -> None:
    client = await client_of(switch)
    await client.say("event json CHANNEL_CREATE CHANNEL_PARK BACKGROUND_JOB")
    given = "28af10de-91de-4ee4-8283-75ef615fa3eb"
    variables = f"origination_uuid={given},origination_caller_id_name='Click To Call',x=call_9"
    line = f"originate {{{variables}}}user/1001@{ACME} &park()"
    await client.command(f"bgapi {line}\nJob-UUID: job-1")
    job = await client.event(Event_Name="BACKGROUND_JOB", Job_UUID="job-1")
    assert job["_body"] == f"+OK {given}\n"
    created = await client.event(Event_Name="CHANNEL_CREATE", Unique_ID=given)
    assert (created["variable_x"], created["Caller-Caller-ID-Name"]) == ("call_9", "Click To Call")
    await client.event(Event_Name="CHANNEL_PARK", Unique_ID=given)
    assert await client.say(f"api {line}") == "-ERR DESTINATION_OUT_OF_ORDER\n"
    await client.say(f"api uuid_kill {given}")
    await switch.drain()


async def test_an_originated_leg_can_be_sent_into_the_dialplan(
    switch: SimulatedSwitch, client_of: Connect
) -> None:
    client = await client_of(switch)
    answer = await client.say(f"api originate user/1002@{ACME} 1001 XML {ACME} 'Click Call' 1002")
    assert answer.startswith("+OK ")
    call = switch.calls.call_of(answer[4:].strip())
    assert call is not None
    await client.say("event json CHANNEL_BRIDGE")
    await client.event(Event_Name="CHANNEL_BRIDGE")
    assert "dialplan ext_acme_1001" in call.proofs
    await client.say(f"api uuid_kill {answer[4:].strip()}")
    await switch.drain()


async def test_a_ringing_originate_ends_when_its_leg_is_killed(
    switch: SimulatedSwitch, client_of: Connect
) -> None:
    switch.exchange.manners[f"1001@{ACME}"] = Manner("lets it ring")
    client = await client_of(switch)
    await client.say("event json CHANNEL_PROGRESS BACKGROUND_JOB")
    await client.command(f"bgapi originate user/1001@{ACME} &park()\nJob-UUID: job-2")
    ringing = await client.event(Event_Name="CHANNEL_PROGRESS")
    await client.say(f"api uuid_kill {ringing['Unique-ID']} CALL_REJECTED")
    job = await client.event(Event_Name="BACKGROUND_JOB", Job_UUID="job-2")
    assert job["_body"] == "-ERR CALL_REJECTED\n"


async def test_a_killed_gateway_is_deleted_and_comes_back_with_a_rescan(
    switch: SimulatedSwitch, client_of: Connect
) -> None:
    client = await client_of(switch)
    await client.say("event json CUSTOM sofia::gateway_delete sofia::gateway_add")
    words = "api sofia profile external"
    assert await client.say(f"{words} killgw gw_acme_1") == "+OK gateway marked for deletion.\n"
    await client.event(Event_Subclass="sofia::gateway_delete", Gateway="gw_acme_1")
    assert await client.say("api sofia status gateway gw_acme_1") == "Invalid Gateway!\n"
    await client.say(f"{words} rescan")
    await client.event(Event_Subclass="sofia::gateway_add", Gateway="gw_acme_1")
    assert "external::gw_acme_1" in await client.say("api sofia status")
