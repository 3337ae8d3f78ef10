"""Who is sent to next: one lane for each endpoint, so that none can hold up another.

No I/O and no clock: moments are arguments, in seconds. A lane starts no more requests at once
than its endpoint allows, and none before the moments that were reserved for its rate. Tenants take
turns, and the lanes of each. A request that takes long stops counting against the shared limit, the
sooner when others wait for it, and requests to an endpoint that is known to be slow never count
against it, so that endpoints which do not answer occupy sockets, a bounded number for each tenant,
but not the turns of those that do.
"""

from __future__ import annotations

from collections import Counter, deque
from uuid import UUID

import attrs

from nizam.store.system.deliveries import Delivery, Endpoint
from nizam.webhooks.breaker import Breaker
from nizam.webhooks.queue import partition_of
from nizam.webhooks.turns import Turns

SLOW_SECONDS = 1.0
CROWDED_SECONDS = 0.1
"""How long a request counts against the shared limit at least, even while others wait for it."""
SLOW_FACTOR = 4
"""Slow requests under way at most, as a multiple of the shared limit; a tenant's own at most once
the shared limit."""
KEEP_SECONDS = 900.0
"""How long it is remembered of an endpoint that nothing is sent to that it was slow or down."""
FIRST_WINDOW = 2
"""Requests at once to an endpoint that has not answered yet. Each answer doubles it, up to the
endpoint's limit, each failure halves it."""


