"""What waits to be stored: events, legs and decisions, and whoever waits for them; as bytes for a
buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import attrs
import orjson
from twisted.internet.defer import Deferred

from nizam.events.legs import Leg
from nizam.model.call_decision import CallDecision
from nizam.model.events import Event
from nizam.store.system.call_decisions import decision_row
from nizam.store.system.cdrs import leg_bytes, leg_from_json

_identifier: Final = lru_cache(maxsize=4096)(UUID)
"""A call has many events: making the same UUIDs again takes half of the time of decoding them."""


@attrs.define(eq=False)
class Batch:
    """Events, legs and how calls were routed, stored together; `waiters` are told when they are
    safe. `node` is the one that said it, where only the process may store it that has the node's
    lease."""

    events: list[Event] = attrs.field(factory=list)
    legs: list[Leg] = attrs.field(factory=list)
    waiters: list[Deferred[None]] = attrs.field(factory=list)
    decisions: list[CallDecision] = attrs.field(factory=list)
    node: str | None = None

    def __len__(self) -> int:
        return len(self.events) + len(self.legs) + len(self.decisions)

    def take(self, most: int) -> Batch:
        """The first `most` items of this batch, removed from it; waiters go with the last."""
        first = Batch(self.events[:most], node=self.node)
        del self.events[:most]
        room = most - len(first.events)
        first.legs = self.legs[:room]
        del self.legs[:room]
        room -= len(first.legs)
        first.decisions = self.decisions[:room]
        del self.decisions[:room]
        if not len(self):
            first.waiters, self.waiters = self.waiters, []
        return first

    def extend(self, other: Batch) -> None:
        """Have the items of another batch too; its waiters stay its own."""
        self.events += other.events
        self.legs += other.legs
        self.decisions += other.decisions

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


def joined(batches: Iterable[Batch]) -> Batch:
    """The items of all of them as one batch."""
    whole = Batch()
    events, legs, decisions = whole.events, whole.legs, whole.decisions
    for batch in batches:
        events += batch.events
        legs += batch.legs
        decisions += batch.decisions
    return whole


def encode(batch: Batch) -> bytes:
    """The events, legs and decisions of a batch as JSON bytes."""
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
    decisions = [decision_row(it) for it in batch.decisions]
    return orjson.dumps({"events": events, "legs": legs, "decisions": decisions})


def decode(document: bytes) -> Batch:
    """The batch of `encode`."""
    content = orjson.loads(document)
    return Batch(
        [_event(it) for it in content["events"]],
        [leg_from_json(it) for it in content["legs"]],
        # A process of an older version has left none.
        decisions=[_decision(it) for it in content.get("decisions", ())],
    )


def _decision(document: dict[str, Any]) -> CallDecision:
    moment = datetime.fromisoformat(document["decided_at"]).astimezone(UTC)
    kept = document.pop("document")
    ids = {name: UUID(document[name]) for name in ("tenant_id", "call_id")}
    return CallDecision(**(document | ids | {"decided_at": moment, "document": lambda: kept}))


def _event(document: dict[str, Any]) -> Event:
    moment = datetime.fromisoformat(document["occurred_at"]).astimezone(UTC)
    ids = {
        name: _identifier(document[name]) if document[name] else None
        for name in ("tenant_id", "call_id", "leg_id")
    }
    return Event(**(document | ids | {"occurred_at": moment}))
