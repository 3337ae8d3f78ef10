"""Calls are counted under their limits: in Redis over all instances, and alone while it is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from nizam import metrics
from nizam.embedded.redis import PrivateRedis
from nizam.kv.single import SingleRedis
from nizam.routing.facts import Limit
from tests.daemon.process import frozen
from tests.switch.counting import (
    BACKUP,
    BEGAN,
    EXTENSION,
    GATEWAY,
    ROUTE,
    TENANT,
    Away,
    Counting,
    add_leg,
    call_of,
    counting,
    end,
    redis,
    seconds,
)

pytestmark = pytest.mark.time_limit(20)

CALLS = Limit("concurrent", "tenant", TENANT, 10)
PHONE = Limit("concurrent", "extension", EXTENSION, 1)
RATE = Limit("per_minute", "tenant", TENANT, 2)
ON_ROUTE = Limit("concurrent", "route", ROUTE, 1)
CHANNELS = Limit("concurrent", "gateway", GATEWAY, 2)
MINUTES = Limit("minutes_per_day", "tenant", TENANT, 2, day="2026-11-24")
COSTLY_MINUTES = Limit("minutes_per_day", "tenant", TENANT, 1, of="costly", day="2026-11-24")


@pytest_twisted.async_yield_fixture
async def client(redis_url: str) -> AsyncIterator[SingleRedis]:
    """A client of the tests' Redis."""
    from twisted.internet import reactor

    made = redis(reactor, redis_url)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(params=["shared", "alone"])
def it(request: pytest.FixtureRequest, client: SingleRedis) -> Counting:
    """The counters of one instance, with Redis and without: both do the same."""
    return counting(client if request.param == "shared" else Away())


def new() -> str:
    return str(uuid4())


async def test_fifty_calls_at_once_under_a_limit_of_ten_are_exactly_ten(it: Counting) -> None:
    asked = [Deferred.fromCoroutine(it.take(new(), CALLS)) for _ in range(50)]
    found = await gatherResults(asked)
    assert sum(not full for full in found) == 10
    assert {full[CALLS.key] for full in found if full} == {10}
    assert await it.count(CALLS) == 10


async def test_a_call_takes_all_of_its_limits_or_none(it: Counting) -> None:
    assert not await it.take(new(), PHONE)
    assert await it.take(new(), CALLS, PHONE, ON_ROUTE) == {PHONE.key: 1}
    assert [await it.count(limit) for limit in (CALLS, PHONE, ON_ROUTE)] == [0, 1, 0]


async def test_all_that_is_reached_is_said_at_once(it: Counting) -> None:
    assert not await it.take(new(), PHONE, ON_ROUTE)
    assert await it.take(new(), PHONE, CALLS, ON_ROUTE) == {PHONE.key: 1, ON_ROUTE.key: 1}


async def test_a_transfer_or_a_second_asking_takes_nothing_again(it: Counting) -> None:
    call = new()
    assert not await it.take(call, PHONE, RATE)
    for _ in range(3):
        assert not await it.take(call, PHONE, RATE, later=True)
    assert [await it.count(limit) for limit in (PHONE, RATE)] == [1, 1]


async def test_a_call_that_asks_for_more_keeps_what_it_has(it: Counting) -> None:
    call = new()
    assert not await it.take(call, CALLS)
    assert not await it.take(new(), ON_ROUTE)
    assert await it.take(call, CALLS, ON_ROUTE, later=True) == {ON_ROUTE.key: 1}
    assert await it.count(CALLS) == 1


async def test_calls_of_the_last_minute_count_also_when_they_are_over(it: Counting) -> None:
    for _ in range(2):
        call = new()
        assert not await it.take(call, RATE)
        there = call_of(call)
        await it.says(there)
        end(there, there.channels[there.call_id], BEGAN)
        await it.says(there)
    assert await it.take(new(), RATE) == {RATE.key: 2}


async def test_the_end_of_a_call_gives_everything_back(it: Counting) -> None:
    call = new()
    assert not await it.take(call, CALLS, PHONE, ON_ROUTE, CHANNELS)
    there = call_of(call)
    leg = add_leg(there, gateway=GATEWAY, answered=BEGAN)
    await it.says(there)
    assert [await it.count(it_) for it_ in (CALLS, PHONE, ON_ROUTE, CHANNELS)] == [1, 1, 1, 1]
    end(there, leg, BEGAN)
    await it.says(there)
    assert [await it.count(it_) for it_ in (CALLS, PHONE, ON_ROUTE, CHANNELS)] == [1, 1, 0, 0]
    end(there, there.channels[there.call_id], BEGAN)
    await it.says(there)
    assert [await it.count(it_) for it_ in (CALLS, PHONE, ON_ROUTE, CHANNELS)] == [0, 0, 0, 0]


async def test_a_call_that_ends_before_it_was_connected_gives_everything_back(
    it: Counting,
) -> None:
    call = new()
    assert not await it.take(call, CALLS, ON_ROUTE, CHANNELS)
    there = call_of(call)
    await it.says(there)
    end(there, there.channels[there.call_id], BEGAN)
    await it.says(there)
    assert [await it.count(limit) for limit in (CALLS, ON_ROUTE, CHANNELS)] == [0, 0, 0]