@attrs.define(eq=False)
class Lane:
    """One endpoint's deliveries: those that wait here, and how many requests are under way."""

    endpoint: Endpoint
    limit: int
    waiting: deque[Delivery] = attrs.Factory(deque)
    in_flight: int = 0
    slow: int = 0
    window: int = FIRST_WINDOW
    breaker: Breaker = attrs.Factory(Breaker)
    slots: deque[float] = attrs.Factory(deque)
    """The moments reserved for an endpoint with a rate, one for each request."""
    reserving: bool = False
    seconds: float = 0.05
    """How long a request takes, smoothed."""
    next_return: float = 0.0
    used: float = 0.0
    in_turn: bool = False

    @property
    def tenant_id(self) -> UUID:
        """Whose endpoint it is."""
        return self.endpoint.tenant_id

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

    @property
    def suspect(self) -> bool:
        """Whether the next request is likely to take long."""
        down = self.breaker.open_until is not None
        return down or self.slow > 0 or self.seconds > SLOW_SECONDS

    @property
    def unreserved(self) -> int:
        """How many moments it should reserve: for what waits, a quarter of a second ahead."""
        if not self.endpoint.rate or self.reserving:
            return 0
        ahead = max(1, self.endpoint.rate // 4)
        return max(0, min(len(self.waiting), ahead) - len(self.slots))

    def allowance(self, now: float) -> int:
        """How many deliveries it can use now: none while its endpoint is down, one to probe it."""
        if self.breaker.open_until is not None:
            return 0 if self.busy or self.breaker.wait(now) > 0 else 1
        return self.room

    def may_start(self, now: float) -> bool:
        """Whether the next delivery may be sent now."""
        if not self.waiting or self.in_flight >= min(self.limit, self.window):
            return False
        return not self.endpoint.rate or (bool(self.slots) and self.slots[0] <= now)

    def start(self) -> Delivery:
        """Take the next delivery as being sent."""
        self.in_flight += 1
        if self.slots:
            self.slots.popleft()
        self.breaker = self.breaker.started()
        return self.waiting.popleft()

    def finish(self, now: float, seconds: float, *, alive: bool) -> None:
        """A request has ended after `seconds`; `alive` is whether the endpoint works at all."""
        self.in_flight -= 1
        self.used = now
        self.seconds += 0.2 * (seconds - self.seconds)
        self.breaker = self.breaker.succeeded() if alive else self.breaker.failed(now)
        self.window = min(self.limit, 2 * self.window) if alive else max(1, self.window // 2)

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


@attrs.define(eq=False)
class Turn:
    """A delivery that is being sent; `slow` when it does not count against the shared limit."""

    lane: Lane
    delivery: Delivery
    slow: bool
    began: float


class _Counts:
    """How many there are of each tenant, and in all."""

    def __init__(self) -> None:
        self.total = 0
        self._of: Counter[UUID] = Counter()

    def of(self, tenant_id: UUID) -> int:
        return self._of[tenant_id]

    def add(self, tenant_id: UUID, count: int) -> None:
        self.total += count
        self._of[tenant_id] += count
        if not self._of[tenant_id]:
            del self._of[tenant_id]


class Lanes:
    """All lanes of a worker. `concurrency` bounds its requests, `per_endpoint` those of a lane."""

    def __init__(self, concurrency: int, per_endpoint: int) -> None:
        self._concurrency = concurrency
        self._per_endpoint = per_endpoint
        # What is left over is for others, however many fresh endpoints one tenant has.
        self._share = max(1, concurrency - concurrency // 8)
        self._lanes: dict[UUID, Lane] = {}
        self._turns: Turns[Lane] = Turns()
        self._slow_turns: Turns[Lane] = Turns()
        self._quick = _Counts()
        self._slow = _Counts()
        # What counts against the shared limit, the oldest first.
        self._counting: dict[Turn, None] = {}
        self._unreserved: set[Lane] = set()

    @property
    def quick(self) -> int:
        """Requests under way that count against the shared limit."""
        return self._quick.total

    @property
    def waiting(self) -> int:
        """Deliveries that wait for their turn."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    def allowances(self, now: float) -> dict[int, dict[UUID, int]]:
        """By partition: how many deliveries each endpoint can use now."""
        found: dict[int, dict[UUID, int]] = {}
        for key, lane in self._lanes.items():
            found.setdefault(partition_of(key), {})[key] = lane.allowance(now)
        return found

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
        if lane.allowance(now) == 0:
            return False
        lane.waiting.append(delivery)
        self.consider(lane, now)
        return True

    def consider(self, lane: Lane, now: float) -> None:
        """Give the lane a turn if it has a delivery that may be sent."""
        if lane.unreserved:
            self._unreserved.add(lane)
        if not lane.in_turn and lane.may_start(now):
            lane.in_turn = True
            (self._slow_turns if lane.suspect else self._turns).add(lane)

    def take_unreserved(self) -> list[Lane]:
        """The lanes that need moments for their rates; each is named once."""
        lanes = [lane for lane in self._unreserved if lane.unreserved]
        self._unreserved.clear()
        return lanes

    def start(self, now: float) -> Turn | None:
        """The next delivery to send, of the tenant and lane whose turn it is; None when there is
        none."""
        while True:
            lane = None
            if self.quick < self._concurrency:
                lane = self._turns.take(lambda it: self._quick.of(it) < self._share)
            if lane is None:
                if self.crowded(now) != 0 or not self.slow_down(next(iter(self._counting))):
                    break
            elif lane.suspect:
                self._slow_turns.add(lane)
            elif (turn := self._start(lane, now, slow=False)) is not None:
                return turn
        while self._slow.total < SLOW_FACTOR * self._concurrency:
            lane = self._slow_turns.take(lambda it: self._slow.of(it) < self._concurrency)
            if lane is None:
                break
            if (turn := self._start(lane, now, slow=True)) is not None:
                return turn
        return None

    def _start(self, lane: Lane, now: float, *, slow: bool) -> Turn | None:
        lane.in_turn = False
        if not lane.may_start(now):
            return None
        turn = Turn(lane, lane.start(), slow, now)
        (self._slow if slow else self._quick).add(lane.tenant_id, 1)
        if not slow:
            self._counting[turn] = None
        lane.slow += slow
        self.consider(lane, now)
        return turn

    def crowded(self, now: float) -> float | None:
        """Seconds until the oldest request makes room for those that wait for the shared limit;
        None when none wait."""
        oldest = next(iter(self._counting), None)
        if oldest is None or not self._turns:
            return None
        return max(0.0, oldest.began + CROWDED_SECONDS - now)

    def slow_down(self, turn: Turn) -> bool:
        """A request takes long: whether it stops counting against the shared limit with this."""
        tenant_id = turn.lane.tenant_id
        if turn.slow or self._slow.total >= SLOW_FACTOR * self._concurrency:
            return False
        self._quick.add(tenant_id, -1)
        self._slow.add(tenant_id, 1)
        turn.lane.slow += 1
        turn.slow = True
        del self._counting[turn]
        return True

    def finish(self, turn: Turn, now: float, seconds: float, *, alive: bool) -> None:
        """A request has ended."""
        (self._slow if turn.slow else self._quick).add(turn.lane.tenant_id, -1)
        self._counting.pop(turn, None)
        turn.lane.slow -= turn.slow
        turn.lane.finish(now, seconds, alive=alive)
        self.consider(turn.lane, now)

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
            lane.in_turn = False
        self._turns.clear()
        self._slow_turns.clear()
        return waiting

    def forget_idle(self, now: float) -> None:
        """Drop lanes without anything to remember, and those not used for long."""
        for key, lane in list(self._lanes.items()):
            fresh = not lane.suspect and lane.breaker == Breaker()
            if not lane.busy and not lane.reserving and (fresh or now - lane.used > KEEP_SECONDS):
                del self._lanes[key]
