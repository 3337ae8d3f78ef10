"""An intake on real servers, and a simulated switch that it listens to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import attrs
import pytest_twisted

from nizam.sim.switch import SimulatedSwitch
from tests.sim.answering import AnsweringServer
from tests.switch.plant import CdrEndpoint, Plant, build_plant, listen, make_switch, start, stop


@attrs.define
class Site:
    """A plant and its switch."""

    plant: Plant
    switch: SimulatedSwitch
    cdrs: CdrEndpoint


@pytest_twisted.async_yield_fixture
async def site(database: str, redis_url: str) -> AsyncIterator[Site]:
    """A started switch with its phones registered, and the intake listening to it."""
    from twisted.internet import reactor

    answers = AnsweringServer(reactor)
    plants: list[Plant] = []

    async def accept(node: str, uuid: str, body: bytes) -> None:
        await plants[0].intake.cdrs.accept(node, uuid, body)

    cdrs = CdrEndpoint(accept)
    port = listen(reactor, cdrs)
    switch = make_switch(reactor, answers, lambda: port.getHost().port)
    await switch.start()
    plant = await build_plant(reactor, database, redis_url, lambda: switch.esl_port)
    plants.append(plant)
    start(plant)
    await plant.until(lambda: plant.nodes.nodes["fs1"].last_reconciled)
    yield Site(plant, switch, cdrs)
    await stop(plant)
    await switch.stop()
    await port.stopListening()
    await answers.stop()
