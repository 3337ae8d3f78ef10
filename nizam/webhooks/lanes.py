"""Whose turn it is: one lane for each endpoint, so that none can hold up another.

No I/O and no clock: moments are arguments, in seconds. A lane starts no more requests at once
than its endpoint allows and no faster than its rate; lanes with work take turns. A request that
takes long stops counting against the shared limit, so that endpoints which never answer occupy
sockets but not the turns of those that do.
"""

from __future__ import annotations

from collections import deque
from uuid import UUID

import attrs

from nizam.store.system.deliveries import Delivery, Endpoint
from nizam.webhooks.breaker import Breaker

SLOW_FACTOR = 4
"""Slow requests under way at most, as a multiple of the shared limit."""


@attrs.define(eq=False)
class Lane:
    """One endpoint's deliveries: those that wait here, and how many requests are under way."""

    endpoint: Endpoint
    limit: int
    waiting: deque[Delivery] = attrs.Factory(deque)
    in_flight: int = 0
    slow: int = 0
    breaker: Breaker = attrs.Factory(Breaker)
    next_start: float = 0.0
    seconds: float = 0.05
    """How long a request takes, smoothed."""
    next_return: float = 0.0
    in_turn: bool = False

    @property
    def room(self) -> int:
        """How many more deliveries may wait here: enough to keep the endpoint busy.

        While a request takes long, only those that can be sent at once: what waits for a slow
        endpoint must not fill the worker.
        """
        most = self.limit - self.in_flight if self.slow else 4 * self.limit + 32
        return max(0, most - len(self.waiting))

    @property
    def busy(self) -> bool:
        """Whether anything waits or is under way."""
        return bool(self.waiting) or self.in_flight > 0

    def may_start(self, now: float) -> bool:
        """Whether the next delivery may be sent now."""
        return bool(self.waiting) and self.in_flight < self.limit and now >= self.next_start

    def start(self, now: float) -> Delivery:
        """Take the next delivery as being sent."""
        self.in_flight += 1
        if self.endpoint.rate:
            self.next_start = max(now, self.next_start) + 1 / self.endpoint.rate
        self.breaker = self.breaker.started()
        return self.waiting.popleft()

    def finish(self, now: float, seconds: float, *, alive: bool) -> None:
        """A request has ended after `seconds`; `alive` is whether the endpoint works at all."""
        self.in_flight -= 1
        self.seconds += 0.2 * (seconds - self.seconds)
        self.breaker = self.breaker.succeeded() if alive else self.breaker.failed(now)

    def return_slot(self, now: float) -> float:
        """The moment at which a delivery that has no room here should come back.

        Each gets a moment of its own, at the pace at which the endpoint takes them, and within a
        minute, since the pace may change.
        """
        pace = max(self.seconds, 0.001) / self.limit
        if self.endpoint.rate:
            pace = max(pace, 1 / self.endpoint.rate)
        earliest = now + max(self.breaker.wait(now), pace * len(self.waiting), 0.05)
        self.next_return = max(self.next_return + pace, earliest)
        if self.next_return > earliest + 60:
            self.next_return = earliest
        return self.next_return


class Lanes:
    """All lanes of a worker. `concurrency` bounds its requests, `per_endpoint` those of a lane."""

    def __init__(self, concurrency: int, per_endpoint: int) -> None:
        self._concurrency = concurrency
        self._per_endpoint = per_endpoint
        self._lanes: dict[UUID, Lane] = {}
        self._turns: deque[Lane] = deque()
        self._quick = 0
        self._slow = 0

    @property
    def quick(self) -> int:
        """Requests under way that count against the shared limit."""
        return self._quick

    @property
    def waiting(self) -> int:
        """Deliveries that wait for their turn."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    def lane(self, endpoint: Endpoint) -> Lane:
        """The endpoint's lane, with the endpoint as it is now."""
        limit = min(endpoint.max_in_flight, self._per_endpoint)
        lane = self._lanes.get(endpoint.id)
        if lane is None:
            lane = self._lanes[endpoint.id] = Lane(endpoint, limit)
        lane.endpoint, lane.limit = endpoint, limit
        return lane

    def add(self, lane: Lane, delivery: Delivery, now: float) -> bool:
        """Let a delivery wait in its lane; False when it should come back later instead."""
        if lane.breaker.wait(now) > 0 or lane.room == 0:
            return False
        if lane.breaker.open_until is not None and lane.busy:
            # The breaker lets one probe through, not all that have come for it.
            return False
        lane.waiting.append(delivery)
        self.consider(lane, now)
        return True

    def consider(self, lane: Lane, now: float) -> None:
        """Give the lane a turn if it has a delivery that may be sent."""
        if not lane.in_turn and lane.may_start(now):
            lane.in_turn = True
            self._turns.append(lane)

    def start(self, now: float) -> tuple[Lane, Delivery] | None:
        """The next delivery to send, of the lane whose turn it is; None when there is none."""
        while self._turns and self._quick < self._concurrency:
            lane = self._turns.popleft()
            lane.in_turn = False
            if not lane.may_start(now):
                continue
            delivery = lane.start(now)
            self._quick += 1
            self.consider(lane, now)
            return lane, delivery
        return None

    def slow_down(self, lane: Lane) -> bool:
        """A request of the lane takes long: whether it stops counting against the shared limit."""
        if self._slow >= SLOW_FACTOR * self._concurrency:
            return False
        self._quick -= 1
        self._slow += 1
        lane.slow += 1
        return True

    def finish(self, lane: Lane, now: float, seconds: float, *, slow: bool, alive: bool) -> None:
        """A request of the lane has ended."""
        if slow:
            self._slow -= 1
            lane.slow -= 1
        else:
            self._quick -= 1
        lane.finish(now, seconds, alive=alive)
        self.consider(lane, now)

    def turn_away(self, lane: Lane, now: float) -> list[Delivery]:
        """What waits in a lane that is down or slow and should come back later instead."""
        if lane.breaker.wait(now) > 0:
            keep = 0
        elif lane.slow:
            keep = max(0, lane.limit - lane.in_flight)
        else:
            return []
        return [lane.waiting.pop() for _ in range(len(lane.waiting) - keep)][::-1]

    def take_all(self) -> list[Delivery]:
        """Everything that waits, which then waits no more."""
        waiting = [delivery for lane in self._lanes.values() for delivery in lane.waiting]
        for lane in self._lanes.values():
            lane.waiting.clear()
        self._turns.clear()
        return waiting

    def forget_idle(self, now: float) -> None:
        """Drop lanes without anything to remember."""
        for key, lane in list(self._lanes.items()):
            if not lane.busy and lane.breaker == Breaker() and now >= lane.next_start:
                del self._lanes[key]
