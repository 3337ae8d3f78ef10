"""Whose turn it is among endpoints: fairness, limits, slow and broken ones."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from uuid import UUID

import pytest

from nizam.model.identifiers import new_id
from nizam.store.system.deliveries import Delivery, Endpoint
from nizam.webhooks.breaker import FAILURES_TO_OPEN, FIRST_PAUSE_SECONDS
from nizam.webhooks.lanes import Lane, Lanes


def endpoint(*, most: int = 10, rate: int = 0) -> Endpoint:
    return Endpoint(
        id=new_id(),
        tenant_id=new_id(),
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


def fill(lanes: Lanes, to: Endpoint, count: int) -> Lane:
    lane = lanes.lane(to)
    for _ in range(count):
        lanes.add(lane, delivery(to), 0.0)
    return lane


def started(lanes: Lanes, now: float = 0.0) -> list[UUID]:
    result = []
    while turn := lanes.start(now):
        result.append(turn[0].endpoint.id)
    return result


def test_endpoints_take_turns_whatever_their_backlogs() -> None:
    lanes = Lanes(concurrency=6, per_endpoint=8)
    busy, quiet, other = endpoint(), endpoint(), endpoint()
    for to, count in ((busy, 40), (quiet, 2), (other, 40)):
        fill(lanes, to, count)
    assert Counter(started(lanes)) == {busy.id: 2, quiet.id: 2, other.id: 2}


@pytest.mark.parametrize(("own", "settings", "most"), [(3, 8, 3), (50, 8, 8), (1, 1, 1)])
def test_the_lower_of_both_limits_holds(own: int, settings: int, most: int) -> None:
    lanes = Lanes(concurrency=100, per_endpoint=settings)
    lane = fill(lanes, endpoint(most=own), 30)
    assert len(started(lanes)) == most
    lanes.finish(lane, 1.0, 1.0, slow=False, alive=True)
    assert len(started(lanes, 1.0)) == 1


def test_a_rate_spaces_the_starts() -> None:
    lanes = Lanes(concurrency=100, per_endpoint=100)
    lane = fill(lanes, endpoint(rate=10), 5)
    times = []
    for tick in range(60):
        now = tick / 100
        lanes.consider(lane, now)
        times += [now] * len(started(lanes, now))
    gaps = [after - before for before, after in pairwise(times)]
    assert len(gaps) == 4
    assert all(0.0999 < gap < 0.1201 for gap in gaps)


def test_a_slow_request_frees_its_turn_but_not_its_endpoints_limit() -> None:
    lanes = Lanes(concurrency=2, per_endpoint=2)
    slow, healthy = endpoint(), endpoint()
    lane = fill(lanes, slow, 5)
    assert started(lanes) == [slow.id] * 2
    fill(lanes, healthy, 1)
    assert started(lanes) == []
    assert lanes.slow_down(lane)
    assert started(lanes) == [healthy.id]


def test_slow_requests_are_bounded_too() -> None:
    lanes = Lanes(concurrency=2, per_endpoint=100)
    lane = fill(lanes, endpoint(most=100), 30)
    while started(lanes):
        while lanes.quick and lanes.slow_down(lane):
            pass
    assert lane.in_flight == 2 + 4 * 2


def test_what_waits_for_a_slow_endpoint_is_turned_away() -> None:
    lanes = Lanes(concurrency=10, per_endpoint=2)
    to = endpoint()
    lane = fill(lanes, to, 10)
    started(lanes)
    lanes.slow_down(lane)
    assert len(lanes.turn_away(lane, 1.0)) == 8
    assert not lanes.add(lane, delivery(to), 1.0)
    assert lanes.waiting == 0


def test_a_broken_endpoint_gets_one_probe_after_its_pause() -> None:
    lanes = Lanes(concurrency=10, per_endpoint=10)
    to = endpoint()
    lane = fill(lanes, to, FAILURES_TO_OPEN + 3)
    for _ in range(FAILURES_TO_OPEN):
        assert lanes.start(0.0) is not None
        lanes.finish(lane, 0.0, 0.1, slow=False, alive=False)
    assert len(lanes.turn_away(lane, 0.0)) == 3
    assert not lanes.add(lane, delivery(to), 1.0)
    later = FIRST_PAUSE_SECONDS
    assert [lanes.add(lane, delivery(to), later) for _ in range(3)] == [True, False, False]
    assert len(started(lanes, later)) == 1
    assert not lanes.add(lane, delivery(to), later)
    lanes.finish(lane, later, 0.1, slow=False, alive=True)
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
    started(lanes)
    lanes.finish(lane, 0.0, 0.1, slow=False, alive=True)
    lanes.forget_idle(0.0)
    assert lanes.lane(to) is not lane
