"""The event socket says what the recorded one said."""

from __future__ import annotations

import re

import pytest
from twisted.internet import reactor

from nizam.sim.switch import SimulatedSwitch
from tests.recordings import transcript
from tests.sim.client import connect, connect_raw
from tests.sim.conftest import Connect, MakeSwitch


async def _converse(switch: SimulatedSwitch, sent: bytes) -> bytes:
    client = await connect_raw(reactor, switch.esl_port)
    client.transport.write(sent)
    await client.closed
    return client.raw


@pytest.mark.parametrize("name", ["auth-ok", "auth-fail", "auth-fail-then-ok"])
async def test_authentication_is_answered_byte_for_byte(make_switch: MakeSwitch, name: str) -> None:
    switch = make_switch()
    switch.listen()
    recorded = transcript(f"calls/transcripts/{name}")
    assert await _converse(switch, recorded.sent) == recorded.received


async def test_a_refused_address_is_sent_away_as_recorded(make_switch: MakeSwitch) -> None:
    switch = make_switch()
    switch.listen()
    switch.refuse_connections()
    recorded = transcript("calls/transcripts/rude-rejection")
    assert await _converse(switch, b"") == recorded.received


def _replies(data: bytes) -> list[str]:
    return re.findall(r"^Reply-Text: (.*)$", data.decode(), re.MULTILINE)


@pytest.mark.parametrize("name", ["command-before-auth", "filter", "event-subscriptions"])
async def test_commands_are_replied_to_as_recorded(make_switch: MakeSwitch, name: str) -> None:
    switch = make_switch()
    switch.listen()
    recorded = transcript(f"calls/transcripts/{name}")
    sent = recorded.sent
    expected = _replies(recorded.received)
    for command, reply in (  # not simulated: XML events, following one channel
        (b"event xml HEARTBEAT\n\n", "+OK event listener enabled xml"),
        (b"myevents 00000000-0000-0000-0000-000000000000\n\n", "+OK Events Enabled"),
        (b"divert_events on\n\n", "-ERR not controlling a session."),
    ):
        if command in sent:
            sent = sent.replace(command, b"")
            expected.remove(reply)
    if not sent.endswith(b"exit\n\n"):
        client = await connect_raw(reactor, switch.esl_port)
        client.transport.write(sent)
        replies = [(await client.reply())[0].get("Reply-Text") for _ in range(len(expected) + 1)]
        client.transport.loseConnection()
        await client.closed
        assert replies[1:] == expected
    else:
        assert _replies(await _converse(switch, sent)) == expected


async def test_crlf_line_ends_are_understood(make_switch: MakeSwitch) -> None:
    switch = make_switch()
    switch.listen()
    client = await connect_raw(reactor, switch.esl_port)
    client.transport.write(b"auth ClueCon\r\n\r\napi status\r\n\r\nexit\r\n\r\n")
    await client.closed
    assert b"+OK accepted" in client.raw
    assert b"FreeSWITCH (Version 1.11.1-release  64bit) is ready\n" in client.raw


async def test_pipelined_commands_are_answered_in_order(make_switch: MakeSwitch) -> None:
    switch = make_switch()
    switch.listen()
    raw = await _converse(switch, b"auth ClueCon\n\napi echo 1\n\napi echo 22\n\nexit\n\n")
    assert re.findall(rb"Content-Length: \d\n\n(1|22)", raw) == [b"1", b"22"]


async def test_whoever_does_not_authenticate_in_time_is_cut_off(
    make_switch: MakeSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nizam.sim.esl_server.AUTHENTICATION_SECONDS", 0.05)
    switch = make_switch()
    switch.listen()
    client = await connect_raw(reactor, switch.esl_port)
    await client.closed
    assert client.raw == b"Content-Type: auth/request\n\n"


@pytest.mark.parametrize("encoding", ["json", "plain"])
async def test_a_background_job_reports_its_result_under_the_given_id(
    make_switch: MakeSwitch, client_of: Connect, encoding: str
) -> None:
    switch = make_switch()
    switch.listen()
    client = await client_of(switch)
    await client.say(f"event {encoding} BACKGROUND_JOB")
    headers, _ = await client.command("bgapi echo line one\nJob-UUID: my-own-job")
    assert headers["Reply-Text"] == "+OK Job-UUID: my-own-job"
    assert headers["Job-UUID"] == "my-own-job"
    job = await client.event(Event_Name="BACKGROUND_JOB", Job_UUID="my-own-job")
    assert (job["Job-Command"], job["Job-Command-Arg"], job["_body"]) == (
        "echo",
        "line one",
        "line one",
    )


async def test_a_heartbeat_comes_at_its_interval(
    make_switch: MakeSwitch, client_of: Connect
) -> None:
    switch = make_switch(heartbeat_seconds=0.05, xml_url="")
    await switch.start()
    client = await client_of(switch)
    await client.say("event json HEARTBEAT")
    beat = await client.event(Event_Name="HEARTBEAT")
    assert beat["Event-Info"] == "System Ready"
    assert beat["Core-UUID"] == switch.core.core_uuid


async def test_a_filter_keeps_back_what_does_not_match(
    switch: SimulatedSwitch, client_of: Connect
) -> None:
    client = await client_of(switch)
    await client.say("event json ALL")
    await client.say("filter Event-Name CHANNEL_HANGUP_COMPLETE")
    await switch.place_call("answered")
    await client.say("api echo done")
    assert set(client.names()) == {"CHANNEL_HANGUP_COMPLETE"}


async def test_events_wait_while_a_blocking_command_runs(
    switch: SimulatedSwitch, client_of: Connect
) -> None:
    client = await client_of(switch)
    await client.say("event json CHANNEL_ANSWER")
    answer = await client.say("api originate user/1002@acme.example.test &park()")
    assert answer.startswith("+OK ")
    assert client.raw.index(b"+OK " + answer[4:].encode()) < client.raw.index(b"CHANNEL_ANSWER")


async def test_shutdown_says_goodbye_to_everyone(make_switch: MakeSwitch) -> None:
    switch = make_switch(xml_url="")
    await switch.start()
    client = await connect(reactor, switch.esl_port)
    await client.say("event json SHUTDOWN")
    await switch.stop()
    await client.closed
    assert client.names() == ["SHUTDOWN"]
    assert client.raw.endswith(b"See you at ClueCon! http://www.cluecon.com/\n")
