"""What is recorded of a request, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import attrs

from nizam import metrics
from nizam.store.system.deliveries import Attempt, Delivery, Endpoint, Status
from nizam.webhooks.interface import Reply
from nizam.webhooks.queue import Fate, Item
from nizam.webhooks.schedule import Outcome, judge, parse_retry_after


@attrs.frozen
class Done:
    """An attempt that is to be recorded, and what becomes of its item in the queue."""

    attempt: Attempt
    fate: Fate
    gone: bool = False
    ordered: bool = False

    @property
    def item(self) -> Item:
        """The item in the queue."""
        return (self.attempt.delivery_id, self.attempt.webhook_id)


@attrs.frozen
class Exchange:
    """A request and its answer, or the error in its place. Moments are seconds since the epoch."""

    began: float
    ended: float
    reply: Reply | None
    error: str | None

    @property
    def status(self) -> int | None:
        """The answer's status."""
        return None if self.reply is None else self.reply.status

    @property
    def alive(self) -> bool:
        """Whether the endpoint works: any answer but an overload or a server error shows it."""
        return self.status is not None and self.status < 500 and self.status != 429


def never_sent(delivery: Delivery, reason: str) -> Done:
    """A delivery that ends without a request."""
    attempt = Attempt(
        delivery_id=delivery.id,
        webhook_id=delivery.webhook_id,
        tenant_id=delivery.tenant_id,
        number=delivery.attempts,
        status="dead",
        next_attempt_at=None,
        started_at=None,
        duration_ms=0,
        response_status=None,
        head=None,
        error=reason,
    )
    return Done(attempt, "dead")


def conclude(
    endpoint: Endpoint,
    delivery: Delivery,
    exchange: Exchange,
    random: Callable[[], float],
    hidden: Iterable[str] = (),
) -> Done:
    """What follows from a request; it is counted in the metrics. `random` gives 0.0 <= x < 1.0.
    Of the answer nothing in `hidden` is kept: endpoints may repeat what they were sent."""
    moment = datetime.fromtimestamp(exchange.ended, UTC)
    reply, status = exchange.reply, exchange.status
    number = delivery.attempts + 1
    retry_after = None
    if reply is not None and reply.retry_after is not None:
        retry_after = parse_retry_after(reply.retry_after, moment)
    outcome = judge(status, number - delivery.offset, endpoint.schedule, retry_after, random)
    next_status, fate = _fate(outcome, exchange.ended)
    attempt = Attempt(
        delivery_id=delivery.id,
        webhook_id=delivery.webhook_id,
        tenant_id=delivery.tenant_id,
        number=number,
        status=next_status,
        next_attempt_at=datetime.fromtimestamp(fate, UTC) if isinstance(fate, float) else None,
        started_at=datetime.fromtimestamp(exchange.began, UTC),
        duration_ms=round((exchange.ended - exchange.began) * 1000),
        response_status=status,
        head=_text(reply.head, hidden) if reply is not None else None,
        error=exchange.error if exchange.error is not None else _complaint(status),
    )
    metrics.WEBHOOK_ATTEMPT_SECONDS.labels(
        outcome="succeeded" if outcome.verdict == "succeeded" else "failed"
    ).observe(exchange.ended - exchange.began)
    metrics.WEBHOOK_DELIVERIES_TOTAL.labels(outcome=outcome.verdict).inc()
    if number == 1 and delivery.event is not None:
        waited = exchange.began - delivery.event.occurred_at.timestamp()
        metrics.WEBHOOK_WAIT_SECONDS.observe(max(0.0, waited))
    return Done(attempt, fate, gone=outcome.verdict == "gone", ordered=endpoint.ordered)


def _fate(outcome: Outcome, ended: float) -> tuple[Status, Fate]:
    if outcome.verdict == "succeeded":
        return "succeeded", "ack"
    if outcome.verdict == "retry" and outcome.delay is not None:
        return "pending", ended + outcome.delay
    return "dead", "dead"


def _text(head: bytes, hidden: Iterable[str]) -> str:
    # PostgreSQL's text holds every character but NUL.
    text = head.decode("utf-8", "replace").replace("\x00", "\ufffd")
    for secret in hidden:
        # Of "Bearer token" the token alone is a secret, too.
        for part in (secret, *secret.split()[1:]):
            text = text.replace(part, "***")
    return text


def _complaint(status: int | None) -> str | None:
    if status is None or 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"the endpoint answered {status}; redirects are not followed"
    return f"the endpoint answered {status}"
