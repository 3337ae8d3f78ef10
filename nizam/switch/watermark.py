"""How far what a node has said is durable: what the process that stores it tells the others.

**A place in the stream, not a time.** FreeSWITCH gives every listener the same events in the same
order: one thread after another puts an event into the queues of all of them under one lock
(event_handler in mod_event_socket.c). So a place is named by the event that stands there, by its
Core-UUID and Event-Sequence, and each process finds it in what it has heard itself. Neither the
sequence alone nor the node's clock would do: events are queued a little out of the order of both
(about one in a hundred), clocks are set back, and what was skipped that way would be gone.

**Everything up to there** is in PostgreSQL, or in Redis for whoever stores next. Batches may be
committed out of their order, with what was spilled in between, and events wait in memory until the
tenant of their call is known. So it is not read off what was committed: the place is noted first,
then everything is waited for that was handed on until then, and while some call waits for its
tenant, an earlier place is told instead, of before the first of those began to wait.

A place that a process has not heard, since it came later, or since its link lost the event, tells
it nothing: it keeps what it has until the next place, a second later.

`until` is the same by the node's clock, for `node.gap` events only: whoever takes over and was not
listening then says from when to when something may be missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Self

import attrs

from nizam.esl.event import SwitchEvent
from nizam.model.events import timestamp
from nizam.store.system.leases import Note

Place = tuple[str, str]
"""The Core-UUID and the Event-Sequence of an event, as the switch writes them."""
KEPT_MARKS: Final = 64


def place_of(event: SwitchEvent) -> Place:
    """Where an event stands."""
    return (event.get("Core-UUID") or "", event.get("Event-Sequence") or "")


@attrs.frozen
class Watermark:
    """Everything up to `place` is durable, and everything fired until `until`. `up` says whether
    the node was heard when this was told."""

    place: Place | None = None
    until: datetime | None = None
    up: bool = False

    @classmethod
    def of(cls, note: Note | None) -> Self | None:
        """The one in a lease's note; None without one, or for what cannot be read."""
        if note is None:
            return None
        try:
            place, until = note.get("place"), note.get("until")
            return cls(
                None if place is None else (str(place[0]), str(place[1])),
                None if until is None else datetime.fromisoformat(until),
                bool(note.get("up")),
            )
        except (IndexError, TypeError, ValueError):
            return None

    def note(self) -> Note:
        """For the note of a lease."""
        place: Any = None if self.place is None else list(self.place)
        return {
            "place": place,
            "until": None if self.until is None else timestamp(self.until),
            "up": self.up,
        }


@attrs.frozen
class Mark:
    """Where the stream stood at a moment of this process's clock, in seconds."""

    at: float
    place: Place | None
    until: datetime


class Marks:
    """Where the stream stood at some moments, the latest last."""

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque(maxlen=KEPT_MARKS)

    def note(self, mark: Mark) -> None:
        """The stream stands here now."""
        self._marks.append(mark)

    def before(self, waiting: Iterable[float]) -> Mark | None:
        """The latest one before all of these moments, since when something waits in memory."""
        first = min(waiting, default=None)
        for mark in reversed(self._marks):
            if first is None or mark.at < first:
                return mark
        return None
