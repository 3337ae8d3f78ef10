"""Between what a client reads from the log and what it is given live nothing is missing and nothing
comes twice, at whatever moment it joins; and what waits for it is bounded."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from nizam.errors import DatabaseUnavailable
from nizam.model.events import Event
from nizam.realtime.catch_up import CatchUp
from nizam.realtime.closing import Close
from nizam.realtime.filters import Filter, Subject, parse_filter
from nizam.realtime.hub import Hub
from nizam.realtime.subscriber import Subscriber
from nizam.store.system.event_log import Logged, LogPage

TENANT = UUID(int=1)
OTHER = UUID(int=2)
EXTENSION = str(UUID(int=7))


def happened(number: int, kind: str = "call.started", **data: Any) -> Event:
    return Event(
        type=kind,
        occurred_at=datetime(2026, 11, 28, tzinfo=UTC),
        core_id="core",
        sequence=number,
        tenant_id=OTHER if number % 5 == 4 else TENANT,
        call_id=UUID(int=number),
        data=data,
    )


class Plain:
    """A codec that can be read."""

    name = "plain"

    def event(self, cursor: str, event: Event) -> bytes:
        return b"%d " % event.sequence

    def notice(self, kind: str, fields: Mapping[str, Any]) -> bytes:
        return f"{kind}:{fields.get('count', '')} ".encode()


class Wire:
    """A connection whose transport takes `room` bytes until it is read."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.room = room
        self.held = 0
        self.sent = b""
        self.ended: Close | None = None
        self.subscriber: Subscriber | None = None

    def write(self, data: bytes) -> None:
        self.sent += data
        self.held += len(data)
        if self.held > self.room and self.subscriber is not None:
            self.subscriber.pause(0.0)

    def end(self, code: Close, pause: float) -> None:
        self.ended = code

    def read(self) -> None:
        self.held = 0
        assert self.subscriber is not None
        self.subscriber.resume()

    @property
    def words(self) -> list[str]:
        return self.sent.decode().split()


def client(wire: Wire, waiting_bytes: int = 1 << 20) -> Subscriber:
    wire.subscriber = Subscriber(wire, Plain(), TENANT, waiting_bytes)
    wire.subscriber.filters = frozenset({Filter()})
    return wire.subscriber


@pytest.mark.parametrize("seed", range(20))
def test_a_client_has_everything_once_at_whatever_moment_it_joins(seed: int) -> None:
    clock, chance = Clock(), random.Random(seed)
    log: list[Logged] = []
    hub = Hub(clock)

    async def read(subscriber: Subscriber, after: int) -> LogPage:
        await deferLater(clock, chance.random() * 0.1)
        if chance.random() < 0.02:
            raise DatabaseUnavailable
        end = len(log)
        found = [it for it in log if it.position > after and it.event.tenant_id == TENANT][:20]
        more = len(found) == 20
        return LogPage(found, found[-1].position if more else end, more)

    async def tail() -> None:
        while True:
            end = len(log)
            await hub.give([it for it in log if it.position > hub.reached], end)
            await deferLater(clock, chance.random() * 0.1)

    following = Deferred.fromCoroutine(tail())
    catching_up, wires = CatchUp(clock, hub, read), list[Wire]()
    for number in range(1, 200):
        log.append(Logged(number, happened(number)))
        if number % 20 == 0:
            wires.append(Wire())
            subscriber = client(wires[-1])
            hub.add(subscriber)
            Deferred.fromCoroutine(catching_up.bring(subscriber))
        clock.advance(chance.random() * 0.05)
    early = [it for it in wires if it.subscriber and it.subscriber.live]
    assert len(early) > 1, "nobody joined while there was more to come"
    for _ in range(5000):
        clock.advance(0.05)
        if all(it.subscriber and it.subscriber.live for it in wires) and hub.settled == len(log):
            break
    following.addErrback(lambda _: None)
    following.cancel()
    expected = [str(it.event.sequence) for it in log if it.event.tenant_id == TENANT]
    for wire in wires:
        assert wire.words == expected


def test_what_waits_for_a_slow_client_is_bounded_and_the_rest_is_counted() -> None:
    wire = Wire(room=10)
    subscriber = client(wire, waiting_bytes=100)
    for position in range(1, 101):
        subscriber.take(b"%08d " % position, 1, position)
    assert len(wire.sent) < 30
    wire.room = 1 << 30
    wire.read()
    *events, missed = wire.words
    assert [int(it) for it in events] == list(range(1, len(events) + 1))
    assert missed == f"missed:{100 - len(events)}"
    assert len(events) < 20
    subscriber.take(b"later ", 1, 101)
    assert wire.words[-1] == "later"


def test_notices_do_not_pile_up_for_whoever_reads_nothing() -> None:
    wire = Wire(room=10)
    subscriber = client(wire, waiting_bytes=100)
    for _ in range(1000):
        subscriber.tell("pong")
    assert wire.ended is Close.TOO_SLOW
    assert len(wire.sent) < 100


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, [1, 2, 3, 4]),
        ({"types": ["call.*"]}, [1, 2]),
        ({"types": ["call.ended", "registration.*"]}, [2, 3]),
        ({"call_ids": [str(UUID(int=2))]}, [2]),
        ({"extension_ids": [EXTENSION]}, [2, 3, 4]),
        ({"types": ["call.*"], "extension_ids": [EXTENSION]}, [2]),
        ({"queue_ids": [EXTENSION]}, []),
    ],
)
def test_a_subscription_wants_what_fits_all_of_its_lists(
    given: dict[str, Any], wanted: list[int]
) -> None:
    events = [
        happened(1),
        happened(2, "call.ended", extension_ids=[EXTENSION]),
        happened(3, "registration.registered", extension_id=EXTENSION),
        happened(4, "extension.updated", id=EXTENSION),
    ]
    it, errors = parse_filter(given)
    assert not errors
    assert [event.sequence for event in events if it.wants(Subject(event))] == wanted
