"""Feeding recorded streams to a normaliser."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import datetime
from uuid import UUID

import attrs

from nizam.esl.event import SwitchEvent, decode_event
from nizam.esl.frames import EVENT_JSON, EVENT_PLAIN, FrameDecoder
from nizam.events.legs import Leg
from nizam.events.normalise import Normaliser
from nizam.events.places import NO_PLACES, Places
from nizam.model.events import Event
from tests import recordings

ACME = UUID("0198aaaa-0000-7000-8000-000000000001")
GLOBEX = UUID("0198aaaa-0000-7000-8000-000000000002")
DOMAINS = {"acme.example.test": ACME, "globex.example.test": GLOBEX}


@attrs.define
class Replayed:
    """Everything that followed from a recorded run."""

    events: list[Event] = attrs.field(factory=list)
    legs: list[Leg] = attrs.field(factory=list)

    def of_call(self, call_id: UUID) -> list[Event]:
        """The events of one call in the order of their time."""
        found = [event for event in self.events if event.call_id == call_id]
        return sorted(found, key=lambda event: (event.occurred_at, event.sequence))

    def ended(self) -> dict[UUID, Event]:
        """The call.ended of each call."""
        return {it.call_id: it for it in self.events if it.type == "call.ended" and it.call_id}


def normaliser(
    lookup: Callable[[str], tuple[UUID, UUID] | None] = lambda _channel: None,
    domains: dict[str, UUID] = DOMAINS,
    places: Places = NO_PLACES,
) -> Normaliser:
    """A normaliser that knows the recorded tenants."""
    return Normaliser("fs1", tenant_of_domain=domains.get, lookup=lookup, places=places)


def feed(target: Normaliser, events: Iterable[SwitchEvent]) -> Replayed:
    """Feed events, the clock going by their own time; at the end nothing waits any more."""
    replayed = Replayed()
    now = 0.0
    for event in events:
        now = max(now, int(event.get("Event-Date-Timestamp") or 0) / 1e6)
        for output in (target.feed(event, now), target.tick(now)):
            replayed.events += output.events
            replayed.legs += output.legs
    output = target.tick(now + 3600.0)
    replayed.events += output.events
    replayed.legs += output.legs
    return replayed


@functools.cache
def recorded(name: str) -> tuple[SwitchEvent, ...]:
    """All events of the recorded stream `name`."""
    decoder = FrameDecoder()
    decoder.receive_data(recordings.stream(name))
    return tuple(
        decode_event(frame)
        for frame in decoder.frames()
        if frame.content_type in (EVENT_JSON, EVENT_PLAIN)
    )


def step_of(run: str, moment: datetime) -> str:
    """What was being done in the recorded run at that time."""
    at = moment.timestamp()
    return str([it["step"] for it in recordings.timeline(run) if it["t"] <= at][-1])
