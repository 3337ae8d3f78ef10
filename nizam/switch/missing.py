"""What had to be dropped because nothing had room for it: the windows in which it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import attrs

from nizam.switch.batch import Batch


@attrs.frozen
class Window:
    """From the first to the last of what was dropped, by the switch's clock, and how much it is."""

    begin: datetime
    end: datetime
    dropped: int

    def with_moment(self, at: datetime) -> Window:
        """The window with something else that was dropped in it."""
        return Window(min(self.begin, at), max(self.end, at), self.dropped + 1)


@attrs.frozen
class Missing:
    """The window of each node, until it is told."""

    _windows: dict[str, Window] = attrs.field(factory=dict, init=False)

    def __bool__(self) -> bool:
        return bool(self._windows)

    def note(self, dropped: Batch) -> None:
        """This was dropped. What is of no node leaves no window in what a node says."""
        for node, at in moments(dropped):
            known = self._windows.get(node)
            self._windows[node] = known.with_moment(at) if known else Window(at, at, 1)

    def take(self) -> list[tuple[str, Window]]:
        """The windows, which are told now."""
        found = list(self._windows.items())
        self._windows.clear()
        return found


def moments(dropped: Batch) -> Iterator[tuple[str, datetime]]:
    """The node and the time of each event and leg that has a node."""
    for event in dropped.events:
        if event.node:
            yield event.node, event.occurred_at
    for leg in dropped.legs:
        if leg.node:
            yield leg.node, leg.ended_at or leg.started_at
