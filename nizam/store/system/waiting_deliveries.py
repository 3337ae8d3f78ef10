"""Webhook deliveries that wait or are held, as whoever looks after the queue finds them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from nizam.store.system.deliveries import Queries

_DUE = """
select d.id, d.webhook_id, d.next_attempt_at from webhook_deliveries d
where d.status = 'pending' and d.id > %(after)s
  and d.updated_at < now() - make_interval(secs => %(age)s)
  and get_byte(uuid_send(d.webhook_id), 15) %% %(partitions)s = any(%(which)s)
  and not exists (
    select from webhooks w where w.id = d.webhook_id and w.enabled and w.status = 'paused')
order by d.id limit %(limit)s
"""


async def release_worker(database: Queries, worker: str) -> list[tuple[UUID, UUID]]:
    """Give back all that a dead worker held; (delivery id, webhook id) of each."""
    rows = await database.query(
        "update webhook_deliveries set status = 'pending', claimed_by = null, updated_at = now()"
        " where claimed_by = %(worker)s and status = 'delivering' returning id, webhook_id",
        {"worker": worker},
    )
    return [(row[0], row[1]) for row in rows]


async def pending(
    database: Queries,
    *,
    partitions: int,
    which: Sequence[int],
    age_seconds: float,
    after: UUID,
    limit: int,
) -> list[tuple[UUID, UUID, datetime | None]]:
    """(id, webhook id, next attempt) of pending deliveries of the partitions in `which`.

    Only such as nobody has touched for `age_seconds`, with ids above `after`, in their order.
    """
    rows = await database.query(
        _DUE,
        {
            "partitions": partitions,
            "which": list(which),
            "age": age_seconds,
            "after": after,
            "limit": limit,
        },
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def count_pending(database: Queries, partitions: int) -> dict[int, int]:
    """How many deliveries of each partition have not ended; those of paused webhooks left out."""
    rows = await database.query(
        "select get_byte(uuid_send(d.webhook_id), 15) %% %(partitions)s, count(*)"
        " from webhook_deliveries d where d.status in ('pending', 'delivering') and not exists ("
        " select from webhooks w where w.id = d.webhook_id and w.enabled and w.status = 'paused')"
        " group by 1",
        {"partitions": partitions},
    )
    return {row[0]: row[1] for row in rows}


async def holders(database: Queries, seconds: float) -> set[str]:
    """The workers that hold deliveries which they claimed longer ago than this."""
    rows = await database.query(
        "select distinct claimed_by from webhook_deliveries where status = 'delivering'"
        " and claimed_by is not null and updated_at < now() - make_interval(secs => %(seconds)s)",
        {"seconds": seconds},
    )
    return {row[0] for row in rows}


async def release_stale(database: Queries, seconds: float) -> list[tuple[UUID, UUID]]:
    """Give back deliveries that a worker has held for longer than any attempt may take."""
    rows = await database.query(
        "update webhook_deliveries set status = 'pending', claimed_by = null, updated_at = now()"
        " where status = 'delivering' and updated_at < now() - make_interval(secs => %(seconds)s)"
        " returning id, webhook_id",
        {"seconds": seconds},
    )
    return [(row[0], row[1]) for row in rows]


async def oldest_pending_seconds(database: Queries) -> float:
    """Age of the oldest delivery that waits for its first attempt; 0 without any."""
    rows = await database.query(
        "select coalesce(extract(epoch from now() - min(created_at)), 0)::float8"
        " from webhook_deliveries d where status = 'pending' and attempt_count = 0 and not exists ("
        " select from webhooks w where w.id = d.webhook_id and w.enabled and w.status = 'paused')"
    )
    return float(rows[0][0])
