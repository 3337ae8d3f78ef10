"""Long computations in pieces, so that whoever shares the thread gets a turn in between.

A piece of work is a generator that yields wherever it can be interrupted, and returns its result.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from twisted.internet.task import deferLater

T = TypeVar("T")
Sliced = Generator[None, None, T]

SLICE_SECONDS = 0.008
_NEVER = 1_000_000_000


async def in_slices(reactor: Any, work: Sliced[T], seconds: float = SLICE_SECONDS) -> T:
    """The result of `work`, which gives way after each `seconds` of it."""
    clock: Callable[[], float] = reactor.seconds
    until = clock() + seconds
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        if clock() >= until:
            await give_way(reactor)
            until = clock() + seconds


async def give_way(reactor: Any) -> None:
    """Let whoever shares the thread have a turn before the next short step."""
    await deferLater(reactor, 0)


def at_once(work: Sliced[T]) -> T:
    """The result of `work`, without giving way."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


_MOST_IN_A_ROW = 50


class _Collections:
    """How many want full collections of garbage to wait, the threshold before the first of them,
    and how many have had their way since the last full collection, whose number is `last`."""

    waiting = 0
    threshold = 10
    in_a_row = 0
    last = -1


@contextmanager
def full_collections_wait() -> Iterator[None]:
    """No full collection of cyclic garbage begins inside.

    One goes through every object there is, and while many are being made they come often: 0.1 s
    each beside ten thousand rows. What is not cyclic is freed at once in any case. Whoever comes
    after fifty others without a full collection in between has none put off, so that cyclic
    garbage does not pile up where one large piece of work follows the other.
    """
    done = gc.get_stats()[2]["collections"]
    if done != _Collections.last:
        _Collections.last, _Collections.in_a_row = done, 0
    _Collections.in_a_row += 1
    if _Collections.in_a_row > _MOST_IN_A_ROW:
        yield
        return
    if not _Collections.waiting:
        young, middle, _Collections.threshold = gc.get_threshold()
        gc.set_threshold(young, middle, _NEVER)
    _Collections.waiting += 1
    try:
        yield
    finally:
        _Collections.waiting -= 1
        if not _Collections.waiting:
            young, middle, _ = gc.get_threshold()
            gc.set_threshold(young, middle, _Collections.threshold)
