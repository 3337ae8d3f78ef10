"""The same work on many things, so many of them at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore, FirstError, gatherResults

T = TypeVar("T")
R = TypeVar("R")


async def side_by_side(
    items: Iterable[T], work: Callable[[T], Awaitable[R]], most: int = 50
) -> list[R]:
    """`work` on all items, at most so many at a time; their results in order.

    Raises the first error of any of them; the others go on unheard.
    """
    slots = DeferredSemaphore(most)

    def one(item: T) -> Deferred[R]:
        async def run() -> R:
            return await work(item)

        return Deferred.fromCoroutine(run())

    try:
        found = [slots.run(one, item) for item in items]
        return list(await gatherResults(found, consumeErrors=True))
    except FirstError as error:
        error.subFailure.raiseException()
        raise
