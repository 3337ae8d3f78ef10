"""The worker that sends webhook deliveries.

It claims ids from the queue, the deliveries themselves from PostgreSQL, sends each through the
egress agent when its endpoint's turn comes, and records what happened in batches. Nothing it
holds in memory is the only copy: what is lost with it is found again by recovery.
"""

from __future__ import annotations

import random as random_module
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from nizam import __version__, metrics
from nizam.errors import DatabaseUnavailable, KeyValueUnavailable
from nizam.model.events import envelope_bytes
from nizam.store.pool import Pool
from nizam.store.system import deliveries
from nizam.store.system.deliveries import Attempt, Delivery, Endpoint, Status
from nizam.webhooks.disabling import disable_webhook
from nizam.webhooks.interface import EgressError, IEgressAgent, Reply
from nizam.webhooks.lanes import Lane, Lanes
from nizam.webhooks.queue import PARTITIONS, DeliveryQueue, Fate, partition_of
from nizam.webhooks.recovery import Recovery
from nizam.webhooks.schedule import Outcome, judge, parse_retry_after
from nizam.webhooks.signing import key_of, signed_headers

POLL_SECONDS = 0.25
SLOW_SECONDS = 1.0
GIVE_UP_SECONDS = 5 * 86_400.0
STOP_SECONDS = 20.0
_OUTAGE_PAUSE_SECONDS = 1.0
_CLAIM_AT_ONCE = 200
_RECORD_AT_ONCE = 250

Reveal = Callable[[UUID, str], str]
"""The signing secret of a webhook in plain text, from its id and what is stored encrypted."""


@attrs.frozen
class _Done:
    """An attempt that is to be recorded, and what becomes of its id in the queue."""

    attempt: Attempt
    fate: Fate
    gone: bool = False
    ordered: bool = False


