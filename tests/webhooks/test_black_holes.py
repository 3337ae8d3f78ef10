"""What endpoints that cease to answer cost those that answer, counted in simulated time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from random import Random

import pytest

from nizam.model.identifiers import new_id
from nizam.webhooks.lanes import SLOW_SECONDS, Lanes, Turn
from tests.webhooks.test_lanes import delivery, endpoint

CONCURRENCY = 64
EVENTS_PER_SECOND = 10
ANSWER_SECONDS, TIMEOUT_SECONDS = 0.02, 5.0
CEASE, END = 1.0, 8.0


def waits(healthy: int, holes: int, tenants: int) -> list[float]:
    """How long each delivery to the healthy endpoints waits for its turn, in seconds: every event
    goes to every endpoint, and the holes answer until CEASE only."""
    lanes, random, numbers = Lanes(CONCURRENCY, 8), Random(1), count()
    owners = [new_id() for _ in range(tenants)]
    endpoints = [endpoint(tenant_id=owners[it % tenants]) for it in range(healthy + holes)]
    black = {it.id for it in endpoints[healthy:]}
    agenda: list[tuple[float, int, Callable[[float], None]]] = []
    due, found = {}, []
    under_way: set[int] = set()

    def at(moment: float, act: Callable[[float], None]) -> None:
        heapq.heappush(agenda, (moment, next(numbers), act))

    def tell(now: float) -> None:
        for to in endpoints:
            it = delivery(to)
            if lanes.add(lanes.lane(to), it, now):
                due[it.id] = now

    def send(turn: Turn, now: float) -> None:
        under_way.add(id(turn))
        dead = turn.lane.endpoint.id in black and now >= CEASE
        if turn.lane.endpoint.id not in black:
            found.append(now - due[turn.delivery.id])

        def is_slow(later: float) -> None:
            if id(turn) in under_way:
                lanes.slow_down(turn)
                lanes.turn_away(turn.lane, later)

        def ends(later: float) -> None:
            under_way.remove(id(turn))
            lanes.finish(turn, later, later - now, alive=not dead)
            lanes.turn_away(turn.lane, later)

        at(now + SLOW_SECONDS, is_slow)
        at(now + (TIMEOUT_SECONDS if dead else ANSWER_SECONDS * random.uniform(0.5, 1.5)), ends)

    for number in range(int(END * EVENTS_PER_SECOND)):
        at(number / EVENTS_PER_SECOND, tell)
    while agenda:
        now, _, act = heapq.heappop(agenda)
        act(now)
        while turn := lanes.start(now):
            send(turn, now)
        if wait := lanes.crowded(now):
            at(now + wait, lambda _: None)
    return found


@pytest.mark.parametrize("tenants", [1, 4])
@pytest.mark.parametrize("each", [5, 10, 20])
def test_healthy_endpoints_wait_no_longer_beside_as_many_that_cease_to_answer(
    each: int, tenants: int
) -> None:
    alone, beside = waits(2 * each, 0, tenants), waits(each, each, tenants)
    assert len(beside) == len(alone) / 2 == each * END * EVENTS_PER_SECOND
    assert max(beside) <= max(alone) + 0.05
