"""Waiting no longer than a deadline, without cancelling what is waited for.

Some peers' drivers break when a Deferred of theirs is cancelled; what is late is left to end by
itself.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime


def within(
    clock: IReactorTime, seconds: float, work: Coroutine[Deferred[Any], Any, None]
) -> Deferred[bool]:
    """Run `work`: True when it has ended, False when `seconds` have passed before that.

    The failure of work that ends in time is passed on, a later one is dropped.
    """
    result: Deferred[bool] = Deferred()

    def ended(value: Any) -> None:
        if result.called:
            return
        overdue.cancel()
        result.callback(True) if value is None else result.errback(value)

    overdue = clock.callLater(seconds, lambda: result.callback(False))
    Deferred.fromCoroutine(work).addBoth(ended)
    return result
