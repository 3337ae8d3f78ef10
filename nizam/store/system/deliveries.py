"""Webhook deliveries across tenants: matched as events are stored, claimed, recorded, recovered.

PostgreSQL is the truth about a delivery. Its status moves pending -> delivering -> succeeded,
pending (to be tried again) or dead, each step a compare-and-set, so that the same id handed out
twice by the queue is sent once. `claimed_by` names the worker that holds a `delivering` row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

import attrs
import orjson

from nizam.model.events import Event

Status = Literal["pending", "delivering", "succeeded", "dead"]

MATCH_DELIVERIES = """
    select id, webhook_id from match_deliveries(array(select stored from inserted))
"""
"""The deliveries of newly stored events, as the text of a CTE that is selected from.

It reads a CTE `inserted` with the rows of call_events as `stored`, so that a webhook which was
committed a moment before the events counts, and events and deliveries are stored together or not
at all. A paused webhook gets deliveries too: they wait until it is resumed. What a webhook wants is
written in the function (migration 0030).
"""


class Queries(Protocol):
    """A pool or a transaction: what runs a statement and gives its rows."""

    async def query(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        """The rows of the statement."""


@attrs.frozen(kw_only=True)
class Endpoint:
    """A webhook as the worker needs it. `secrets` are encrypted, the newest first."""

    id: UUID
    tenant_id: UUID
    url: str
    headers: Mapping[str, str]
    schedule: tuple[int, ...]
    timeout: float
    max_in_flight: int
    rate: int
    ordered: bool
    active: bool
    paused: bool
    secrets: tuple[str, ...]
    authentication: tuple[str, str] | None = None
    """A header field's name, and its value encrypted."""


@attrs.frozen(kw_only=True)
class Delivery:
    """A delivery that this worker has claimed: the event to send, and where to.

    `event` is None when it is no longer stored, `endpoint` when it was deleted. `attempts` counts
    those made before, `offset` those of them that were made before it was last replayed.
    """

    id: UUID
    webhook_id: UUID
    tenant_id: UUID
    attempts: int
    offset: int
    event: Event | None
    endpoint: Endpoint | None


@attrs.frozen(kw_only=True)
class Attempt:
    """One request that was made, and what follows for its delivery.

    `next_attempt_at` is set when `status` is pending. `head` is the beginning of the answer's
    body; `error` says why there was no answer, or why there will be no other attempt. A delivery
    that ends without any request has no `started_at`.
    """

    delivery_id: UUID
    webhook_id: UUID
    tenant_id: UUID
    number: int
    status: Status
    next_attempt_at: datetime | None
    started_at: datetime | None
    duration_ms: int
    response_status: int | None
    head: str | None
    error: str | None


_CLAIM = """
with claimed as (
    update webhook_deliveries d
    set status = 'delivering', claimed_by = %(worker)s, updated_at = now()
    where d.id = any(%(ids)s::uuid[]) and d.status = 'pending'
      and (d.next_attempt_at is null or d.next_attempt_at <= %(now)s)
      and not exists (
        select from webhooks w where w.id = d.webhook_id and w.enabled and w.status = 'paused'
      )
      and (d.call_id is null or not exists (
        select from webhooks w
        join webhook_deliveries b on b.webhook_id = w.id
        where w.id = d.webhook_id and (w.body ->> 'ordered')::boolean
          and b.call_id = d.call_id and b.status in ('pending', 'delivering')
          and (b.event_occurred_at, b.event_id) < (d.event_occurred_at, d.event_id)
      ))
    returning d.id, d.webhook_id, d.tenant_id, d.attempt_count, d.schedule_offset,
              d.event_id, d.event_occurred_at
)
select c.id, c.webhook_id, c.tenant_id, c.attempt_count, c.schedule_offset,
       e.type, e.occurred_at, e.core_id, e.sequence, e.node, e.tenant_id, e.call_id, e.leg_id,
       e.data,
       w.body, w.enabled, w.secrets ->> 'secret',
       case when s.previous_secret_until > now() then s.previous_secret end,
       w.secrets ->> 'authentication.value'
from claimed c
left join call_events e on e.occurred_at = c.event_occurred_at and e.id = c.event_id
left join webhooks w on w.id = c.webhook_id
left join webhook_states s on s.webhook_id = c.webhook_id
order by c.event_occurred_at, c.event_id
"""


async def claim(
    database: Queries, worker: str, ids: Sequence[UUID], now: datetime
) -> list[Delivery]:
    """Claim these deliveries for `worker`: those that are pending, and whose turn it is.

    Left out are the ones already claimed or ended, or not due yet at `now`, those of paused
    webhooks, and those of an ordered webhook for which an earlier one of the same call has not
    ended. They come in the order of their events.
    """
    rows = await database.query(_CLAIM, {"worker": worker, "ids": list(ids), "now": now})
    return [_delivery(row) for row in rows]


def _delivery(row: tuple[Any, ...]) -> Delivery:
    identifier, webhook_id, tenant_id, attempts, offset, event_type, occurred_at = row[:7]
    core_id, sequence, node, event_tenant, call_id, leg_id, data = row[7:14]
    event = None
    if event_type is not None:
        event = Event(
            type=event_type,
            occurred_at=occurred_at,
            core_id=str(core_id),
            sequence=sequence,
            node=node,
            tenant_id=event_tenant,
            call_id=call_id,
            leg_id=leg_id,
            data=data,
        )
    return Delivery(
        id=identifier,
        webhook_id=webhook_id,
        tenant_id=tenant_id,
        attempts=attempts,
        offset=offset,
        event=event,
        endpoint=_endpoint(webhook_id, tenant_id, *row[14:]),
    )


def _endpoint(
    webhook_id: UUID,
    tenant_id: UUID,
    body: dict[str, Any] | None,
    enabled: bool | None,
    secret: str | None,
    previous: str | None,
    credential: str | None,
) -> Endpoint | None:
    if body is None:
        return None
    return Endpoint(
        id=webhook_id,
        tenant_id=tenant_id,
        url=body["url"],
        headers=body.get("headers", {}),
        schedule=tuple(body["retry_schedule_seconds"]),
        timeout=float(body["timeout_seconds"]),
        max_in_flight=body["max_in_flight"],
        rate=body["rate_per_second"],
        ordered=body["ordered"],
        active=bool(enabled) and body["status"] != "disabled",
        paused=body["status"] == "paused",
        secrets=tuple(it for it in (secret, previous) if it is not None),
        authentication=None
        if credential is None
        else (body["authentication"]["header"], credential),
    )


_RECORD = """
with given as (
    select * from jsonb_to_recordset(%(attempts)s::jsonb) as it(
        delivery_id uuid, webhook_id uuid, tenant_id uuid, number integer, status text,
        next_attempt_at timestamptz, started_at timestamptz, duration_ms integer,
        response_status integer, head text, error text)
), attempts as (
    insert into webhook_attempts (delivery_id, webhook_id, tenant_id, number, started_at,
                                  duration_ms, response_status, response_head, error)
    select delivery_id, webhook_id, tenant_id, number, started_at,
           duration_ms, response_status, head, error
    from given where started_at is not null
), recovered as (
    update webhook_states s set failing_since = null
    where s.failing_since is not null and s.webhook_id in (
        select webhook_id from given where status = 'succeeded')
), failing as (
    insert into webhook_states as s (webhook_id, tenant_id, failing_since)
    select distinct on (webhook_id) webhook_id, tenant_id, started_at from given g
    where status <> 'succeeded' and started_at is not null and not exists (
        select from given ok where ok.webhook_id = g.webhook_id and ok.status = 'succeeded')
    order by webhook_id, started_at
    on conflict (webhook_id) do update
        set failing_since = coalesce(s.failing_since, excluded.failing_since)
    returning webhook_id, tenant_id, failing_since
), moved as (
    update webhook_deliveries d
    set status = g.status, attempt_count = greatest(d.attempt_count, g.number),
        next_attempt_at = g.next_attempt_at, claimed_by = null, updated_at = now(),
        last_error = g.error
    from given g
    where d.id = g.delivery_id and d.status = 'delivering' and d.claimed_by = %(worker)s
    returning d.id
)
select f.webhook_id, f.tenant_id from failing f
where f.failing_since < now() - make_interval(secs => %(give_up)s)
"""


async def record(
    database: Queries, worker: str, attempts: Sequence[Attempt], give_up_seconds: float
) -> list[tuple[UUID, UUID]]:
    """Store attempts and move their deliveries on, in one statement.

    A delivery that `worker` no longer holds keeps its status. Gives (webhook id, tenant id) of
    the webhooks that have known nothing but failures for longer than `give_up_seconds`.
    """
    document = orjson.dumps([attrs.asdict(it) for it in attempts]).decode()
    arguments = {"worker": worker, "attempts": document, "give_up": give_up_seconds}
    return [(row[0], row[1]) for row in await database.query(_RECORD, arguments)]


async def release(database: Queries, worker: str, ids: Sequence[UUID]) -> None:
    """Give back deliveries that `worker` claimed and did not send."""
    await database.query(
        "update webhook_deliveries set status = 'pending', claimed_by = null, updated_at = now()"
        " where id = any(%(ids)s::uuid[]) and status = 'delivering' and claimed_by = %(worker)s",
        {"worker": worker, "ids": list(ids)},
    )


async def unsent(database: Queries, event_ids: Sequence[str]) -> list[tuple[UUID, UUID]]:
    """(id, webhook id) of the deliveries of these events that nobody has tried to send."""
    rows = await database.query(
        "select id, webhook_id from webhook_deliveries"
        " where event_id = any(%s) and status = 'pending' and attempt_count = 0",
        (list(event_ids),),
    )
    return [(row[0], row[1]) for row in rows]


async def next_of_call(database: Queries, delivery_ids: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    """For ended deliveries of ordered webhooks: (id, webhook id) of each call's next one."""
    rows = await database.query(
        "select distinct on (n.webhook_id, n.call_id) n.id, n.webhook_id"
        " from webhook_deliveries d join webhook_deliveries n"
        " on n.webhook_id = d.webhook_id and n.call_id = d.call_id and n.status = 'pending'"
        " where d.id = any(%(ids)s::uuid[])"
        " order by n.webhook_id, n.call_id, n.event_occurred_at, n.event_id",
        {"ids": list(delivery_ids)},
    )
    return [(row[0], row[1]) for row in rows]


async def disable(database: Queries, webhook_id: UUID) -> bool:
    """Disable a webhook; False when it was disabled or gone already. What waits for it is ended by
    `end_of_disabled`, a page at a time."""
    rows = await database.query(
        "update webhooks set version = version + 1, updated_at = now(),"
        " body = jsonb_set(body, '{status}', '\"disabled\"')"
        " where id = %(id)s and status <> 'disabled' returning id",
        {"id": webhook_id},
    )
    return bool(rows)


async def end_of_disabled(database: Queries, most: int) -> int:
    """End what waits for webhooks that are disabled, at most so many; how many."""
    rows = await database.query(
        "update webhook_deliveries set status = 'dead', next_attempt_at = null,"
        " updated_at = now(), last_error = 'the webhook is disabled'"
        " where status = 'pending' and id in (select d.id from webhooks w"
        " join webhook_deliveries d on d.webhook_id = w.id and d.status = 'pending'"
        " where w.status = 'disabled' limit %(most)s) returning 1",
        {"most": most},
    )
    return len(rows)
