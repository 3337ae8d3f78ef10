"""What one process keeps of calls and their counters, so that Redis may be away for long."""

from __future__ import annotations

from typing import Any, cast
from uuid import uuid4

import pytest
from twisted.internet.task import Clock

from nizam.routing.facts import Limit
from nizam.switch import call_limits
from nizam.switch.call_limits import ROUND_SECONDS, TICK_SECONDS, CallLimits
from tests.switch.counting import BEGAN, TENANT, Away, call_of, counting, end, seconds

pytestmark = pytest.mark.time_limit(20)

MINUTES = Limit("minutes_per_day", "tenant", TENANT, 2, day="2026-11-24")
CALLS = Limit("concurrent", "tenant", TENANT, 10)


async def test_the_minutes_of_a_day_are_forgotten_two_days_later() -> None:
    it = counting(Away())
    there = call_of(str(uuid4()))
    assert not await it.take(str(there.call_id), MINUTES)
    there.channels[there.call_id].answered_at = BEGAN
    end(there, there.channels[there.call_id], BEGAN + seconds(90))
    await it.says(there)
    it.clock.advance(172_799)
    await it.take(str(uuid4()), CALLS)
    assert await it.count(MINUTES) == 1
    it.clock.advance(31)
    await it.take(str(uuid4()), CALLS)
    assert await it.count(MINUTES) == 0


async def test_of_calls_that_redis_is_not_told_of_those_that_are_over_are_not_kept_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(call_limits, "MOST_UNSENT", 5)
    it = counting(Away())
    lasting = call_of(str(uuid4()))
    await it.says(lasting)
    for _ in range(20):
        there = call_of(str(uuid4()))
        end(there, there.channels[there.call_id], BEGAN)
        await it.says(there)
    assert len(it.limits._unsent) <= 5
    assert str(lasting.call_id) in it.limits._unsent


async def test_a_call_that_cannot_be_read_keeps_no_other_from_being_followed() -> None:
    broken, sound = call_of(str(uuid4()), dialled="broken"), call_of(str(uuid4()))
    sound.channels[sound.call_id].answered_at = BEGAN

    def counted(_tenant_id: object, number: str | None) -> bool:
        if number == "broken":
            raise RuntimeError(number)
        return True

    clock, calls, away = Clock(), [sound], cast(Any, Away())
    limits = CallLimits(clock, away, calls=lambda: calls, counted=counted, now=lambda: BEGAN)
    limits.startService()
    try:
        limits.changed(broken)
        clock.advance(TICK_SECONDS)
        assert (await limits.count([CALLS]))[CALLS.key][0] == 0
        clock.advance(ROUND_SECONDS)
        assert (await limits.count([CALLS]))[CALLS.key][0] == 1
    finally:
        limits.stopService()
