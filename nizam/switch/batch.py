"""What waits to be stored: events and legs, and whoever waits for them; as bytes for a buffer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import attrs
import orjson
from twisted.internet.defer import Deferred

from nizam.events.legs import Leg
from nizam.model.events import Event
from nizam.store.system.cdrs import leg_bytes, leg_from_json


@attrs.define(eq=False)
class Batch:
    """Events and legs that are stored together; `waiters` are told when they are safe."""

    events: list[Event] = attrs.field(factory=list)
    legs: list[Leg] = attrs.field(factory=list)
    waiters: list[Deferred[None]] = attrs.field(factory=list)

    def __len__(self) -> int:
        return len(self.events) + len(self.legs)

    def take(self, most: int) -> Batch:
        """The first `most` items of this batch, removed from it; waiters go with the last."""
        first = Batch(self.events[:most])
        del self.events[:most]
        room = most - len(first.events)
        first.legs = self.legs[:room]
        del self.legs[:room]
        if not len(self):
            first.waiters, self.waiters = self.waiters, []
        return first

    def put_back(self, first: Batch) -> None:
        """Undo a `take`."""
        self.events[:0] = first.events
        self.legs[:0] = first.legs
        self.waiters[:0] = first.waiters

    def safe(self) -> None:
        """Nothing of it can be lost any more."""
        self._tell(lambda waiter: waiter.callback(None))

    def failed(self, error: Exception) -> None:
        """It cannot be stored at all."""
        self._tell(lambda waiter: waiter.errback(error))

    def _tell(self, tell: Callable[[Deferred[None]], None]) -> None:
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.called:
                tell(waiter)


def encode(batch: Batch) -> bytes:
    """The events and legs of a batch as JSON bytes."""
    events = [
        {
            "type": event.type,
            "occurred_at": event.occurred_at,
            "core_id": event.core_id,
            "sequence": event.sequence,
            "node": event.node,
            "tenant_id": event.tenant_id,
            "call_id": event.call_id,
            "leg_id": event.leg_id,
            "data": dict(event.data),
        }
        for event in batch.events
    ]
    legs = [orjson.Fragment(leg_bytes(leg)) for leg in batch.legs]
    return orjson.dumps({"events": events, "legs": legs})


def decode(document: bytes) -> Batch:
    """The batch of `encode`."""
    content = orjson.loads(document)
    return Batch(
        [_event(it) for it in content["events"]], [leg_from_json(it) for it in content["legs"]]
    )


def _event(document: dict[str, Any]) -> Event:
    moment = datetime.fromisoformat(document["occurred_at"]).astimezone(UTC)
    ids = {
        name: UUID(document[name]) if document[name] else None
        for name in ("tenant_id", "call_id", "leg_id")
    }
    return Event(**(document | ids | {"occurred_at": moment}))
