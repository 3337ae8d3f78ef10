"""What follows from each answer, and when the next attempt is made."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nizam.webhooks.schedule import LONGEST_RETRY_AFTER_SECONDS, judge, parse_retry_after

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
SCHEDULE = (5, 30, 120)


def middle() -> float:
    return 0.5


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, "succeeded"),
        (201, "succeeded"),
        (204, "succeeded"),
        (299, "succeeded"),
        (301, "retry"),
        (302, "retry"),
        (307, "retry"),
        (400, "retry"),
        (401, "retry"),
        (404, "retry"),
        (410, "gone"),
        (429, "retry"),
        (500, "retry"),
        (503, "retry"),
        (None, "retry"),
    ],
)
def test_an_answer_means(status: int | None, verdict: str) -> None:
    assert judge(status, 1, SCHEDULE, None, middle).verdict == verdict


@pytest.mark.parametrize(("attempts", "delay"), [(1, 5.0), (2, 30.0), (3, 120.0)])
def test_the_schedule_is_followed(attempts: int, delay: float) -> None:
    assert judge(500, attempts, SCHEDULE, None, middle).delay == pytest.approx(delay)


def test_after_the_last_attempt_it_is_dead() -> None:
    assert judge(500, 4, SCHEDULE, None, middle).verdict == "dead"
    assert judge(None, 1, (), None, middle).verdict == "dead"


@pytest.mark.parametrize(("random", "delay"), [(0.0, 4.0), (0.5, 5.0), (0.999999, 6.0)])
def test_jitter_moves_a_delay_by_a_fifth_at_most(random: float, delay: float) -> None:
    assert judge(500, 1, SCHEDULE, None, lambda: random).delay == pytest.approx(delay, rel=1e-4)


@pytest.mark.parametrize(
    ("status", "retry_after", "delay"),
    [
        (429, 60.0, 60.0),
        (503, 60.0, 60.0),
        (503, 1.0, 5.0),
        (500, 60.0, 5.0),
        (429, 1e9, LONGEST_RETRY_AFTER_SECONDS),
    ],
)
def test_retry_after_is_honoured_of_429_and_503(
    status: int, retry_after: float, delay: float
) -> None:
    assert judge(status, 1, SCHEDULE, retry_after, middle).delay == pytest.approx(delay)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Tue, 24 Nov 2026 12:01:00 GMT", 60.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("9" * 5000, LONGEST_RETRY_AFTER_SECONDS),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1.5", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds
