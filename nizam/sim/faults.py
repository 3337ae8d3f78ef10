"""Faults on demand: what happens to event frames between the switch and its clients."""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary


class Faults:
    """Counts down faults over the event frames of all connections together.

    Set a number and that many of the next frames are hit: `truncate` cuts a frame in half,
    `duplicate` sends it twice, `lose` drops it, `reorder` sends it after the frame that follows on
    the same connection; outcomes of commands, which nothing may follow for long, keep their place.
    `lose_every` drops each n-th frame for as long as it is set; 0 drops none.
    """

    def __init__(self) -> None:
        self.truncate = 0
        self.duplicate = 0
        self.lose = 0
        self.reorder = 0
        self.lose_every = 0
        self.lost = 0
        self._seen = 0
        self._kept: WeakKeyDictionary[object, bytes] = WeakKeyDictionary()

    @property
    def seen(self) -> int:
        """How many event frames were sent, or would have been without faults."""
        return self._seen

    def change(self, frame: bytes, connection: object) -> Iterator[bytes]:
        """What is sent to the connection in place of `frame`, and after it."""
        self._seen += 1
        if self.lose or (self.lose_every and self._seen % self.lose_every == 0):
            self.lose = max(0, self.lose - 1)
            self.lost += 1
            return
        if self.reorder and connection not in self._kept and b"BACKGROUND_JOB" not in frame:
            self.reorder -= 1
            self._kept[connection] = frame
            return
        if self.truncate:
            self.truncate -= 1
            frame = frame[: len(frame) // 2]
        yield frame
        if self.duplicate:
            self.duplicate -= 1
            yield frame
        kept = self._kept.pop(connection, None)
        if kept is not None:
            yield kept
