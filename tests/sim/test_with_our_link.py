"""NIZAM's own event-socket link and the simulated switch understand each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint

from nizam.esl.event import SwitchEvent
from nizam.esl.link import EslLink
from nizam.esl.subscription import CALL_EVENTS
from nizam.sim.switch import SimulatedSwitch


class _Watcher:
    """A link and what it saw."""

    def __init__(self, port: int) -> None:
        self.events: list[SwitchEvent] = []
        self._up: Deferred[None] = Deferred()
        clock: Any = reactor
        self.link = EslLink(
            clock,
            TCP4ClientEndpoint(reactor, "127.0.0.1", port),
            "ClueCon",
            subscription=CALL_EVENTS,
            on_event=lambda event, _received_at: self.events.append(event),
            on_up=lambda: self._up.callback(None),
        )

    async def up(self) -> None:
        """Waits for the link to come up once more."""
        await self._up
        self._up = Deferred()


@pytest_twisted.async_yield_fixture
async def watcher(switch: SimulatedSwitch) -> AsyncIterator[_Watcher]:
    watching = _Watcher(switch.esl_port)
    watching.link.startService()
    await watching.up()
    yield watching
    await watching.link.stopService()


async def test_the_link_sees_every_leg_of_a_call_end(
    switch: SimulatedSwitch, watcher: _Watcher
) -> None:
    call_id = await switch.place_call("ring_group")
    assert await watcher.link.api("echo done", 5.0) == "done"
    ended = {
        (event.get("Unique-ID"), event.get("Hangup-Cause"))
        for event in watcher.events
        if event.name == "CHANNEL_HANGUP_COMPLETE"
    }
    call = switch.truth.by_id()[call_id]
    assert ended == {(leg.uuid, leg.cause) for leg in call.legs}


async def test_the_link_runs_background_jobs(watcher: _Watcher) -> None:
    assert (await watcher.link.bgapi("version short", 5.0)).strip() == "1.11.1-release"


async def test_the_link_comes_back_after_a_cut_a_torn_frame_and_a_restart(
    switch: SimulatedSwitch, watcher: _Watcher
) -> None:
    switch.cut()
    await watcher.up()
    switch.faults.truncate = 1
    switch.place_call("unallocated")
    await watcher.up()
    before = switch.core.core_uuid
    await switch.restart()
    await watcher.up()
    await switch.place_call("unallocated")
    await watcher.link.api("echo done", 5.0)
    assert watcher.events[-1].get("Core-UUID") == switch.core.core_uuid != before