class WebhookWorker(Service):
    """Sends deliveries for as long as it runs.

    `name` is unique among all workers that live; `concurrency` bounds its requests under way,
    `endpoint_concurrency` those to one endpoint, whatever the endpoint itself allows.
    A webhook's rate holds for each worker by itself.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        database: Pool,
        queue: DeliveryQueue,
        egress: IEgressAgent,
        reveal: Reveal,
        *,
        name: str,
        concurrency: int = 64,
        endpoint_concurrency: int = 8,
        random: Callable[[], float] = random_module.random,
        give_up_seconds: float = GIVE_UP_SECONDS,
    ) -> None:
        self.name = "webhooks"
        self.worker = name
        self._clock = clock
        self._database = database
        self._queue = queue
        self._egress = egress
        self._reveal = reveal
        self._random = random
        self._give_up_seconds = give_up_seconds
        self._most_waiting = 16 * concurrency
        self._lanes = Lanes(concurrency, endpoint_concurrency)
        self._recovery = Recovery(clock, database, queue, name, self.wake)
        self._keys: dict[tuple[UUID, str], bytes] = {}
        self._handed_in: list[tuple[UUID, UUID]] = []
        self._pushing: Deferred[None] | None = None
        self._woken: set[int] = set(range(PARTITIONS))
        self._sleeping: Deferred[None] | None = None
        self._doubtful: dict[UUID, int] = {}
        self._done: list[_Done] = []
        self._unsettled: dict[int, dict[UUID, Fate]] = defaultdict(dict)
        self._recording: Deferred[None] | None = None
        self._requests: set[Deferred[None]] = set()
        self._timers: dict[UUID, Any] = {}
        self._running: Deferred[None] | None = None
        self._stopping = False

    # -- life ---------------------------------------------------------------------------------

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        super().startService()  # type: ignore[no-untyped-call]
        self._stopping = False
        self._running = Deferred.fromCoroutine(self._run())
        self._recovery.start()

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Claim no more, give back what waits, let what is under way end, record it."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._stopping = True
        self._wake_up()
        await self._recovery.stop()
        if self._running is not None:
            await self._running
        if self._pushing is not None:
            await self._pushing
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        await self._give_back(self._lanes.take_all())
        if self._requests:
            limit = self._clock.callLater(STOP_SECONDS, self._cut_off)
            await DeferredList(list(self._requests))
            if limit.active():
                limit.cancel()
        self._record_soon()
        if self._recording is not None:
            await self._recording
        await self._egress.close()

    def _cut_off(self) -> None:
        for request in list(self._requests):
            request.cancel()

    # -- from outside ---------------------------------------------------------------------------

    def enqueue(self, items: Iterable[tuple[UUID, UUID]]) -> None:
        """Hand in committed deliveries, as (delivery id, webhook id); they are sent at once.

        Never blocks. When Redis is away, the recovery hands them in once it is back.
        """
        self._handed_in.extend(items)
        if self._handed_in and self._pushing is None:
            self._pushing = Deferred.fromCoroutine(self._push())
            self._pushing.addErrback(lambda it: self._log.failure("queueing webhooks", it))
            # Not at the end of the coroutine: it may end before it is assigned.
            self._pushing.addBoth(self._pushed)

    def wake(self, partitions: Iterable[int] = range(PARTITIONS)) -> None:
        """Look for work in these partitions now rather than at the next poll."""
        self._woken.update(partitions)
        self._wake_up()

    async def _push(self) -> None:
        while self._handed_in:
            items, self._handed_in = self._handed_in, []
            partitions = {partition_of(webhook_id) for _, webhook_id in items}
            try:
                await self._queue.push(items)
            except KeyValueUnavailable:
                self._recovery.rebuild_soon(partitions)
            else:
                self.wake(partitions)

    def _pushed(self, _: object) -> None:
        self._pushing = None

    # -- claiming -------------------------------------------------------------------------------

    async def _run(self) -> None:
        next_poll = 0.0
        while not self._stopping:
            now = self._clock.seconds()
            if now >= next_poll:
                self._woken = set(range(PARTITIONS))
                next_poll = now + POLL_SECONDS
                self._lanes.forget_idle(now)
            woken, self._woken = self._woken, set()
            try:
                await self._claim(woken)
            except (DatabaseUnavailable, KeyValueUnavailable) as error:
                self._log.warn("webhooks wait: {error}", error=str(error))
                self._woken = set()
                next_poll = self._clock.seconds() + _OUTAGE_PAUSE_SECONDS
            except Exception:
                # One delivery that cannot be read must not end the worker for all others.
                self._log.failure("webhook deliveries could not be claimed")
                next_poll = self._clock.seconds() + _OUTAGE_PAUSE_SECONDS
            if not self._woken and not self._stopping:
                await self._sleep(next_poll - self._clock.seconds())

    async def _sleep(self, seconds: float) -> None:
        sleeping: Deferred[None] = Deferred()
        self._sleeping = sleeping
        timer = self._clock.callLater(max(0.0, seconds), self._wake_up)
        await sleeping
        if timer.active():
            timer.cancel()

    def _wake_up(self) -> None:
        sleeping, self._sleeping = self._sleeping, None
        if sleeping is not None:
            sleeping.callback(None)

    @property
    def _room(self) -> int:
        held = self._lanes.waiting + self._lanes.quick + len(self._done)
        return max(0, self._most_waiting - held)

    async def _claim(self, partitions: set[int]) -> None:
        await self._settle_doubtful()
        now = self._clock.seconds()
        # Shares of the room, so that a partition with a backlog cannot keep the others out.
        share = min(_CLAIM_AT_ONCE, -(-self._room // max(1, len(partitions))))
        order = sorted(partitions, key=lambda _: self._random())
        claims = [
            Deferred.fromCoroutine(self._queue.claim(it, self.worker, share, now)) for it in order
        ]
        results = await DeferredList(claims, consumeErrors=True)
        claimed: dict[UUID, int] = {}
        failure: Any = None
        for partition, (success, claim) in zip(order, results, strict=True):
            if not success:
                failure = claim
                continue
            claimed |= dict.fromkeys(claim.ids, partition)
            if not claim.epoch:
                self._recovery.rebuild_soon({partition})
            if claim.left and share:
                self._woken.add(partition)
        if claimed:
            await self._admit(claimed)
        if failure is not None:
            failure.raiseException()

    async def _admit(self, claimed: dict[UUID, int]) -> None:
        self._doubtful |= claimed
        # The queue's moments are cut to milliseconds, and a little early is no harm.
        now = datetime.fromtimestamp(self._clock.seconds() + 0.1, UTC)
        found = await deliveries.claim(self._database, self.worker, list(claimed), now)
        for delivery_id in claimed:
            self._doubtful.pop(delivery_id, None)
        taken = {delivery.id for delivery in found}
        for delivery_id, partition in claimed.items():
            if delivery_id not in taken:
                # A copy of what is held here already must not undo what was decided about it.
                self._unsettled[partition].setdefault(delivery_id, "ack")
        later = [delivery for delivery in found if not self._accept(delivery)]
        if later:
            await self._postpone(later)
        self._start_requests()
        self._record_soon()

    def _accept(self, delivery: Delivery) -> bool:
        """Let it wait for its turn, or end it; False when it should come back later."""
        endpoint, event = delivery.endpoint, delivery.event
        reason = None
        if endpoint is None:
            reason = "the webhook was deleted"
        elif not endpoint.active:
            reason = "the webhook is disabled"
        elif event is None:
            reason = "the event is no longer stored"
        if endpoint is None or reason is not None:
            self._done.append(_Done(_attempt(delivery, "dead", error=reason), "dead"))
            return True
        return self._lanes.add(self._lanes.lane(endpoint), delivery, self._clock.seconds())

    async def _settle_doubtful(self) -> None:
        """Give back what may have been claimed although PostgreSQL did not answer in time."""
        if self._doubtful:
            held = dict(self._doubtful)
            await deliveries.release(self._database, self.worker, list(held))
            now = self._clock.seconds()
            for delivery_id, partition in held.items():
                self._unsettled[partition][delivery_id] = now
                self._doubtful.pop(delivery_id, None)
            self._record_soon()

    async def _postpone(self, held: Sequence[Delivery]) -> None:
        """Let deliveries come back when their endpoints can take them."""
        now = self._clock.seconds()
        for delivery in held:
            self._doubtful[delivery.id] = partition_of(delivery.webhook_id)
        await deliveries.release(self._database, self.worker, [it.id for it in held])
        for delivery in held:
            self._doubtful.pop(delivery.id, None)
            assert delivery.endpoint is not None  # noqa: S101 - only those with one are held
            moment = self._lanes.lane(delivery.endpoint).return_slot(now)
            self._unsettled[partition_of(delivery.webhook_id)][delivery.id] = moment
        self._record_soon()

    def _turn_away(self, lane: Lane) -> None:
        waiting = self._lanes.turn_away(lane, self._clock.seconds())
        if waiting:
            request = Deferred.fromCoroutine(self._postpone(waiting))
            self._requests.add(request)
            # What could not be given back is doubtful, and settled before the next claim.
            request.addErrback(_unavailable)
            request.addBoth(self._ended, request)

    async def _give_back(self, held: Sequence[Delivery]) -> None:
        """Before stopping: let any other worker have them at once."""
        if not held:
            return
        try:
            await deliveries.release(self._database, self.worker, [it.id for it in held])
        except DatabaseUnavailable:
            return
        for delivery in held:
            partition = partition_of(delivery.webhook_id)
            self._unsettled[partition][delivery.id] = self._clock.seconds()

    # -- sending --------------------------------------------------------------------------------

    def _start_requests(self) -> None:
        while not self._stopping and (turn := self._lanes.start(self._clock.seconds())):
            lane, delivery = turn
            request = Deferred.fromCoroutine(self._send(lane, delivery))
            self._requests.add(request)
            request.addErrback(lambda it: self._log.failure("a webhook was not sent", it))
            request.addBoth(self._ended, request)
            self._time_lane(lane)

    def _ended(self, _: Any, request: Deferred[None]) -> None:
        self._requests.discard(request)

    def _time_lane(self, lane: Lane) -> None:
        """Come back to a lane whose rate holds it up."""
        wait = lane.next_start - self._clock.seconds()
        if wait <= 0 or not lane.waiting or lane.endpoint.id in self._timers:
            return

        def resume() -> None:
            del self._timers[lane.endpoint.id]
            self._lanes.consider(lane, self._clock.seconds())
            self._start_requests()
            self._time_lane(lane)

        self._timers[lane.endpoint.id] = self._clock.callLater(wait, resume)

    async def _send(self, lane: Lane, delivery: Delivery) -> None:
        endpoint = lane.endpoint
        began = self._clock.seconds()
        slow: list[bool] = []

        def is_slow() -> None:
            if self._lanes.slow_down(lane):
                slow.append(True)
                self._start_requests()
                self._turn_away(lane)

        timer = self._clock.callLater(SLOW_SECONDS, is_slow)
        reply: Reply | None = None
        error: str | None = None
        try:
            reply = await self._request(endpoint, delivery)
        except EgressError as problem:
            error = problem.reason
        except Exception as problem:
            self._log.failure("a webhook request could not be made")
            error = f"the request could not be made: {type(problem).__name__}"
        ended = self._clock.seconds()
        if timer.active():
            timer.cancel()
        status = reply.status if reply is not None else None
        # Any answer but an overload or a server error shows that the endpoint is there.
        alive = status is not None and status < 500 and status != 429
        self._lanes.finish(lane, ended, ended - began, slow=bool(slow), alive=alive)
        self._conclude(endpoint, delivery, began, ended, reply, error)
        self._turn_away(lane)
        self._start_requests()
        self._time_lane(lane)
        self._record_soon()
        if self._lanes.waiting == 0:
            self._wake_up()

    async def _request(self, endpoint: Endpoint, delivery: Delivery) -> Reply:
        assert delivery.event is not None  # noqa: S101 - _accept saw to it
        body = envelope_bytes(delivery.event)
        keys = [self._key(endpoint.id, it) for it in endpoint.secrets]
        headers = {
            **endpoint.headers,
            "Content-Type": "application/json",
            "User-Agent": f"NIZAM/{__version__}",
            **signed_headers(keys, delivery.event.id, int(self._clock.seconds()), body),
        }
        return await self._egress.post(endpoint.url, headers, body, endpoint.timeout)

    def _key(self, webhook_id: UUID, encrypted: str) -> bytes:
        key = self._keys.get((webhook_id, encrypted))
        if key is None:
            if len(self._keys) > 10_000:
                self._keys.clear()
            key = self._keys[webhook_id, encrypted] = key_of(self._reveal(webhook_id, encrypted))
        return key

    def _conclude(
        self,
        endpoint: Endpoint,
        delivery: Delivery,
        began: float,
        ended: float,
        reply: Reply | None,
        error: str | None,
    ) -> None:
        moment = datetime.fromtimestamp(ended, UTC)
        status = reply.status if reply is not None else None
        number = delivery.attempts + 1
        retry_after = None
        if reply is not None and reply.retry_after is not None:
            retry_after = parse_retry_after(reply.retry_after, moment)
        outcome = judge(
            status, number - delivery.offset, endpoint.schedule, retry_after, self._random
        )
        next_status, fate = _fate(outcome, ended)
        due = datetime.fromtimestamp(fate, UTC) if isinstance(fate, float) else None
        attempt = _attempt(
            delivery,
            next_status,
            number=number,
            next_attempt_at=due,
            started_at=datetime.fromtimestamp(began, UTC),
            duration_ms=round((ended - began) * 1000),
            response_status=status,
            head=_text(reply.head) if reply is not None else None,
            error=error if error is not None else _complaint(status),
        )
        gone = outcome.verdict == "gone"
        self._done.append(_Done(attempt, fate, gone=gone, ordered=endpoint.ordered))
        metrics.WEBHOOK_ATTEMPT_SECONDS.labels(
            outcome="succeeded" if outcome.verdict == "succeeded" else "failed"
        ).observe(ended - began)
        metrics.WEBHOOK_DELIVERIES_TOTAL.labels(outcome=outcome.verdict).inc()

    # -- recording ------------------------------------------------------------------------------

    def _record_soon(self) -> None:
        if self._recording is None and (self._done or any(self._unsettled.values())):
            self._recording = Deferred.fromCoroutine(self._record())
            self._recording.addErrback(lambda it: self._log.failure("recording webhooks", it))
            self._recording.addBoth(self._recorded)

    async def _record(self) -> None:
        while self._done or any(self._unsettled.values()):
            try:
                await self._record_some()
            except (DatabaseUnavailable, KeyValueUnavailable) as error:
                if self._stopping:
                    # PostgreSQL has what it could have; recovery finds the rest.
                    self._log.warn("webhook attempts not recorded: {e}", e=str(error))
                    return
                pause: Deferred[None] = Deferred()
                self._clock.callLater(_OUTAGE_PAUSE_SECONDS, pause.callback, None)
                await pause

    def _recorded(self, _: object) -> None:
        self._recording = None

    async def _record_some(self) -> None:
        batch = self._done[:_RECORD_AT_ONCE]
        hopeless: list[tuple[UUID, UUID]] = []
        following: list[tuple[UUID, UUID]] = []
        if batch:
            attempts = [it.attempt for it in batch]
            hopeless = await deliveries.record(
                self._database, self.worker, attempts, self._give_up_seconds
            )
            del self._done[: len(batch)]
            for done in batch:
                partition = partition_of(done.attempt.webhook_id)
                self._unsettled[partition][done.attempt.delivery_id] = done.fate
            ended = [
                it.attempt.delivery_id
                for it in batch
                if it.ordered and it.attempt.status in {"succeeded", "dead"}
            ]
            if ended:
                following = await deliveries.next_of_call(self._database, ended)
        for partition in [it for it, fates in self._unsettled.items() if fates]:
            fates = self._unsettled.pop(partition)
            try:
                await self._queue.settle(partition, self.worker, fates)
            except KeyValueUnavailable:
                self._unsettled[partition] = fates | self._unsettled[partition]
                raise
        self.enqueue(following)
        gone = {(it.attempt.webhook_id, it.attempt.tenant_id) for it in batch if it.gone}
        for webhook_id, tenant_id in gone:
            await self._disable(webhook_id, tenant_id, "the endpoint answered 410 Gone")
        for webhook_id, tenant_id in set(hopeless) - gone:
            await self._disable(webhook_id, tenant_id, "nothing but failures for five days")

    async def _disable(self, webhook_id: UUID, tenant_id: UUID, reason: str) -> None:
        now = datetime.fromtimestamp(self._clock.seconds(), UTC)
        self.enqueue(await disable_webhook(self._database, webhook_id, tenant_id, reason, now))


def _unavailable(failure: Failure) -> None:
    if not isinstance(failure.value, DatabaseUnavailable):
        failure.raiseException()


def _fate(outcome: Outcome, ended: float) -> tuple[Status, Fate]:
    if outcome.verdict == "succeeded":
        return "succeeded", "ack"
    if outcome.verdict == "retry" and outcome.delay is not None:
        return "pending", ended + outcome.delay
    return "dead", "dead"


def _attempt(
    delivery: Delivery,
    status: Status,
    *,
    number: int | None = None,
    next_attempt_at: datetime | None = None,
    started_at: datetime | None = None,
    duration_ms: int = 0,
    response_status: int | None = None,
    head: str | None = None,
    error: str | None = None,
) -> Attempt:
    return Attempt(
        delivery_id=delivery.id,
        webhook_id=delivery.webhook_id,
        tenant_id=delivery.tenant_id,
        number=delivery.attempts if number is None else number,
        status=status,
        next_attempt_at=next_attempt_at,
        started_at=started_at,
        duration_ms=duration_ms,
        response_status=response_status,
        head=head,
        error=error,
    )


def _text(head: bytes) -> str:
    # PostgreSQL's text holds every character but NUL.
    return head.decode("utf-8", "replace").replace("\x00", "\ufffd")


def _complaint(status: int | None) -> str | None:
    if status is None or 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"the endpoint answered {status}; redirects are not followed"
    return f"the endpoint answered {status}"
