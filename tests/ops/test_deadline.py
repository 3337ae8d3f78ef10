"""Waiting no longer than a deadline, without cancelling what is waited for."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from nizam.ops.deadline import within


async def _of(result: Deferred[None], seen: list[str]) -> None:
    try:
        await result
    except CancelledError:
        seen.append("cancelled")
        raise
    seen.append("ended")


@pytest.mark.parametrize(("answers", "in_time"), [(True, True), (False, False)])
def test_it_says_whether_the_work_ended_in_time(answers: bool, in_time: bool) -> None:
    clock, peer, seen = Clock(), Deferred[None](), list[str]()
    said: list[bool] = []
    within(clock, 5.0, _of(peer, seen)).addCallback(said.append)
    if answers:
        peer.callback(None)
    clock.advance(5.0)
    assert said == [in_time]
    assert not clock.getDelayedCalls()


def test_late_work_is_not_cancelled() -> None:
    clock, peer, seen = Clock(), Deferred[None](), list[str]()
    within(clock, 5.0, _of(peer, seen))
    clock.advance(5.0)
    peer.callback(None)
    assert seen == ["ended"]


def test_a_failure_in_time_is_passed_on() -> None:
    clock, peer = Clock(), Deferred[None]()
    failures: list[object] = []
    within(clock, 5.0, _of(peer, [])).addBoth(failures.append)
    peer.errback(ValueError("no"))
    assert [it.type for it in failures if isinstance(it, Failure)] == [ValueError]
