"""Pauses end when their time is over or when the sleeper is woken, and leave no timer behind."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from nizam.nap import Nap


@pytest.mark.parametrize(("seconds", "ends_after"), [(2.0, 2.0), (-1.0, 0.0), (None, None)])
def test_a_pause_takes_its_time(seconds: float | None, ends_after: float | None) -> None:
    clock = Clock()
    asleep = Deferred.fromCoroutine(Nap(clock).sleep(seconds))
    clock.advance(60.0 if ends_after is None else ends_after - 0.1 if ends_after else 0.0)
    assert asleep.called is (ends_after == 0.0)
    if ends_after:
        clock.advance(0.1)
        assert asleep.called


@pytest.mark.parametrize("seconds", [2.0, None])
def test_whoever_is_woken_goes_on_at_once(seconds: float | None) -> None:
    clock = Clock()
    nap, ended = Nap(clock), list[None]()
    nap.wake()
    Deferred.fromCoroutine(nap.sleep(seconds)).addCallback(ended.append)
    assert not ended
    nap.wake()
    assert ended == [None]
    assert clock.getDelayedCalls() == []
