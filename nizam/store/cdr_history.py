"""Call detail records, as the API lists them: the summaries of calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, and_, bindparam, cast, false, func, select, true

from nizam.store.listing import Field, Listing, Page, page_of
from nizam.store.pages import CompiledPages, id_text, time_text
from nizam.store.pool import Pool
from nizam.store.tables.cdrs import CDRS
from nizam.store.tables.recordings import RECORDINGS

_IT = CDRS.c
# Row-level security leaves nothing but the tenant's own.
_RECORDINGS: Final = and_(RECORDINGS.c.call_id == _IT.call_id, RECORDINGS.c.state != "deleting")
# Asked of each call by its index. Of `exists` PostgreSQL would first make a table of all of them.
_RECORDED: Final = func.coalesce(
    select(true()).where(_RECORDINGS).limit(1).scalar_subquery(), false()
)
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
    "node": Field(_IT.node, "text", sortable=False),
    "did": Field(_IT.did, "text", sortable=False),
    "destination": Field(_IT.destination, "text", sortable=False),
    "country": Field(_IT.country, "text", sortable=False),
    "extension_id": Field(_IT.extension_ids, "uuid", sortable=False, many=True),
    "recorded": Field(_RECORDED, "boolean", sortable=False),
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
    "did",
    "destination",
    "country",
)
_TIMES: Final = ("started_at", "answered_at", "ended_at")
QUALITY: Final = ("mos", "packet_loss_percent", "jitter_ms")
RECORDING_IDS: Final = func.array(
    select(cast(RECORDINGS.c.id, Text)).where(_RECORDINGS).scalar_subquery()
).label("recording_ids")
SUMMARY: Final[tuple[ColumnElement[Any], ...]] = (
    id_text(_IT.call_id),
    *(time_text(_IT[name]) for name in _TIMES),
    *(_IT[name] for name in _TEXTS),
    _IT.from_number.label("from"),
    _IT.to_number.label("to"),
    *(_IT[name] for name in QUALITY),
    cast(_IT.extension_ids, ARRAY(Text)).label("extension_ids"),
)
"""The columns of a summary, under the names of the API."""
_COLUMNS: Final = (*SUMMARY, RECORDING_IDS)
_NAMES: Final = tuple(str(it.key) for it in _COLUMNS)
_PAGES: Final = CompiledPages(
    _COLUMNS, CDR_FIELDS, _IT.call_id, _IT.tenant_id == bindparam("tenant_id")
)


async def list_cdrs(pool: Pool, tenant_id: UUID, listing: Listing) -> Page:
    """Summaries of calls."""
    rows = await pool.tenant_query(tenant_id, *_PAGES.sql(listing, tenant_id=tenant_id))
    page = page_of(rows, _NAMES, listing)
    return Page([shown(row) for row in page.rows], page.next_cursor)


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A summary as the API shows it, from its columns by their names."""
    # Their ids are in the order of time; a sort in each subquery costs ten times the search.
    row["recording_ids"].sort()
    row["quality"] = {name: row.pop(name) for name in QUALITY}
    return row
