"""When a failed delivery is tried again, and what each answer of an endpoint means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import attrs

JITTER = 0.2
LONGEST_RETRY_AFTER_SECONDS = 86_400.0
_HONOURS_RETRY_AFTER = frozenset({429, 503})

Verdict = Literal["succeeded", "retry", "dead", "gone"]


@attrs.frozen
class Outcome:
    """What follows from one attempt.

    `retry` comes with the delay in seconds until the next one; `dead` means that the schedule is
    used up; `gone` that the endpoint asked never to be called again (410).
    """

    verdict: Verdict
    delay: float | None = None


def judge(
    status: int | None,
    attempts: int,
    schedule: Sequence[int],
    retry_after: float | None,
    random: Callable[[], float],
) -> Outcome:
    """What follows from an attempt that was answered with `status`, or not at all (None).

    `attempts` counts those made, this one included; `schedule` holds the seconds before each
    further one; `retry_after` is what the endpoint asked for, in seconds; `random` gives
    0.0 <= x < 1.0.
    """
    if status is not None and 200 <= status < 300:
        return Outcome("succeeded")
    if status == 410:
        return Outcome("gone")
    if attempts > len(schedule):
        return Outcome("dead")
    delay = jittered(schedule[attempts - 1], random)
    if status in _HONOURS_RETRY_AFTER and retry_after is not None:
        # Never sooner than asked for, and never sooner than our own schedule.
        delay = max(delay, min(retry_after, LONGEST_RETRY_AFTER_SECONDS))
    return Outcome("retry", delay)


def jittered(seconds: float, random: Callable[[], float]) -> float:
    """`seconds` moved by up to 20 % either way, so that retries do not come in waves."""
    return seconds * (1 - JITTER + 2 * JITTER * random())


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Seconds from `now` that a Retry-After header (RFC 9110, 10.2.3) asks for; None if unreadable.

    A moment that has passed gives 0.
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        # int() refuses thousands of digits; no endpoint means more than ten.
        return float(text) if len(text) <= 10 else LONGEST_RETRY_AFTER_SECONDS
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
