"""How long the thread belongs to one thing while something is done."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from time import thread_time

from twisted.internet.task import LoopingCall


@contextmanager
def used_at_once() -> Iterator[list[float]]:
    """The seconds between the turns of the reactor. Time of the processor, so that the other
    processes of the machine do not count; what the tests before have left is spared full
    collections, as what a daemon has loaded is."""
    gc.collect()
    gc.freeze()
    found: list[float] = []
    last = [thread_time()]

    def tick() -> None:
        now = thread_time()
        found.append(now - last[0])
        last[0] = now

    clock = LoopingCall(tick)
    clock.start(0)
    try:
        yield found
    finally:
        clock.stop()
        gc.unfreeze()
