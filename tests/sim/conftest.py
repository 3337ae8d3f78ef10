"""A simulated switch, the server that answers it, and clients of its event socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from nizam.sim.settings import Dialable, Durations, Scenery, User
from nizam.sim.stage import Stage
from nizam.sim.switch import SimulatedSwitch
from tests.sim.answering import PASSWORD, USERNAME, AnsweringServer
from tests.sim.client import Client, connect
from tests.sim.world import EVERYTHING, World

ACME = "acme.example.test"
USERS = tuple(User(number, ACME, f"acme-{number}-pw") for number in ("1001", "1002", "1003"))
SCENERY = Scenery(
    users=USERS,
    dids=("12025550101",),
    ring_groups=(Dialable("2000", ACME),),
    ivrs=(Dialable("3000", ACME, ("1",)),),
    durations=Durations(talk=(2.0, 5.0), ring=(0.3, 1.0)),
    pace=0.02,
)

MakeSwitch = Callable[..., SimulatedSwitch]
Connect = Callable[[SimulatedSwitch], Awaitable[Client]]


@pytest_twisted.async_yield_fixture
async def answers() -> AsyncIterator[AnsweringServer]:
    """A server that answers xml_curl and takes CDRs."""
    server = AnsweringServer(reactor)
    yield server
    await server.stop()


@pytest_twisted.async_yield_fixture
async def make_switch(answers: AnsweringServer) -> AsyncIterator[MakeSwitch]:
    """Makes switches that ask `answers`; they are stopped at the end."""
    made: list[SimulatedSwitch] = []

    def make(**changes: Any) -> SimulatedSwitch:
        settings: dict[str, Any] = {
            "xml_url": f"{answers.url}/xml",
            "xml_username": USERNAME,
            "xml_password": PASSWORD,
            "cdr_url": f"{answers.url}/cdr",
            "scenery": SCENERY,
        } | changes
        made.append(SimulatedSwitch(reactor, **settings))
        return made[-1]

    yield make
    for switch in made:
        await switch.stop()


@pytest_twisted.async_yield_fixture
async def switch(make_switch: MakeSwitch) -> AsyncIterator[SimulatedSwitch]:
    """A started switch with its phones registered."""
    switch = make_switch()
    await switch.start()
    yield switch


@pytest_twisted.async_yield_fixture
async def client_of() -> AsyncIterator[Connect]:
    """Connects authenticated clients; they are closed at the end."""
    clients: list[Client] = []

    async def connect_to(switch: SimulatedSwitch) -> Client:
        clients.append(await connect(reactor, switch.esl_port))
        return clients[-1]

    yield connect_to
    for client in clients:
        client.transport.abortConnection()
        await client.closed


@pytest.fixture
def event_list() -> str:
    """A subscription like the daemon's: an explicit list, subclasses last."""
    return (
        "event json CHANNEL_CREATE CHANNEL_PROGRESS CHANNEL_PROGRESS_MEDIA CHANNEL_ANSWER "
        "CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_HOLD CHANNEL_UNHOLD CHANNEL_HANGUP_COMPLETE "
        "RECORD_START RECORD_STOP DTMF BACKGROUND_JOB HEARTBEAT CUSTOM sofia::register "
        "sofia::unregister sofia::gateway_state vm::maintenance"
    )


@pytest_twisted.async_yield_fixture
async def world(
    make_switch: MakeSwitch, answers: AnsweringServer, client_of: Connect
) -> AsyncIterator[World]:
    switch: SimulatedSwitch = make_switch()
    await switch.start()
    client = await client_of(switch)
    await client.say(EVERYTHING)
    stage = Stage(switch)
    anna, ben, cora = (stage.phone(user) for user in USERS)
    world = World(stage, answers, client, anna, ben, cora)
    answers.answer = world.answer
    yield world
    await stage.drained()
    assert switch.core.channels == {}
    assert switch.exchange.sessions == {}
