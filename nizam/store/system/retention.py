"""What is removed by age, a slice at a time; each says how many rows it has removed.

Times are PostgreSQL's. What is in monthly partitions goes with them: see partitions.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Protocol

from nizam.model.identifiers import first_id_at
from nizam.store.idempotency import KEPT_HOURS

SLICE: Final = 1000

# The feed is written in the order of its ids, and so are deliveries, whose ids are UUIDv7: what is
# old is at the beginning of their primary keys.
_CHANGES = """
delete from changes where id in (select id from changes order by id limit %(most)s)
  and changed_at < now() - make_interval(days => %(days)s)
returning 1
"""
_IDEMPOTENCY_KEYS = f"""
delete from idempotency_keys where (owner, key) in (
    select owner, key from idempotency_keys
    where created_at < now() - interval '{KEPT_HOURS} hours' limit %(most)s
    for update skip locked)
returning 1
"""  # noqa: S608 - our own number
_DELIVERIES = """
with old as (
    select id from webhook_deliveries
    where id < %(first)s and status in ('succeeded', 'dead')
      and updated_at < now() - make_interval(days => %(days)s)
    order by id limit %(most)s
), attempts as (
    delete from webhook_attempts where delivery_id in (select id from old) returning 1
), deliveries as (
    delete from webhook_deliveries d using old
    where d.id = old.id and d.status in ('succeeded', 'dead') returning 1
)
select (select count(*) from deliveries) + (select count(*) from attempts)
"""


# Legs and decisions go with the summary of their call, which is what lists show.
_CDRS_OF_TENANTS = """
with old as (
    select c.* from tenants t, lateral (
        select call_id, started_at, tenant_id from cdrs
        where tenant_id = t.id
          and started_at < now() - make_interval(days => (t.body ->> 'cdr_retention_days')::int)
        order by started_at limit %(most)s) c
    where (t.body ->> 'cdr_retention_days')::int > 0
    limit %(most)s
), legs as (
    delete from cdr_legs l using old where l.call_id = old.call_id and l.tenant_id = old.tenant_id
), decisions as (
    delete from call_decisions d using old
    where d.tenant_id = old.tenant_id and d.call_id = old.call_id
)
delete from cdrs c using old
where c.call_id = old.call_id and c.started_at = old.started_at and c.tenant_id = old.tenant_id
returning 1
"""


class Database(Protocol):
    """A transaction or a pool: what runs one statement."""

    async def query(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        """The rows of the statement."""


async def days_ago(database: Database, days: int) -> datetime:
    """The moment so many days ago."""
    rows = await database.query("select now() - make_interval(days => %s)", (days,))
    moment: datetime = rows[0][0]
    return moment


async def prune_changes(database: Database, days: int) -> int:
    """Lines of the change feed that are so many days old."""
    return len(await database.query(_CHANGES, {"days": days, "most": SLICE}))


async def prune_idempotency_keys(database: Database) -> int:
    """Idempotency keys whose time is over, with the answers that they keep."""
    return len(await database.query(_IDEMPOTENCY_KEYS, {"most": SLICE}))


async def prune_deliveries(database: Database, days: int) -> int:
    """Webhook deliveries that ended so many days ago, and their attempts. One that still waits
    stays, however old."""
    first = first_id_at(await days_ago(database, days))
    rows = await database.query(_DELIVERIES, {"first": first, "days": days, "most": SLICE})
    return int(rows[0][0])


async def prune_replays(database: Database, days: int) -> int:
    """Replays that ended so many days ago."""
    return len(
        await database.query(
            "delete from webhook_replays where id in (select id from webhook_replays"
            " where ended_at < now() - make_interval(days => %(days)s) limit %(most)s) returning 1",
            {"days": days, "most": SLICE},
        )
    )


async def prune_cdrs_of_tenants(database: Database) -> int:
    """The records of calls, with their legs and decisions, of tenants that keep theirs for fewer
    days than everybody; how many calls."""
    return len(await database.query(_CDRS_OF_TENANTS, {"most": SLICE}))
