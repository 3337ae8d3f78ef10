"""Each fault shows as it would on a real switch that is in trouble."""

from __future__ import annotations

import re

import pytest
from twisted.internet import reactor
from twisted.internet.error import ConnectError

from nizam.sim.switch import SimulatedSwitch
from tests.sim.client import Client, connect
from tests.sim.conftest import ACME, Connect, MakeSwitch


async def _listening(make_switch: MakeSwitch, client_of: Connect) -> tuple[SimulatedSwitch, Client]:
    switch = make_switch(xml_url="")
    await switch.start()
    client = await client_of(switch)
    await client.say("event json RELOADXML")
    return switch, client


async def _fire(client: Client, count: int) -> list[int]:
    """Fires events and gives the Event-Sequence numbers that arrived."""
    for _ in range(count):
        await client.say("api reloadxml")
    await client.say("api echo all arrived")
    return [int(dict(event)["Event-Sequence"]) for event in client.events]


async def test_without_faults_every_event_arrives_in_order(
    make_switch: MakeSwitch, client_of: Connect
) -> None:
    _, client = await _listening(make_switch, client_of)
    numbers = await _fire(client, 5)
    assert len(numbers) == 5
    assert numbers == sorted(set(numbers))


async def test_a_duplicated_event_arrives_twice(
    make_switch: MakeSwitch, client_of: Connect
) -> None:
    switch, client = await _listening(make_switch, client_of)
    switch.faults.duplicate = 1
    numbers = await _fire(client, 3)
    assert len(numbers) == 4
    assert len(set(numbers)) == 3


async def test_a_lost_event_never_arrives(make_switch: MakeSwitch, client_of: Connect) -> None:
    switch, client = await _listening(make_switch, client_of)
    switch.faults.lose = 1
    assert len(await _fire(client, 3)) == 2
    switch.faults.lose_every = 2
    await _fire(client, 4)
    assert len(client.events) == 4
    assert switch.faults.lost == 3


async def test_a_reordered_event_comes_after_the_next(
    make_switch: MakeSwitch, client_of: Connect
) -> None:
    switch, client = await _listening(make_switch, client_of)
    switch.faults.reorder = 1
    numbers = await _fire(client, 3)
    assert numbers == [sorted(numbers)[1], sorted(numbers)[0], sorted(numbers)[2]]


async def test_a_truncated_frame_runs_into_the_next(
    make_switch: MakeSwitch, client_of: Connect
) -> None:
    switch, client = await _listening(make_switch, client_of)
    switch.faults.truncate = 1
    client.transport.write(b"api reloadxml\n\n" * 2 + b"exit\n\n")
    client.dataReceived = lambda data: setattr(client, "raw", client.raw + data)  # type: ignore[method-assign]
    await client.closed
    lengths = [
        int(n) for n in re.findall(rb"Content-Length: (\d+)\nContent-Type: text/ev", client.raw)
    ]
    bodies = [
        part.partition(b"Content-")[0] for part in client.raw.split(b"text/event-json\n\n")[1:]
    ]
    assert [len(body) == n for body, n in zip(bodies, lengths, strict=True)] == [False, True]


async def test_a_cut_closes_every_connection_and_a_new_one_is_welcome(
    make_switch: MakeSwitch, client_of: Connect
) -> None:
    switch, client = await _listening(make_switch, client_of)
    switch.cut()
    await client.closed
    assert b"disconnect-notice" not in client.raw
    again = await client_of(switch)
    assert await again.say("api echo here") == "here"


async def test_a_stalled_connection_says_nothing_until_it_goes_on(
    make_switch: MakeSwitch, client_of: Connect
) -> None:
    switch, client = await _listening(make_switch, client_of)
    other = await client_of(switch)
    switch.connections[0].stall(True)
    client.transport.write(b"api echo late\n\n")
    await other.say("api reloadxml")
    assert client.events == []
    switch.stall(False)
    assert (await client.reply())[1] == "late"
    assert len(client.events) == 1


async def test_a_restart_has_a_new_core_uuid_and_forgets_its_calls(
    switch: SimulatedSwitch, client_of: Connect
) -> None:
    client = await client_of(switch)
    await client.say("event json CHANNEL_BRIDGE CHANNEL_HANGUP_COMPLETE")
    before = switch.core.core_uuid
    switch.place_call("answered")
    bridge = await client.event(Event_Name="CHANNEL_BRIDGE")
    await switch.restart()
    await client.closed
    assert client.names() == ["CHANNEL_BRIDGE"]
    assert switch.core.core_uuid != before == bridge["Core-UUID"]
    again = await client_of(switch)
    assert await again.say("api show channels as json") == '{"row_count": 0}\n'
    await switch.drain()
    assert switch.truth.calls == []
    assert switch.truth.posted == []
    assert switch.truth.lost == [bridge["Unique-ID"]]
    assert switch.truth.registered == {f"{n}@{ACME}" for n in ("1001", "1002", "1003")}


async def test_nobody_answers_while_the_switch_is_down(make_switch: MakeSwitch) -> None:
    switch = make_switch(xml_url="")
    await switch.start()
    port = switch.esl_port
    restarting = switch.exchange.spawn(switch.restart(down_seconds=0.2))
    with pytest.raises(ConnectError):
        await connect(reactor, port)
    await restarting
    client = await connect(reactor, port)
    client.transport.abortConnection()
    await client.closed


async def test_a_burst_arrives_whole_and_each_event_is_different(
    make_switch: MakeSwitch, client_of: Connect
) -> None:
    switch = make_switch(xml_url="")
    await switch.start()
    client = await client_of(switch)
    await client.say("event json CHANNEL_CREATE")
    size = switch.prepare_burst(500)
    assert switch.burst() == 500
    await client.say("api echo done")
    assert len(client.events) == 500
    assert len({dict(event)["Event-Sequence"] for event in client.events}) == 500
    assert size / 500 > 2400
