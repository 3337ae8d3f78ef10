"""A recorded stream is served again, as subscribed to."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import Cooperator

from nizam.sim.replay import ReplayFactory, recorded_events
from tests.recordings import stream
from tests.sim.client import connect


async def test_a_client_gets_every_recorded_event_that_it_subscribed_to() -> None:
    recorded = stream("calls2/esl/events-json-all")
    cooperator = Cooperator()
    factory = ReplayFactory(recorded, "ClueCon", cooperator, {"status": "UP\n"})
    port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
    client = await connect(reactor, port.getHost().port)
    assert await client.say("api status") == "UP\n"
    await client.say("event json CHANNEL_CREATE CHANNEL_HANGUP_COMPLETE CUSTOM sofia::register")
    while not factory.finished:
        await client.say("api status")
    await client.say("api status")
    counted = Counter(event.subclass or event.name for event, _ in recorded_events(recorded))
    received = Counter(
        dict(event).get("Event-Subclass") or dict(event)["Event-Name"] for event in client.events
    )
    names = ("CHANNEL_CREATE", "CHANNEL_HANGUP_COMPLETE", "sofia::register")
    assert received == {name: counted[name] for name in names if counted[name]}
    frames = [frame for event, frame in recorded_events(recorded) if event.name == names[0]]
    assert all(frame in client.raw for frame in frames)
    client.transport.abortConnection()
    await client.closed
    cooperator.stop()
    await port.stopListening()
