"""How much a tenant has and does, in figures that cost little however much that is.

Objects are counted in their indices, deliveries that are not done in an index of those alone, and
never further than `MOST_DELIVERIES`. Calls are counted through the index of their times.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import attrs

from nizam.document.plan import document_resources
from nizam.errors import NotFound
from nizam.store.pool import Pool

MOST_DELIVERIES = 100_000

_DELIVERIES = f"""
(select count(*) from (select from webhook_deliveries
    where tenant_id = %(tenant)s and status in ({{statuses}}) limit {MOST_DELIVERIES}) it)
"""  # noqa: S608 - no values from outside
_CALLS = """
with since as (
    select date_trunc('day', now() at time zone %(zone)s) at time zone %(zone)s as today
)
select result, today, count(started_at) filter (where started_at >= today),
    count(started_at) filter (where started_at >= now() - interval '1 hour')
from since left join cdrs
    on tenant_id = %(tenant)s and started_at >= least(today, now() - interval '1 hour')
group by result, today
"""


@attrs.frozen(kw_only=True)
class LastChange:
    """The latest revision, and who made it how: change, document, import or rollback."""

    revision: int
    at: datetime
    by: str
    kind: str


@attrs.frozen(kw_only=True)
class Holdings:
    """What a tenant has: `counts` are its objects by their tables, `media_bytes` what the sound
    files in them take."""

    body: Mapping[str, Any]
    counts: Mapping[str, int]
    pending_deliveries: int
    dead_deliveries: int
    media_files: int
    media_bytes: int
    last_change: LastChange | None


@attrs.frozen(kw_only=True)
class CallFigures:
    """Calls that have ended, by their results; `since` is when today began for the tenant."""

    since: datetime
    today: Mapping[str, int]
    last_hour: Mapping[str, int]


async def holdings(pool: Pool, tenant_id: UUID) -> Holdings:
    """What the tenant has now; NotFound."""
    rows = await pool.tenant_query(tenant_id, _holdings(), {"tenant": tenant_id})
    if not rows:
        raise NotFound
    body, revision, at, by, kind, pending, dead, files, size, *counts = rows[0]
    change = None if at is None else LastChange(revision=revision, at=at, by=by, kind=kind)
    return Holdings(
        body=body,
        counts=dict(zip((it.table for it in document_resources()), counts, strict=True)),
        pending_deliveries=pending,
        dead_deliveries=dead,
        media_files=files,
        media_bytes=int(size),
        last_change=change,
    )


async def call_figures(pool: Pool, tenant_id: UUID, time_zone: str) -> CallFigures:
    """The tenant's calls of today, which begins by its own clock, and of the last hour."""
    rows = await pool.tenant_query(tenant_id, _CALLS, {"tenant": tenant_id, "zone": time_zone})
    return CallFigures(
        since=rows[0][1],
        today={result: count for result, _, count, _ in rows if count},
        last_hour={result: count for result, _, _, count in rows if count},
    )


@cache
def _holdings() -> str:
    counts = ", ".join(
        f"(select count(*) from {it.table} where tenant_id = %(tenant)s)"  # noqa: S608
        for it in document_resources()
    )
    return f"""
    select t.body, r.revision, r.created_at, r.actor_name, r.kind,
        {_DELIVERIES.format(statuses="'pending', 'delivering'")},
        {_DELIVERIES.format(statuses="'dead'")},
        m.files, m.bytes, {counts}
    from tenants t
    left join lateral (
        select * from revisions where tenant_id = %(tenant)s order by revision desc limit 1
    ) r on true,
    lateral (
        select count(*) as files, coalesce(sum((audio ->> 'bytes')::bigint), 0) as bytes
        from (
            select body -> 'audio' as audio from prompts
            where tenant_id = %(tenant)s and body -> 'audio' ->> 'bytes' is not null
            union all
            select jsonb_array_elements(body -> 'files') from music_on_hold
            where tenant_id = %(tenant)s
        ) it
    ) m
    where t.id = %(tenant)s
    """  # noqa: S608 - declared names
