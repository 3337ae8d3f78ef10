"""Call detail records, as the API lists them: summaries of calls, and the legs of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, select

from nizam.errors import NotFound
from nizam.store.listing import CompiledPages, Field, Listing, Page, id_text, page_of, time_text
from nizam.store.pool import Pool
from nizam.store.statements import compile_statement
from nizam.store.tables.cdrs import CDR_LEGS, CDRS

_IT = CDRS.c
CDR_FIELDS: Final[Mapping[str, Field]] = {
    "started_at": Field(_IT.started_at, "time"),
    "answered_at": Field(_IT.answered_at, "time"),
    "ended_at": Field(_IT.ended_at, "time"),
    "duration_ms": Field(_IT.duration_ms, "integer"),
    "billable_ms": Field(_IT.billable_ms, "integer"),
    "direction": Field(_IT.direction, "text", sortable=False),
    "from": Field(_IT.from_number, "text"),
    "to": Field(_IT.to_number, "text"),
    "result": Field(_IT.result, "text", sortable=False),
    "hangup_cause": Field(_IT.hangup_cause, "text", sortable=False),
    "hangup_by": Field(_IT.hangup_by, "text", sortable=False),
    "gateway": Field(_IT.gateway, "text", sortable=False),
    "source": Field(_IT.source, "text", sortable=False),
}
_TEXTS: Final = (
    "direction",
    "duration_ms",
    "billable_ms",
    "result",
    "hangup_cause",
    "hangup_by",
    "route",
    "revision",
    "gateway",
    "node",
    "source",
)
_TIMES: Final = ("started_at", "answered_at", "ended_at")
_QUALITY: Final = ("mos", "packet_loss_percent", "jitter_ms")
_COLUMNS: Final[tuple[ColumnElement[Any], ...]] = (
    id_text(_IT.call_id),
    *(time_text(_IT[name]) for name in _TIMES),
    *(_IT[name] for name in _TEXTS),
    _IT.from_number.label("from"),
    _IT.to_number.label("to"),
    *(_IT[name] for name in _QUALITY),
)
_NAMES: Final = tuple(str(it.key) for it in _COLUMNS)
_PAGES: Final = CompiledPages(
    _COLUMNS, CDR_FIELDS, _IT.call_id, _IT.tenant_id == bindparam("tenant_id")
)
_LEG_COLUMNS: Final = (
    "leg_id",
    "extension_id",
    "node",
    "direction",
    "caller_number",
    "caller_name",
    "number",
    "other_leg_id",
    "originator_id",
    "started_at",
    "ringing_at",
    "answered_at",
    "bridged_at",
    "ended_at",
    "hangup_cause",
    "gateway",
    "codec",
    "transfer_to",
)


async def list_cdrs(pool: Pool, tenant_id: UUID, listing: Listing) -> Page:
    """Summaries of calls."""
    rows = await pool.tenant_query(tenant_id, *_PAGES.sql(listing, tenant_id=tenant_id))
    page = page_of(rows, _NAMES, listing)
    return Page([_shown(row) for row in page.rows], page.next_cursor)


async def get_cdr(pool: Pool, tenant_id: UUID, call_id: UUID) -> dict[str, Any]:
    """The summary of one call with its legs; NotFound."""
    statement = (
        select(*_COLUMNS)
        .where(_IT.tenant_id == tenant_id, _IT.call_id == call_id)
        .order_by(_IT.started_at.desc())
        .limit(1)
    )
    rows = await pool.tenant_query(tenant_id, *compile_statement(statement))
    if not rows:
        raise NotFound
    legs = (
        select(*(CDR_LEGS.c[name] for name in _LEG_COLUMNS))
        .where(CDR_LEGS.c.tenant_id == tenant_id, CDR_LEGS.c.call_id == call_id)
        .order_by(CDR_LEGS.c.started_at, CDR_LEGS.c.leg_id)
    )
    found = await pool.tenant_query(tenant_id, *compile_statement(legs))
    return {
        **_shown(dict(zip(_NAMES, rows[0], strict=True))),
        "legs": [dict(zip(_LEG_COLUMNS, row, strict=True)) for row in found],
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    row["quality"] = {name: row.pop(name) for name in _QUALITY}
    row["recording_ids"] = []
    return row
