"""What a tenant has used, added up from the ledger by the days or months of its own clock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, Final, Literal
from uuid import UUID

import attrs

from nizam.errors import NotFound
from nizam.store.pool import Pool

Interval = Literal["day", "month"]
Part = Literal["direction", "country", "gateway"]
PARTS: Final[tuple[Part, ...]] = ("direction", "country", "gateway")
DEADLINE_SECONDS: Final = 15.0
"""A month of a large tenant is millions of rows."""

_SPAN: Final = """
tenant_id = %(tenant)s and at >= %(first)s::timestamp at time zone %(zone)s
    and at < (%(last)s::date + 1)::timestamp at time zone %(zone)s
"""
_PERIOD: Final = "date_trunc(%(interval)s, at at time zone %(zone)s)::date"
_CALLS: Final = f"""
select {_PERIOD}, direction, {{country}}, {{gateway}},
    sum(calls)::bigint, sum(duration_ms)::bigint, sum(billable_ms)::bigint
from usage_entries where kind = 'call' and {_SPAN}
group by 1, 2, 3, 4 having (sum(calls), sum(duration_ms), sum(billable_ms)) <> (0, 0, 0)
order by 1, 2, 3, 4
"""  # noqa: S608 - no values from outside
# A peak is the sum of the rows of its hour; the most of a period is the highest of its hours.
_LEVELS: Final = f"""
select period, kind, max(quantity) from (
    select {_PERIOD} as period, kind, sum(quantity)::bigint as quantity
    from usage_entries where kind <> 'call' and {_SPAN} group by at, kind
) it group by period, kind
"""  # noqa: S608 - no values from outside
_TENANT: Final = """
select zone, (now() at time zone zone)::date
from (select coalesce(body ->> 'time_zone', 'UTC') as zone from tenants where id = %s) it
"""


@attrs.frozen(kw_only=True)
class CallUse:
    """Calls of one kind in the period that begins on `start`. What was not asked for is None."""

    start: date
    direction: str
    country: str | None
    gateway: str | None
    calls: int
    duration_ms: int
    billable_ms: int


@attrs.frozen
class Use:
    """`levels` are the highest ones of each period, by its first day and their kind."""

    calls: Sequence[CallUse]
    levels: Mapping[tuple[date, str], int]


async def tenant_clock(pool: Pool, tenant_id: UUID) -> tuple[str, date]:
    """The time zone of a tenant, and what day it is there; NotFound."""
    rows = await pool.tenant_query(tenant_id, _TENANT, (tenant_id,))
    if not rows:
        raise NotFound
    return rows[0][0], rows[0][1]


async def use_of(
    pool: Pool,
    tenant_id: UUID,
    *,
    first: date,
    last: date,
    zone: str,
    interval: Interval,
    parts: Collection[Part],
) -> Use:
    """What the tenant has used from the first to the last day, both included."""
    args = {"tenant": tenant_id, "first": first, "last": last, "zone": zone, "interval": interval}
    shown = {name: name if name in parts else "null::text" for name in PARTS[1:]}
    calls = await pool.tenant_query(tenant_id, _CALLS.format(**shown), args, DEADLINE_SECONDS)
    levels = await pool.tenant_query(tenant_id, _LEVELS, args, DEADLINE_SECONDS)
    names = [it.name for it in attrs.fields(CallUse)]
    found: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in calls]
    return Use([CallUse(**it) for it in found], {(row[0], row[1]): row[2] for row in levels})
