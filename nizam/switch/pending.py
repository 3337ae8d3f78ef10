"""What waits in memory to be stored, oldest first, within bounds."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Final

from nizam import metrics
from nizam.errors import DatabaseUnavailable
from nizam.model.events import Event
from nizam.switch.batch import Batch

_LEAST: Final = ("call.dtmf", "call.ringing", "registration.registered")
"""What goes first when there is no room: it matters least once it is late."""


class Pending:
    """Batches in the order in which they came."""

    def __init__(self) -> None:
        self._batches: deque[Batch] = deque()
        self._items = 0

    def __len__(self) -> int:
        return self._items

    def add(self, batch: Batch) -> None:
        """One more; it may have waiters alone."""
        self._batches.append(batch)
        self._items += len(batch)

    def take(self, most: int) -> list[Batch]:
        """The first ones, of `most` items in all: the last of them may be the beginning of one.
        Those that have waiters alone come with what was before them."""
        taken: list[Batch] = []
        batches, room = self._batches, most
        while batches:
            first = batches[0]
            items = len(first)
            if items > room:
                if room:
                    taken.append(first.take(room))
                    room = 0
                break
            room -= items
            taken.append(batches.popleft())
        self._items -= most - room
        return taken

    def put_back(self, batches: Sequence[Batch]) -> None:
        """Undo a `take`."""
        self._batches.extendleft(reversed(batches))
        self._items += sum(map(len, batches))

    def safe(self) -> None:
        """Nothing waits: whoever waits for nothing more than that is told."""
        batches, self._batches = self._batches, deque()
        self._items = 0
        for batch in batches:
            batch.safe()

    def shed(self, capacity: int) -> Batch:
        """Make room: how calls were routed and the least important events first, then the oldest
        events, legs last of all. The events and legs that had to go, which are counted; when legs
        did, whoever waits for something is told."""
        gone = Batch([it for it in self._events() if it.type in _LEAST])
        decisions = sum(len(batch.decisions) for batch in self._batches)
        kept = sum(len(batch.events) for batch in self._batches) - len(gone.events)
        legs = sum(len(batch.legs) for batch in self._batches)
        surplus, surplus_legs = max(0, kept + legs - capacity), max(0, legs - capacity)
        for batch in self._batches:
            batch.decisions = []
            events = [it for it in batch.events if it.type not in _LEAST]
            gone.events += events[:surplus]
            batch.events = events[surplus:]
            surplus -= min(surplus, len(events))
            if surplus_legs:
                dropped, batch.legs = batch.legs[:surplus_legs], batch.legs[surplus_legs:]
                surplus_legs -= len(dropped)
                gone.legs += dropped
        if gone.legs:
            # Whoever posted one of them keeps it and sends it again.
            for batch in self._batches:
                batch.failed(DatabaseUnavailable("no buffer has room for the CDR"))
        self._items = sum(map(len, self._batches))
        self._batches = deque(it for it in self._batches if len(it) or it.waiters)
        shed = Counter(event.type for event in gone.events)
        shed |= Counter({"leg": len(gone.legs), "decision": decisions})
        for kind, count in (+shed).items():
            metrics.EVENTS_SHED_TOTAL.labels(kind).inc(count)
        return gone

    def _events(self) -> Iterator[Event]:
        for batch in self._batches:
            yield from batch.events