async def test_a_call_that_was_not_let_in_holds_nothing_while_it_is_refused(it: Counting) -> None:
    assert not await it.take(new(), PHONE)
    refused = call_of(new())
    await it.says(refused)
    assert await it.take(str(refused.call_id), PHONE) == {PHONE.key: 1}
    await it.says(refused)
    assert await it.count(PHONE) == 1


async def test_the_gateway_that_carries_the_call_in_the_end_is_the_one_that_counts(
    it: Counting,
) -> None:
    backup = Limit("concurrent", "gateway", BACKUP, 1)
    call = new()
    looked = Limit("concurrent", "gateway", BACKUP, 1, look=True)
    assert not await it.take(call, CHANNELS, looked)
    assert [await it.count(CHANNELS), await it.count(backup)] == [1, 0]
    there = call_of(call)
    first = add_leg(there, gateway=GATEWAY)
    await it.says(there)
    end(there, first, BEGAN)
    add_leg(there, gateway=BACKUP, answered=BEGAN)
    await it.says(there)
    assert [await it.count(CHANNELS), await it.count(backup)] == [0, 1]
    assert await it.take(new(), CHANNELS, looked) == {backup.key: 1}


async def test_a_call_has_as_many_channels_of_a_gateway_as_legs(it: Counting) -> None:
    call = new()
    assert not await it.take(call, CHANNELS, CHANNELS)
    assert await it.take(new(), CHANNELS) == {CHANNELS.key: 2}
    there = call_of(call)
    legs = [add_leg(there, gateway=GATEWAY) for _ in range(2)]
    await it.says(there)
    end(there, legs[0], BEGAN)
    await it.says(there)
    assert await it.count(CHANNELS) == 1


async def test_what_a_switch_has_counts_although_no_decision_said_so(it: Counting) -> None:
    there = call_of(new())
    there.channels[there.call_id].answered_at = BEGAN
    await it.says(there)
    assert await it.take(new(), PHONE) == {PHONE.key: 1}


async def test_calls_for_help_are_not_counted(it: Counting) -> None:
    there = call_of(new(), dialled="911")
    add_leg(there, gateway=GATEWAY, answered=BEGAN)
    await it.says(there)
    assert [await it.count(limit) for limit in (CALLS, PHONE, CHANNELS)] == [0, 0, 0]


async def test_minutes_are_those_that_were_talked_and_go_on_while_a_call_lasts(
    it: Counting,
) -> None:
    call = new()
    assert not await it.take(call, MINUTES)
    there = call_of(call)
    there.channels[there.call_id].answered_at = BEGAN
    for passed, minutes in ((59, 0), (61, 1), (61, 1), (119, 1)):
        it.now = BEGAN + seconds(passed)
        await it.says(there)
        assert await it.count(MINUTES) == minutes
    assert not await it.take(new(), MINUTES)
    end(there, there.channels[there.call_id], BEGAN + seconds(119.5))
    await it.says(there)
    assert await it.take(new(), MINUTES) == {MINUTES.key: 2}


async def test_a_call_that_is_there_is_not_stopped_at_its_next_question_by_its_own_minutes(
    it: Counting,
) -> None:
    call = new()
    assert not await it.take(call, MINUTES)
    there = call_of(call)
    there.channels[there.call_id].answered_at = BEGAN
    it.now = BEGAN + seconds(600)
    await it.says(there)
    assert not await it.take(call, MINUTES, later=True)
    assert await it.take(new(), MINUTES)


async def test_costly_minutes_are_those_of_the_leg_outside(it: Counting) -> None:
    call = new()
    assert not await it.take(call, COSTLY_MINUTES)
    there = call_of(call)
    there.channels[there.call_id].answered_at = BEGAN
    add_leg(there, gateway=GATEWAY, answered=BEGAN + seconds(300))
    it.now = BEGAN + seconds(330)
    await it.says(there)
    assert await it.count(COSTLY_MINUTES) == 0
    it.now = BEGAN + seconds(360)
    await it.says(there)
    assert await it.take(new(), COSTLY_MINUTES) == {COSTLY_MINUTES.key: 1}


async def test_numbers_count_once_however_often_they_are_dialled(it: Counting) -> None:
    def number(text: str) -> Limit:
        return Limit("numbers", "tenant", TENANT, 2, of="costly", number=text)

    for text in ("+4917012345", "+4917012345", "+33612345678", "+33612345678"):
        assert not await it.take(new(), number(text))
    assert await it.take(new(), number("+447700900123"))
    assert not await it.take(new(), number("+33612345678"))


async def test_the_same_question_is_one_attempt_and_the_next_one_another(it: Counting) -> None:
    attempts = Limit("attempts", "extension", EXTENSION, 2, of="outside")
    call = new()
    for question in ("core 1", "core 1", "core 2", "core 2"):
        assert not await it.take(call, attempts, question=question)
    assert await it.take(call, attempts, question="core 3")


