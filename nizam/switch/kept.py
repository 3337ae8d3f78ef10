"""What a process keeps of a node for which another one stores: no more than that may still lose."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Final

import attrs

from nizam.switch.batch import Batch, decode, encode
from nizam.switch.missing import moments
from nizam.switch.watermark import Place

ITEMS: Final = 250
"""In one portion, which is let go as a whole."""
MOST_PLACES: Final = 200_000


@attrs.frozen
class Portion:
    """Some of it as `encode` gives it. It follows from events up to the one with number `heard`;
    the first and the last thing in it happened at `begin` and `end`."""

    heard: int
    document: bytes
    items: int
    begin: datetime
    end: datetime
    kept_at: float


class Kept:
    """The items of one node in the order in which they came."""

    def __init__(self) -> None:
        self._heard = 0
        self._numbers: dict[Place, int] = {}
        self._portions: deque[Portion] = deque()
        self._open = Batch()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """How many bytes are kept; what came a moment ago does not count yet."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._open) + sum(it.items for it in self._portions)

    def hear(self, place: Place) -> None:
        """The node has said this. What is put from now on may follow from it."""
        self._heard += 1
        self._numbers.setdefault(place, self._heard)
        if len(self._numbers) > MOST_PLACES:
            del self._numbers[next(iter(self._numbers))]

    def put(self, batch: Batch, now: float) -> None:
        """Keep the items of a batch; `now` is any clock in seconds."""
        self._open.extend(batch)
        if len(self._open) >= ITEMS:
            self.close(now)

    def close(self, now: float) -> None:
        """Make a portion of what has come since the last one."""
        if not len(self._open):
            return
        batch, self._open = self._open, Batch()
        times = [at for _, at in moments(batch)]
        if not times:
            return
        portion = Portion(self._heard, encode(batch), len(batch), min(times), max(times), now)
        self._portions.append(portion)
        self._bytes += len(portion.document)

    def trim(self, place: Place | None) -> None:
        """Let go of everything that follows from events up to this one, if it was heard."""
        number = None if place is None else self._numbers.get(place)
        if number is None:
            return
        while self._numbers:
            oldest = next(iter(self._numbers))
            if self._numbers[oldest] > number:
                break
            del self._numbers[oldest]
        while self._portions and self._portions[0].heard <= number:
            self._forget_first()

    def first(self, until: float | None = None) -> Portion | None:
        """The oldest portion; if `until` is given, only one that was kept by that time."""
        if not self._portions or (until is not None and self._portions[0].kept_at > until):
            return None
        return self._portions[0]

    def drop(self, portion: Portion) -> None:
        """Let go of the oldest portion, if it still is this one."""
        if self._portions and self._portions[0] is portion:
            self._forget_first()

    def take(self) -> Batch | None:
        """The oldest items, which are kept no more; None when there are none."""
        portion = self.first()
        if portion is not None:
            self._forget_first()
            return decode(portion.document)
        batch, self._open = self._open, Batch()
        return batch if len(batch) else None

    def _forget_first(self) -> None:
        self._bytes -= len(self._portions.popleft().document)
