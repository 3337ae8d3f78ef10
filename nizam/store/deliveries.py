"""What a tenant sees of its webhook deliveries and does to them.

Every function runs one statement on the `database` it is given: a transaction under the tenant's
row-level security, or a pool. Those that make deliveries pending give (delivery id, webhook id)
of each, to be handed to the worker after the commit.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import attrs

from nizam.store.system.deliveries import MATCH_DELIVERIES, Queries

AT_ONCE = 1000
"""How many rows a statement touches at most."""

Pairs = list[tuple[UUID, UUID]]

PENDING = """
    status = 'pending', next_attempt_at = null, claimed_by = null, last_error = null,
    schedule_offset = attempt_count, updated_at = now()
"""
"""What is set of an ended delivery that is sent again, with a whole new schedule."""
_PAST = "d.status in ('succeeded', 'dead')"


@attrs.frozen(kw_only=True)
class Stats:
    """Deliveries by status, and the attempts of the last 24 hours."""

    pending: int
    delivering: int
    succeeded: int
    dead: int
    attempts: int
    failed_attempts: int
    average_ms: float | None
    failing_since: datetime | None


async def stats(database: Queries, webhook_id: UUID) -> Stats:
    """The figures of one webhook."""
    rows = await database.query(
        """
        select d.*, a.*, (select failing_since from webhook_states where webhook_id = %(id)s)
        from (
            select count(*) filter (where status = 'pending'),
                   count(*) filter (where status = 'delivering'),
                   count(*) filter (where status = 'succeeded'),
                   count(*) filter (where status = 'dead')
            from webhook_deliveries where webhook_id = %(id)s
        ) d, (
            select count(*), count(*) filter (where response_status is null
                or response_status not between 200 and 299), avg(duration_ms)::float8
            from webhook_attempts
            where webhook_id = %(id)s and started_at > now() - interval '24 hours'
        ) a
        """,
        {"id": webhook_id},
    )
    names = [field.name for field in attrs.fields(Stats)]
    return Stats(**dict(zip(names, rows[0], strict=True)))


async def redispatch(database: Queries, event_id: str, occurred_at: datetime) -> Pairs:
    """Send an event to every webhook that wants it, also to those that had it before."""
    rows = await database.query(
        "with inserted as (select e as stored"  # noqa: S608
        " from call_events e where e.id = %(event)s and e.occurred_at = %(at)s"
        f"), added as ({MATCH_DELIVERIES}), again as ("
        f" update webhook_deliveries d set {PENDING}"
        f" where d.event_id = %(event)s and {_PAST} and exists ("
        " select from webhooks w where w.id = d.webhook_id and w.enabled"
        " and w.status <> 'disabled')"
        " returning d.id, d.webhook_id)"
        " select id, webhook_id from added union all select id, webhook_id from again",
        {"event": event_id, "at": occurred_at},
    )
    return _pairs(rows)


async def keep_previous_secret(database: Queries, webhook_id: UUID, until: datetime) -> None:
    """Let the present secret go on signing until that moment, beside the one that follows."""
    await database.query(
        "insert into webhook_states (webhook_id, tenant_id, previous_secret, previous_secret_until)"
        " select id, tenant_id, secrets ->> 'secret', %(until)s from webhooks where id = %(id)s"
        " on conflict (webhook_id) do update set previous_secret = excluded.previous_secret,"
        " previous_secret_until = excluded.previous_secret_until",
        {"id": webhook_id, "until": until},
    )


def _pairs(rows: list[tuple[Any, ...]]) -> Pairs:
    return [(row[0], row[1]) for row in rows]


async def wake(database: Queries, webhook_id: UUID) -> Pairs:
    """Forget a webhook's failures, now that it is active again; the first of what waits for it.
    The workers find the rest, a page at a time."""
    await database.query(
        "update webhook_states set failing_since = null where webhook_id = %(id)s",
        {"id": webhook_id},
    )
    return _pairs(
        await database.query(
            "select id, webhook_id from webhook_deliveries"
            " where webhook_id = %(id)s and status = 'pending' order by id limit %(most)s",
            {"id": webhook_id, "most": AT_ONCE},
        )
    )


_PURGE_DEAD = """
with chosen as (
    select id from webhook_deliveries
    where webhook_id = %(id)s and status = 'dead' order by created_at, id limit %(most)s
), attempts as (
    delete from webhook_attempts where delivery_id in (select id from chosen)
)
delete from webhook_deliveries d using chosen
where d.id = chosen.id and d.status = 'dead' returning 1
"""
_PURGE_WAITING = """
update webhook_deliveries set status = 'dead', next_attempt_at = null, updated_at = now(),
    last_error = 'given up by a purge'
where status = 'pending' and id in (
    select id from webhook_deliveries
    where webhook_id = %(id)s and status = 'pending' limit %(most)s)
returning 1
"""


async def purge(
    database: Queries, webhook_id: UUID, what: Literal["waiting", "dead"], most: int
) -> int:
    """Give up deliveries that wait, which leaves them dead, or remove dead ones with their
    attempts; at most so many. How many."""
    sql = _PURGE_DEAD if what == "dead" else _PURGE_WAITING
    return len(await database.query(sql, {"id": webhook_id, "most": most}))