async def test_what_was_reached_stays_blocked(it: Counting) -> None:
    alarm = Limit("attempts", "extension", EXTENSION, 1, of="costly", seconds=1, block_seconds=600)
    assert not await it.take(new(), alarm)
    assert await it.take(new(), alarm)
    count, blocked = (await it.limits.count([alarm]))[alarm.key]
    assert count == 1
    assert 590 < blocked <= 600
    loose = Limit("attempts", "extension", EXTENSION, 100, of="costly", block_seconds=600)
    assert await it.take(new(), loose), "blocked, although there would be room by now"


@pytest.mark.parametrize(("talked", "counted"), [(3, 1), (30, 0)])
async def test_calls_that_end_at_once_count_as_short(
    it: Counting, talked: int, counted: int
) -> None:
    alarm = Limit(
        "short_calls", "extension", EXTENSION, 1, of="costly", short_seconds=10, look=True
    )
    call = new()
    assert not await it.take(call, alarm)
    there = call_of(call)
    leg = add_leg(there, gateway=GATEWAY, answered=BEGAN)
    await it.says(there)
    end(there, leg, BEGAN + seconds(talked))
    end(there, there.channels[there.call_id], BEGAN + seconds(talked))
    await it.says(there)
    assert await it.count(alarm) == counted
    assert bool(await it.take(new(), alarm)) == bool(counted)


async def test_a_call_nobody_has_heard_of_gives_its_places_back_after_a_minute() -> None:
    alone = counting(Away())
    assert not await alone.take(new(), PHONE)
    alone.clock.advance(59)
    assert await alone.take(new(), PHONE)
    alone.clock.advance(2)
    assert not await alone.take(new(), PHONE)


async def test_places_in_redis_lapse_as_long_as_nobody_keeps_them(client: SingleRedis) -> None:
    shared, call = counting(client), new()
    assert not await shared.take(call, PHONE, ON_ROUTE)
    key = f"nizam:{{limits}}:{PHONE.key}"
    now = float((await client.command("TIME"))[0])

    async def kept() -> float:
        score = await client.zscore(key, call)
        assert score is not None
        return score / 1000 - now

    assert 55 < await kept() < 62
    there = call_of(call)
    add_leg(there, gateway=GATEWAY)
    await shared.says(there)
    assert 295 < await kept() < 305
    for name in await client.scan("nizam:{limits}:*"):
        assert 0 < int(await client.command("PTTL", name)) <= 305_000, name


async def test_while_redis_hangs_fifty_calls_at_once_are_still_no_more_than_ten(
    client: SingleRedis, redis_server: PrivateRedis
) -> None:
    shared = counting(client, 0.02)
    with frozen(redis_server.pid):
        asked = [Deferred.fromCoroutine(shared.take(new(), CALLS)) for _ in range(50)]
        found = await gatherResults(asked)
    assert sum(not full for full in found) == 10
    shared.clock.advance(2)
    await shared.limits.tick()
    assert await shared.count(CALLS) == 10, "what Redis gave too late was given back"


async def test_two_instances_count_together(redis_url: str) -> None:
    from twisted.internet import reactor

    clients = [redis(reactor, redis_url) for _ in range(2)]
    for client in clients:
        await client.start()
    try:
        instances = [counting(client) for client in clients]
        asked = [
            Deferred.fromCoroutine(instances[number % 2].take(new(), CALLS)) for number in range(50)
        ]
        found = await gatherResults(asked)
        assert sum(not full for full in found) == 10
    finally:
        for client in clients:
            await client.stop()


async def test_a_redis_that_forgot_everything_knows_the_calls_again_after_a_round(
    client: SingleRedis, redis_server: PrivateRedis
) -> None:
    shared = counting(client)
    there = call_of(new())
    assert not await shared.take(str(there.call_id), PHONE)
    there.channels[there.call_id].answered_at = BEGAN
    await shared.says(there)
    redis_server.flush()
    assert await shared.count(PHONE) == 0
    shared.clock.advance(31)
    await shared.limits.tick()
    assert await shared.count(PHONE) == 1


async def test_while_redis_hangs_calls_wait_twenty_milliseconds_once_and_are_counted_here(
    client: SingleRedis, redis_server: PrivateRedis
) -> None:
    from twisted.internet import reactor

    shared = counting(client, 0.02)
    alone = metrics.CALL_LIMITS_LOCAL_TOTAL._value.get()
    assert not await shared.take(new(), PHONE)
    with frozen(redis_server.pid):
        began = reactor.seconds()
        found = [await shared.take(new(), PHONE) for _ in range(100)]
        took = reactor.seconds() - began
    assert all(full == {PHONE.key: 1} for full in found), "what was known here still counts"
    assert took < 0.5
    assert metrics.CALL_LIMITS_LOCAL_TOTAL._value.get() - alone == 100
    await deferLater(reactor, 0.05)
    shared.clock.advance(2)
    assert await shared.take(new(), PHONE) == {PHONE.key: 1}
    assert metrics.CALL_LIMITS_LOCAL_TOTAL._value.get() - alone == 100
