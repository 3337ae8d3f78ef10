"""From when to when a process has heard a node, by the node's clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import attrs


@attrs.frozen
class Hole:
    """What was fired in between was not heard, or was heard and is gone. None as the beginning:
    everything before the end."""

    begin: datetime | None
    end: datetime
    reason: str = "link"
    dropped: int | None = None


@attrs.define
class Coverage:
    """The holes in what a process has of a node, oldest first."""

    _holes: list[Hole] = attrs.field(factory=list)
    _ended: datetime | None = None
    _begun: bool = False

    def begin(self, at: datetime) -> None:
        """From now on everything is heard."""
        if not self._begun or self._ended is not None:
            self._holes.append(Hole(self._ended, at))
        self._begun, self._ended = True, None

    def end(self, at: datetime) -> None:
        """Nothing is heard any more that was fired after this moment."""
        if self._begun and self._ended is None:
            self._ended = at

    def lose(self, begin: datetime, end: datetime, dropped: int) -> None:
        """So many things had to be dropped, the first and the last of these moments."""
        last = self._holes[-1] if self._holes else None
        if last is not None and last.dropped is not None and last.begin is not None:
            # What is dropped is the oldest that there is: all of it is one hole.
            begin, dropped = min(last.begin, begin), last.dropped + dropped
            self._holes.pop()
        self._holes.append(Hole(begin, end, "buffer full", dropped))

    @property
    def is_open(self) -> bool:
        """Whether it depends on earlier processes what is missing."""
        return any(it.begin is None for it in self._holes)

    def is_whole(self, until: datetime | None) -> bool:
        """Whether nothing is missing of what follows on this moment."""
        return until is None or all(it.end <= until for it in self._holes)

    def fill(self, until: datetime | None) -> None:
        """Everything up to there is stored: by this process, or by another one."""
        if until is not None:
            self._holes = [it for it in self._holes if it.end > until]

    def missing(self, until: datetime | None) -> Iterator[Hole]:
        """The holes in what is stored once all is stored that this process has, with everything
        up to `until`. They count as filled then: they are told of. Nothing is missing before the
        first process ever began to hear the node (None and None)."""
        self.fill(until)
        holes, self._holes = self._holes, []
        for hole in holes:
            begin = until if hole.begin is None else max(hole.begin, until or hole.begin)
            if begin is not None:
                yield attrs.evolve(hole, begin=begin)
