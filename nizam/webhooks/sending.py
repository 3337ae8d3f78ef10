"""Sending deliveries when the turns of their endpoints come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from nizam import __version__
from nizam.errors import KeyValueUnavailable
from nizam.model.events import envelope_bytes
from nizam.store.system.deliveries import Delivery, Endpoint
from nizam.webhooks.attempts import Exchange, conclude
from nizam.webhooks.interface import EgressError, IEgressAgent, Reply
from nizam.webhooks.lanes import SLOW_SECONDS, Lane, Lanes, Turn
from nizam.webhooks.queue import DeliveryQueue
from nizam.webhooks.recording import Recorder
from nizam.webhooks.signing import key_of, signed_headers

STOP_SECONDS = 20.0
_SECRETS_KEPT = 10_000

Reveal = Callable[[UUID, str, str], str]
"""A secret of a webhook in plain text, from its id, the field, and what is stored encrypted."""


class Sender:
    """Makes the requests. `turned_away` is called with what should come back later, `free` with
    each lane in which deliveries have room again."""

    _log = Logger(namespace="nizam.webhooks")

    def __init__(
        self,
        clock: Any,
        egress: IEgressAgent,
        reveal: Reveal,
        queue: DeliveryQueue,
        lanes: Lanes,
        recorder: Recorder,
        *,
        random: Callable[[], float],
        turned_away: Callable[[Sequence[Delivery]], None],
        free: Callable[[Lane], None],
    ) -> None:
        self._clock = clock
        self._egress = egress
        self._reveal = reveal
        self._queue = queue
        self._lanes = lanes
        self._recorder = recorder
        self._random = random
        self._turned_away = turned_away
        self._free = free
        self._secrets: dict[tuple[UUID, str, str], str] = {}
        self._under_way: set[Deferred[None]] = set()
        self._timers: dict[UUID, Any] = {}
        self._crowded: Any = None
        self._stopping = False

    def start(self) -> None:
        """Send from now on."""
        self._stopping = False

    async def stop(self) -> None:
        """Let what is under way end, within STOP_SECONDS, and begin nothing more."""
        self._stopping = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._crowded is not None:
            self._crowded.cancel()
            self._crowded = None
        if self._under_way:
            limit = self._clock.callLater(STOP_SECONDS, self.cut_off)
            await DeferredList(list(self._under_way))
            if limit.active():
                limit.cancel()
        await self._egress.close()

    def cut_off(self) -> None:
        """Give up every request."""
        for request in list(self._under_way):
            request.cancel()

    def go_on(self) -> None:
        """Send all that may be sent now."""
        while not self._stopping and (turn := self._lanes.start(self._clock.seconds())):
            request = Deferred.fromCoroutine(self._send(turn))
            self._under_way.add(request)
            request.addErrback(lambda it: self._log.failure("a webhook was not sent", it))
            request.addBoth(self._ended, request)
            self._time(turn.lane)
        if not self._stopping:
            self._come_back()
            for lane in self._lanes.take_unreserved():
                count, lane.reserving = lane.unreserved, True
                Deferred.fromCoroutine(self._reserve(lane, lane.endpoint.rate, count)).addErrback(
                    lambda it: self._log.failure("no rate was reserved", it)
                )

    def _come_back(self) -> None:
        """Look again when the oldest request makes room for those that wait."""
        wait = self._lanes.crowded(self._clock.seconds())
        if not wait or self._crowded is not None:
            return

        def look() -> None:
            self._crowded = None
            self.go_on()

        self._crowded = self._clock.callLater(wait, look)

    def _ended(self, _: Any, request: Deferred[None]) -> None:
        self._under_way.discard(request)

    # -- rates ----------------------------------------------------------------------------------

    async def _reserve(self, lane: Lane, rate: int, count: int) -> None:
        now = self._clock.seconds()
        try:
            first = now + await self._queue.reserve(lane.endpoint.id, rate, count)
        except KeyValueUnavailable:
            # While Redis is away, the rate holds for this worker alone.
            first = max(now, lane.slots[-1] + 1 / rate) if lane.slots else now + 1 / rate
        finally:
            lane.reserving = False
        lane.slots.extend(first + number / rate for number in range(count))
        self._lanes.consider(lane, self._clock.seconds())
        self.go_on()
        self._time(lane)

    def _time(self, lane: Lane) -> None:
        """Come back to a lane at the moment that is reserved for its next request."""
        if self._stopping or not lane.slots or not lane.waiting or lane.endpoint.id in self._timers:
            return
        wait = lane.slots[0] - self._clock.seconds()
        if wait <= 0:
            return

        def resume() -> None:
            del self._timers[lane.endpoint.id]
            self._lanes.consider(lane, self._clock.seconds())
            self.go_on()
            self._time(lane)

        self._timers[lane.endpoint.id] = self._clock.callLater(wait, resume)

    # -- requests -------------------------------------------------------------------------------

    async def _send(self, turn: Turn) -> None:
        lane = turn.lane
        endpoint = lane.endpoint
        began = self._clock.seconds()

        def is_slow() -> None:
            self._lanes.slow_down(turn)
            self._turn_away(lane)
            self.go_on()

        timer = self._clock.callLater(SLOW_SECONDS, is_slow)
        reply: Reply | None = None
        error: str | None = None
        authentication: Mapping[str, str] = {}
        try:
            authentication = self._authentication(endpoint)
            reply = await self._request(endpoint, turn.delivery, authentication)
        except EgressError as problem:
            error = problem.reason
        except Exception as problem:
            self._log.failure("a webhook request could not be made")
            error = f"the request could not be made: {type(problem).__name__}"
        if timer.active():
            timer.cancel()
        exchange = Exchange(began, self._clock.seconds(), reply, error)
        self._lanes.finish(turn, exchange.ended, exchange.ended - began, alive=exchange.alive)
        hidden = authentication.values()
        self._recorder.add(conclude(endpoint, turn.delivery, exchange, self._random, hidden))
        self._turn_away(lane)
        self.go_on()
        self._time(lane)
        self._recorder.soon()
        self._free(lane)

    def _turn_away(self, lane: Lane) -> None:
        waiting = self._lanes.turn_away(lane, self._clock.seconds())
        if waiting:
            self._turned_away(waiting)

    async def _request(
        self, endpoint: Endpoint, delivery: Delivery, authentication: Mapping[str, str]
    ) -> Reply:
        assert delivery.event is not None  # noqa: S101 - whoever accepted it saw to it
        body = envelope_bytes(delivery.event)
        keys = [key_of(self._secret(endpoint.id, "secret", it)) for it in endpoint.secrets]
        headers = {
            **endpoint.headers,
            **authentication,
            "Content-Type": "application/json",
            "User-Agent": f"NIZAM/{__version__}",
            **signed_headers(keys, delivery.event.id, int(self._clock.seconds()), body),
        }
        return await self._egress.post(endpoint.url, headers, body, endpoint.timeout)

    def _authentication(self, endpoint: Endpoint) -> Mapping[str, str]:
        if endpoint.authentication is None:
            return {}
        name, sealed = endpoint.authentication
        return {name: self._secret(endpoint.id, "authentication.value", sealed)}

    def _secret(self, webhook_id: UUID, field: str, sealed: str) -> str:
        known = self._secrets.get((webhook_id, field, sealed))
        if known is None:
            if len(self._secrets) > _SECRETS_KEPT:
                self._secrets.clear()
            known = self._reveal(webhook_id, field, sealed)
            self._secrets[webhook_id, field, sealed] = known
        return known
