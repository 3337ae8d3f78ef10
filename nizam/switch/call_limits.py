"""Counts calls under their limits, over all switches and all instances.

The counters are in Redis. A call that has limits takes its places there in one step, before it is
answered; what the switches tell of calls then keeps them, gives them back and puts them right.
While Redis is away or slow each instance counts by what it knows itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Final
from uuid import UUID

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nizam import metrics
from nizam.errors import KeyValueUnavailable
from nizam.events.channels import Call
from nizam.kv.interface import IKeyValue, Value
from nizam.routing.facts import Limit
from nizam.routing.request import CallRequest
from nizam.switch.call_states import CallState, Counted, Held, chunks, state_of
from nizam.switch.counters import (
    KEPT_SECONDS,
    PREFIX,
    RECORD,
    RESERVED_SECONDS,
    Wanted,
    call_of,
    wanted,
)
from nizam.switch.local_counts import LocalCounts

FIRST_PAUSE_SECONDS: Final = 0.05
LAST_PAUSE_SECONDS: Final = 1.0
"""How long Redis is not asked after it did not answer: each time twice as long."""
TICK_SECONDS: Final = 0.1
ROUND_SECONDS: Final = 30.0
"""Between reports of all calls: what an event did not tell is put right by then."""

MOST_LATE: Final = 2000
"""Calls that were counted here and are told to Redis when it is back; of the others it learns
once they are connected."""

MOST_UNSENT: Final = 50_000
"""Calls that Redis is yet to be told of, beyond which those that are over are not kept: their
places lapse there by themselves."""

NO_CALL: Final = CallRequest("", "", "")


def _everything(_tenant_id: UUID, _number: str | None) -> bool:
    return True


class CallLimits(Service):
    """The counters of one process.

    `calls` gives the calls under way on the switches that this process listens to; `counted` says
    which calls count. `changed` is to be told of each call of which something changed. A call
    waits `deadline` seconds for Redis.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        key_value: IKeyValue,
        *,
        calls: Callable[[], Iterable[Call]] = tuple,
        counted: Counted = _everything,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        deadline: float = 0.02,
    ) -> None:
        self._clock = clock
        self._key_value = key_value
        self._calls = calls
        self._counted = counted
        self._now = now
        self._deadline = deadline
        self._local = LocalCounts()
        self._held, self._held_here = Held(), Held()
        self._changed: dict[UUID, Call] = {}
        self._unsent: dict[str, CallState] = {}
        self._refused_here: deque[tuple[str, str]] = deque(maxlen=MOST_LATE)
        self._taken_here: deque[tuple[float, str, list[Wanted]]] = deque(maxlen=MOST_LATE)
        self._paused_until = 0.0
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._next_round = 0.0
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = clock

    def startService(self) -> None:  # noqa: N802
        """Begin to follow the calls."""
        super().startService()  # type: ignore[no-untyped-call]
        self._ticking.start(TICK_SECONDS, now=False)

    def stopService(self) -> None:  # noqa: N802
        """Follow them no more; what this process held is kept by others, or lapses."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._ticking.running:
            self._ticking.stop()

    # -- decisions --------------------------------------------------------------------------

    async def take(
        self, tenant_id: UUID, call: CallRequest, limits: Sequence[Limit]
    ) -> Mapping[str, int]:
        """Count the call under all limits, or under none: then the keys of those that are
        reached, with their counts. Never raises."""
        started = perf_counter()
        wants, call_id = wanted(call, limits), call_of(call)
        # Before the answer: calls that come meanwhile have to count, should none come.
        taken = self._local.reserve(call_id, wants, self._clock.seconds())
        full = await self._take_shared(call_id, wants)
        if full is None or full:
            self._local.give_back(taken)
        if full is None:
            metrics.CALL_LIMITS_LOCAL_TOTAL.inc()
            full = self._local.take(call_id, wants, self._clock.seconds())
            if full:
                # Redis may have given the places all the same, only too late.
                self._refused_here += taken.places
            else:
                self._taken_here.append((self._clock.seconds(), call_id, wants))
        for want in wants:
            if want.limit.key in full:
                metrics.CALL_LIMITS_REACHED_TOTAL.labels(want.limit.scope, want.limit.kind).inc()
        metrics.CALL_LIMIT_SECONDS.observe(perf_counter() - started)
        return full

    async def count(self, limits: Sequence[Limit]) -> dict[str, tuple[int, float]]:
        """How high each limit's counter stands, and for how many seconds it is blocked still; as
        this process knows it while Redis is away."""
        wants = wanted(NO_CALL, limits)
        if not wants:
            return {}
        arguments = [it for want in wants for it in (want.kind, want.window_ms)]
        keys = [it.key for it in wants]
        try:
            if not self._key_value.available:
                raise KeyValueUnavailable("there is no connection to Redis")
            found = await self._key_value.script("limit_count", keys, arguments)
        except KeyValueUnavailable:
            now = self._clock.seconds()
            return {it.limit.key: self._local.count(it, now) for it in wants}
        pairs = zip(wants, found[::2], found[1::2], strict=True)
        return {want.limit.key: (int(count), int(ms) / 1000) for want, count, ms in pairs}

    async def reached(self, limits: Sequence[Limit]) -> dict[str, int]:
        """Which of the limits a further call would find reached, with their counts; it is not
        counted."""
        counts = await self.count(limits)
        places: dict[str, int] = {}
        for limit in limits:
            places[limit.key] = places.get(limit.key, 0) + 1
        return {
            limit.key: counts[limit.key][0]
            for limit in limits
            if counts[limit.key][1] > 0
            or counts[limit.key][0] + (places[limit.key] - 1) >= limit.most
        }

    async def _take_shared(self, call_id: str, wants: Sequence[Wanted]) -> dict[str, int] | None:
        """None when Redis cannot be asked."""
        if not self._key_value.available or self._clock.seconds() < self._paused_until:
            metrics.CALL_LIMITS_SHARED.set(0)
            return None
        arguments: list[Value] = [call_id, RESERVED_SECONDS * 1000, KEPT_SECONDS * 1000]
        for want in wants:
            arguments.extend(want.arguments())
        keys = [RECORD + call_id, *(it.key for it in wants)]
        try:
            found = await self._key_value.script("limit_take", keys, arguments, self._deadline)
        except KeyValueUnavailable:
            self._pause()
            metrics.CALL_LIMITS_SHARED.set(0)
            return None
        except Exception:
            self._log.failure("calls are counted here alone")
            metrics.CALL_LIMITS_SHARED.set(0)
            return None
        metrics.CALL_LIMITS_SHARED.set(1)
        self._pause_seconds = FIRST_PAUSE_SECONDS
        pairs = zip(found[::2], found[1::2], strict=True)
        return {wants[int(position) - 1].limit.key: int(count) for position, count in pairs}

    def _pause(self) -> None:
        now = self._clock.seconds()
        # Calls that were waiting together have seen the same.
        if now >= self._paused_until:
            self._paused_until = now + self._pause_seconds
            self._pause_seconds = min(2 * self._pause_seconds, LAST_PAUSE_SECONDS)

    # -- the calls that there are -------------------------------------------------------------

    def changed(self, call: Call) -> None:
        """Something of the call is different: its places follow within a moment."""
        self._changed[call.call_id] = call

    def _tick(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.tick()).addErrback(
            lambda failure: self._log.failure("calls could not be followed", failure)
        )

    async def tick(self) -> None:
        """Bring the counters in line with what has changed, and now and then with everything."""
        if self._clock.seconds() >= self._next_round:
            self._next_round = self._clock.seconds() + ROUND_SECONDS
            for call in self._calls():
                self._changed.setdefault(call.call_id, call)
        changed, self._changed = self._changed, {}
        now = self._now()
        found = [state_of(call, now, self._counted) for call in changed.values()]
        states = {it.call_id: it for it in found if it is not None}
        self._local.hold(self._held_here.work(states), self._clock.seconds())
        self._held_here.done(states)
        self._unsent |= states
        if len(self._unsent) > MOST_UNSENT:
            self._forget_ended()
        if not self._key_value.available:
            return
        if self._unsent or self._refused_here:
            await self._send()
        while self._taken_here and self._clock.seconds() >= self._paused_until:
            since, call_id, wants = self._taken_here.popleft()
            if self._clock.seconds() - since < RESERVED_SECONDS:
                await self._take_shared(call_id, [it.in_any_case() for it in wants])

    def _forget_ended(self) -> None:
        ended = {call_id: it for call_id, it in self._unsent.items() if it.ended}
        self._held.done(ended)
        for call_id in ended:
            del self._unsent[call_id]

    async def _send(self) -> None:
        for states in chunks(self._unsent) or [{}]:
            work = self._held.work(states)
            refused = list(self._refused_here)
            self._refused_here.clear()
            work.release.extend((key.removeprefix(PREFIX), name) for key, name in refused)
            arguments: list[Value] = [KEPT_SECONDS * 1000, RECORD, work.document(PREFIX)]
            try:
                await self._key_value.script("limit_hold", [RECORD], arguments)
            except KeyValueUnavailable as error:
                self._log.debug("counters are behind the calls: {error}", error=str(error))
                self._refused_here += refused
                return
            except Exception:
                # Whatever it is, the next round says it again.
                self._log.failure("counters are behind the calls")
            self._held.done(states)
            for call_id, state in states.items():
                if self._unsent.get(call_id) is state:
                    del self._unsent[call_id]
