"""Whose turn it is among endpoints: fairness, limits, slow and broken ones."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest

from nizam.model.identifiers import new_id
from nizam.store.system.deliveries import Delivery, Endpoint
from nizam.webhooks.breaker import FAILURES_TO_OPEN, FIRST_PAUSE_SECONDS
from nizam.webhooks.lanes import FIRST_WINDOW, KEEP_SECONDS, Lane, Lanes, Turn


def endpoint(*, most: int = 10, rate: int = 0, tenant_id: UUID | None = None) -> Endpoint:
    return Endpoint(
        id=new_id(),
        tenant_id=tenant_id or new_id(),
        url="http://example.com/",
        headers={},
        schedule=(1,),
        timeout=5.0,
        max_in_flight=most,
        rate=rate,
        ordered=False,
        active=True,
        paused=False,
        secrets=(),
    )


def delivery(to: Endpoint) -> Delivery:
    return Delivery(
        id=new_id(),
        webhook_id=to.id,
        tenant_id=to.tenant_id,
        attempts=0,
        offset=0,
        event=None,
        endpoint=to,
    )


def fill(lanes: Lanes, to: Endpoint, count: int, *, window: int = 100) -> Lane:
    """A lane with so many deliveries, whose endpoint has answered `window` at once before."""
    lane = lanes.lane(to)
    lane.window = window
    for _ in range(count):
        lanes.add(lane, delivery(to), 0.0)
    return lane


def starting(lanes: Lanes, now: float = 0.0) -> list[Turn]:
    result = []
    while turn := lanes.start(now):
        result.append(turn)
    return result


def started(lanes: Lanes, now: float = 0.0) -> list[UUID]:
    return [turn.lane.endpoint.id for turn in starting(lanes, now)]


def test_endpoints_take_turns_whatever_their_backlogs() -> None:
    lanes = Lanes(concurrency=6, per_endpoint=8)
    busy, quiet, other = endpoint(), endpoint(), endpoint()
    for to, count in ((busy, 40), (quiet, 2), (other, 40)):
        fill(lanes, to, count)
    assert Counter(started(lanes)) == {busy.id: 2, quiet.id: 2, other.id: 2}


@pytest.mark.parametrize(("own", "settings", "most"), [(3, 8, 3), (50, 8, 8), (1, 1, 1)])
def test_the_lower_of_both_limits_holds(own: int, settings: int, most: int) -> None:
    lanes = Lanes(concurrency=100, per_endpoint=settings)
    fill(lanes, endpoint(most=own), 30)
    turns = starting(lanes)
    assert len(turns) == most
    lanes.finish(turns[0], 1.0, 0.1, alive=True)
    assert len(started(lanes, 1.0)) == 1


def test_an_endpoint_that_has_not_answered_yet_is_asked_gently() -> None:
    lanes = Lanes(concurrency=100, per_endpoint=8)
    fill(lanes, endpoint(), 30, window=FIRST_WINDOW)
    under_way = starting(lanes)
    seen = [len(under_way)]
    for _ in range(3):
        for turn in under_way:
            lanes.finish(turn, 0.0, 0.01, alive=True)
        under_way = starting(lanes)
        seen.append(len(under_way))
    assert seen == [2, 8, 8, 8]
    for turn in under_way:
        lanes.finish(turn, 0.0, 0.01, alive=False)
    assert len(starting(lanes)) <= 1


def test_tenants_take_turns_however_many_endpoints_they_have() -> None:
    lanes = Lanes(concurrency=6, per_endpoint=8)
    rich, poor = new_id(), new_id()
    for _ in range(50):
        fill(lanes, endpoint(tenant_id=rich), 10, window=1)
    fill(lanes, endpoint(tenant_id=poor), 10)
    assert Counter(it.lane.tenant_id for it in starting(lanes)) == {rich: 3, poor: 3}


def test_one_tenant_never_has_the_whole_of_the_shared_limit() -> None:
    lanes = Lanes(concurrency=16, per_endpoint=8)
    for _ in range(50):
        fill(lanes, endpoint(tenant_id=UUID(int=1)), 10)
    assert len(started(lanes)) == 14
    other = endpoint()
    fill(lanes, other, 10)
    assert started(lanes) == [other.id] * 2


def test_requests_to_an_endpoint_that_is_known_to_be_slow_take_nobodys_turn() -> None:
    lanes = Lanes(concurrency=4, per_endpoint=4)
    slow = [endpoint() for _ in range(8)]
    for to in slow:
        lane = fill(lanes, to, 5)
        lane.seconds = 15.0
    assert len(started(lanes)) == 4 * 4
    assert lanes.quick == 0
    healthy = endpoint()
    fill(lanes, healthy, 4)
    assert started(lanes) == [healthy.id] * 4


def test_a_tenants_slow_requests_leave_room_for_those_of_others() -> None:
    lanes = Lanes(concurrency=4, per_endpoint=4)
    for tenant_id, count in ((UUID(int=1), 20), (UUID(int=2), 1)):
        for _ in range(count):
            fill(lanes, endpoint(tenant_id=tenant_id), 5).seconds = 15.0
    assert Counter(it.lane.tenant_id.int for it in starting(lanes)) == {1: 4, 2: 4}


def test_requests_of_an_endpoint_with_a_rate_start_at_the_moments_reserved_for_them() -> None:
    lanes = Lanes(concurrency=100, per_endpoint=100)
    lane = fill(lanes, endpoint(rate=40), 30)
    assert lanes.take_unreserved() == [lane]
    assert (lane.unreserved, started(lanes)) == (10, [])
    lane.slots.extend(1 + tick / 40 for tick in range(10))
    times = []
    for tick in range(200):
        lanes.consider(lane, tick / 100)
        times += [tick] * len(started(lanes, tick / 100))
    assert (len(times), times[0], times[-1]) == (10, 100, 123)
    assert lanes.take_unreserved() == [lane]


def test_a_slow_request_frees_its_turn_but_not_its_endpoints_limit() -> None:
    lanes = Lanes(concurrency=2, per_endpoint=2)
    slow, healthy = endpoint(), endpoint()
    lane = fill(lanes, slow, 5)
    turns = starting(lanes)
    assert [it.lane for it in turns] == [lane] * 2
    fill(lanes, healthy, 1)
    assert started(lanes) == []
    assert lanes.slow_down(turns[0])
    assert started(lanes) == [healthy.id]


def test_slow_requests_are_bounded_too() -> None:
    lanes = Lanes(concurrency=2, per_endpoint=100)
    turns: list[Turn] = []
    for _ in range(20):
        fill(lanes, endpoint(most=1), 3)
        turns += starting(lanes)
        for turn in turns:
            lanes.slow_down(turn)
    assert len(turns) == 2 + 4 * 2


def test_what_waits_for_a_slow_endpoint_is_turned_away() -> None:
    lanes = Lanes(concurrency=10, per_endpoint=2)
    to = endpoint()
    lane = fill(lanes, to, 10)
    lanes.slow_down(starting(lanes)[0])
    assert len(lanes.turn_away(lane, 1.0)) == 8
    assert not lanes.add(lane, delivery(to), 1.0)
    assert lanes.waiting == 0


def test_a_broken_endpoint_gets_one_probe_after_its_pause() -> None:
    lanes = Lanes(concurrency=10, per_endpoint=10)
    to = endpoint()
    lane = fill(lanes, to, FAILURES_TO_OPEN + 3)
    for _ in range(FAILURES_TO_OPEN):
        turn = lanes.start(0.0)
        assert turn is not None
        lanes.finish(turn, 0.0, 0.1, alive=False)
    assert len(lanes.turn_away(lane, 0.0)) == 3
    assert not lanes.add(lane, delivery(to), 1.0)
    later = FIRST_PAUSE_SECONDS
    assert [lanes.add(lane, delivery(to), later) for _ in range(3)] == [True, False, False]
    (probe,) = starting(lanes, later)
    assert not lanes.add(lane, delivery(to), later)
    assert lane.allowance(later) == 0
    lanes.finish(probe, later, 0.1, alive=True)
    assert lanes.add(lane, delivery(to), later)


def test_those_without_room_come_back_one_after_another_within_a_minute() -> None:
    lane = Lane(endpoint(), limit=2, seconds=1.0)
    slots = [lane.return_slot(100.0) for _ in range(50)]
    assert slots == sorted(slots)
    assert len(set(slots)) == 50
    assert all(100.0 < lane.return_slot(100.0) <= 161.0 for _ in range(1000))


def test_idle_endpoints_are_forgotten() -> None:
    lanes = Lanes(concurrency=10, per_endpoint=10)
    to = endpoint()
    lane = fill(lanes, to, 1)
    lanes.forget_idle(0.0)
    assert lanes.lane(to) is lane
    (turn,) = starting(lanes)
    lanes.finish(turn, 0.0, 0.1, alive=True)
    lanes.forget_idle(0.0)
    assert lanes.lane(to) is not lane


def test_what_is_known_against_an_endpoint_is_remembered_for_a_while() -> None:
    lanes = Lanes(concurrency=10, per_endpoint=10)
    to = endpoint()
    fill(lanes, to, 1)
    (turn,) = starting(lanes)
    lanes.finish(turn, 0.0, 0.1, alive=False)
    lanes.forget_idle(KEEP_SECONDS)
    assert lanes.lane(to) is turn.lane
    lanes.forget_idle(KEEP_SECONDS + 1)
    assert lanes.lane(to) is not turn.lane
