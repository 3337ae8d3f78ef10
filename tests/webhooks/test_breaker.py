"""The circuit breaker of an endpoint."""

from __future__ import annotations

from nizam.webhooks.breaker import (
    FAILURES_TO_OPEN,
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Breaker,
)


def opened(now: float) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        assert breaker.wait(now) == 0
        breaker = breaker.started().failed(now)
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    assert opened(100).wait(100) == FIRST_PAUSE_SECONDS


def test_a_success_in_between_keeps_it_closed() -> None:
    breaker = Breaker()
    for _ in range(3 * FAILURES_TO_OPEN):
        breaker = breaker.failed(1).failed(1).succeeded()
    assert breaker.wait(1) == 0


def test_after_the_pause_one_probe_is_let_through() -> None:
    breaker = opened(100)
    later = 100 + FIRST_PAUSE_SECONDS
    assert breaker.wait(later) == 0
    assert breaker.started().wait(later) > 0


def test_a_probe_that_succeeds_closes_it() -> None:
    assert opened(100).started().succeeded() == Breaker()


def test_each_failed_probe_doubles_the_pause_up_to_a_limit() -> None:
    breaker, now, pauses = opened(0.0), 0.0, []
    for _ in range(10):
        pauses.append(breaker.wait(now))
        now += pauses[-1]
        breaker = breaker.started().failed(now)
    assert pauses[:3] == [5.0, 10.0, 20.0]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


def test_requests_that_were_under_way_do_not_prolong_the_pause() -> None:
    assert opened(100).failed(104).wait(104) == 1.0
