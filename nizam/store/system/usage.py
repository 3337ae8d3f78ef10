"""What tenants use, into the ledger, which only grows; see nizam/store/tables/usage.py.

Calls are booked with their summaries. What was booked of a call before is compared with what its
summary says now, and the difference is added: the rows of a call come to its summary, whatever came
late, and writing again adds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol
from uuid import UUID

CALL_FACTS: Final = "call_id, tenant_id, direction, country, gateway"

BOOK_CALLS: Final = f"""
    insert into usage_entries (at, kind, {CALL_FACTS}, calls, duration_ms, billable_ms)
    select at, 'call', {CALL_FACTS}, sum(calls), sum(duration_ms), sum(billable_ms)
    from (
        select started_at as at, {CALL_FACTS}, 1 as calls, duration_ms, billable_ms
        from given where tenant_id is not null and ended_at is not null
        union all
        select at, {CALL_FACTS}, -calls, -duration_ms, -billable_ms
        from usage_entries
        where call_id = any(%(booked)s::uuid[]) and at between %(first)s and %(last)s
    ) as told
    group by at, {CALL_FACTS}
    having (sum(calls), sum(duration_ms), sum(billable_ms)) <> (0, 0, 0)
"""  # noqa: S608 - no values from outside
"""Part of a statement that has the summaries in `given`."""

# Of each hour of which calls are known, how many were there at once at most. A call that ends as
# another begins is not there with it.
_PEAKS: Final = """
with span as (
    select date_trunc('hour', now()) as last,
        date_trunc('hour', now()) - make_interval(hours => %(hours)s) as first
), calls as (
    select greatest(started_at, first) as began, ended_at from cdrs, span
    where tenant_id = %(tenant)s and started_at >= first - interval '1 day' and started_at < last
      and ended_at > first and ended_at > started_at
), steps as (
    select began as moment, 1 as change from calls
    union all select ended_at, -1 from calls, span where ended_at < last
    union all select generate_series(first, last - interval '1 hour', interval '1 hour'), 0
    from span
), running as (
    select date_trunc('hour', moment) as hour,
        sum(change) over (order by moment, change rows unbounded preceding) as at_once
    from steps
), told as (
    select hour as at, max(at_once) as quantity from running group by hour
    union all
    select at, -quantity from usage_entries, span
    where tenant_id = %(tenant)s and kind = 'peak_calls' and at >= first and at < last
)
insert into usage_entries (at, tenant_id, kind, quantity)
select at, %(tenant)s, 'peak_calls', sum(quantity) from told group by at having sum(quantity) <> 0
returning 1
"""
_SAMPLES: Final = """
insert into usage_entries (at, tenant_id, kind, quantity)
select date_trunc(%(every)s, now() at time zone 'UTC') at time zone 'UTC', id, %(kind)s, quantity
from jsonb_to_recordset(%(samples)s::jsonb) as it(id uuid, quantity bigint)
where quantity > 0 and exists (select from tenants t where t.id = it.id)
on conflict do nothing
returning 1
"""
_STORAGE: Final = """
insert into usage_entries (at, tenant_id, kind, quantity)
select date_trunc('day', now() at time zone 'UTC') at time zone 'UTC', tenant_id, 'storage_bytes',
    sum(bytes)
from (
    select tenant_id, (body -> 'audio' ->> 'bytes')::bigint as bytes from prompts
    union all
    select tenant_id, (file ->> 'bytes')::bigint
    from music_on_hold, jsonb_array_elements(body -> 'files') as file
    union all
    select tenant_id, bytes from recordings
) it
where bytes > 0 group by tenant_id
on conflict do nothing
returning 1
"""
_TENANTS: Final = "select id from tenants where id > %s order by id limit %s"


class Database(Protocol):
    """A transaction, or what makes one of each statement."""

    async def query(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        """The rows of the statement."""


async def tenants_after(database: Database, tenant_id: UUID, most: int) -> list[UUID]:
    """The ids of the next tenants."""
    return [row[0] for row in await database.query(_TENANTS, (tenant_id, most))]


async def book_peaks(database: Database, tenant_id: UUID, hours: int) -> int:
    """Book the most calls at once of each of the tenant's last whole hours, as far as it is not
    booked; how many rows that took."""
    return len(await database.query(_PEAKS, {"tenant": tenant_id, "hours": hours}))


async def book_storage(database: Database) -> int:
    """Book what each tenant's files take, once a day; how many rows that took."""
    return len(await database.query(_STORAGE))


async def book_devices(database: Database, counts: Mapping[UUID, int]) -> int:
    """Book how many phones of each tenant are registered, once an hour; how many rows that
    took."""
    from nizam.store.system.events import json_argument

    samples = [{"id": tenant_id, "quantity": count} for tenant_id, count in counts.items()]
    args = {"every": "hour", "kind": "registered_devices", "samples": json_argument(samples)}
    return len(await database.query(_SAMPLES, args))
