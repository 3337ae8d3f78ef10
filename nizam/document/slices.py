"""Long computations in pieces, so that whoever shares the thread gets a turn in between.

A piece of work is a generator that yields wherever it can be interrupted, and returns its result.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from twisted.internet.task import deferLater

T = TypeVar("T")
Sliced = Generator[None, None, T]

SLICE_SECONDS = 0.008


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
            await deferLater(reactor, 0)
            until = clock() + seconds


def at_once(work: Sliced[T]) -> T:
    """The result of `work`, without giving way."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
