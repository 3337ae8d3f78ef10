"""What happened, as the API lists it: call events, CDRs, webhook deliveries and attempts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, Table, literal_column, select

from nizam.errors import NotFound
from nizam.model.events import SCHEMA_VERSION, event_time, timestamp
from nizam.store.listing import Field, Listing, Page
from nizam.store.pages import TenantQueries, tenant_page, tenant_row
from nizam.store.pool import Pool
from nizam.store.statements import compile_statement
from nizam.store.tables.call_decisions import CALL_DECISIONS
from nizam.store.tables.deliveries import WEBHOOK_ATTEMPTS, WEBHOOK_DELIVERIES
from nizam.store.tables.events import CALL_EVENTS
from nizam.store.tables.replays import WEBHOOK_REPLAYS

_TRACE_EVENTS = 2000

CALL_EVENT_FIELDS: Mapping[str, Field] = {
    "occurred_at": Field(CALL_EVENTS.c.occurred_at, "time"),
    "type": Field(CALL_EVENTS.c.type, "text", sortable=False),
    "call_id": Field(CALL_EVENTS.c.call_id, "uuid", sortable=False),
    "leg_id": Field(CALL_EVENTS.c.leg_id, "uuid", sortable=False),
    "node": Field(CALL_EVENTS.c.node, "text", sortable=False),
}
GATEWAY_STATE_FIELDS: Mapping[str, Field] = {
    name: CALL_EVENT_FIELDS[name] for name in ("occurred_at", "type", "node")
}
REGISTRATION_EVENT_FIELDS: Mapping[str, Field] = {
    **GATEWAY_STATE_FIELDS,
    **{
        name: Field(CALL_EVENTS.c.data[name].astext, "text", sortable=False)
        for name in ("user", "extension_id", "contact", "network_ip", "reason")
    },
}
DELIVERY_FIELDS: Mapping[str, Field] = {
    "created_at": Field(WEBHOOK_DELIVERIES.c.created_at, "time"),
    "status": Field(WEBHOOK_DELIVERIES.c.status, "text", sortable=False),
    "event_id": Field(WEBHOOK_DELIVERIES.c.event_id, "text", sortable=False),
    "event_type": Field(WEBHOOK_DELIVERIES.c.event_type, "text", sortable=False),
    "call_id": Field(WEBHOOK_DELIVERIES.c.call_id, "uuid", sortable=False),
}
REPLAY_FIELDS: Mapping[str, Field] = {
    "created_at": Field(WEBHOOK_REPLAYS.c.created_at, "time"),
    "status": Field(WEBHOOK_REPLAYS.c.status, "text", sortable=False),
}
ATTEMPT_FIELDS: Mapping[str, Field] = {
    "started_at": Field(WEBHOOK_ATTEMPTS.c.started_at, "time"),
    "delivery_id": Field(WEBHOOK_ATTEMPTS.c.delivery_id, "uuid", sortable=False),
    "response_status": Field(WEBHOOK_ATTEMPTS.c.response_status, "integer", sortable=False),
}

EVENT_COLUMNS = (
    "id",
    "type",
    "occurred_at",
    "tenant_id",
    "node",
    "call_id",
    "leg_id",
    "sequence",
    "data",
)
_DELIVERY_COLUMNS = (
    "id",
    "event_id",
    "event_type",
    "webhook_id",
    "call_id",
    "status",
    "attempt_count",
    "next_attempt_at",
    "last_error",
    "created_at",
    "updated_at",
)
_REPLAY_COLUMNS = (
    "id",
    "webhook_id",
    "status",
    "statuses",
    "since",
    "until",
    "rate_per_second",
    "total",
    "replayed",
    "created_at",
    "ended_at",
)
_ATTEMPT_COLUMNS = (
    "id",
    "delivery_id",
    "number",
    "started_at",
    "duration_ms",
    "response_status",
    "response_head",
    "error",
)


async def list_call_events(pool: Pool, tenant_id: UUID, listing: Listing) -> Page:
    """Events of a tenant as envelopes."""
    return await _events(pool, tenant_id, listing, CALL_EVENT_FIELDS)


async def list_gateway_states(
    pool: TenantQueries, tenant_id: UUID, gateway_id: UUID, listing: Listing
) -> Page:
    """When a gateway of a tenant came up and went down, as the events that told it."""
    # Written out, as it is in the index.
    kind = literal_column("type in ('gateway.up', 'gateway.down')", Boolean)
    its = CALL_EVENTS.c.data["gateway_id"].astext == str(gateway_id)
    return await _events(pool, tenant_id, listing, GATEWAY_STATE_FIELDS, kind, its)


async def list_registration_events(pool: TenantQueries, tenant_id: UUID, listing: Listing) -> Page:
    """Which phones of a tenant signed in and out, failed to, or were lost, as the events."""
    # Written out, as it is in the index; the percent sign is doubled when it is compiled.
    kind = literal_column("type like 'registration.%'", Boolean)
    return await _events(pool, tenant_id, listing, REGISTRATION_EVENT_FIELDS, kind)


async def _events(
    pool: TenantQueries,
    tenant_id: UUID,
    listing: Listing,
    fields: Mapping[str, Field],
    *where: ColumnElement[bool],
) -> Page:
    page = await tenant_page(
        pool,
        tenant_id,
        [CALL_EVENTS.c[name] for name in EVENT_COLUMNS],
        fields,
        CALL_EVENTS.c.id,
        listing,
        CALL_EVENTS.c.tenant_id == tenant_id,
        *where,
    )
    return Page([shown_event(row) for row in page.rows], page.next_cursor)


async def get_call_event(pool: Pool, tenant_id: UUID, event_id: str) -> dict[str, Any]:
    """One event as its envelope; NotFound."""
    try:
        moment = event_time(event_id)
        following = moment + timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise NotFound from None
    row = await tenant_row(
        pool,
        tenant_id,
        [CALL_EVENTS.c[name] for name in EVENT_COLUMNS],
        CALL_EVENTS.c.tenant_id == tenant_id,
        CALL_EVENTS.c.id == event_id,
        CALL_EVENTS.c.occurred_at >= moment,
        CALL_EVENTS.c.occurred_at < following,
    )
    return shown_event(row)


async def call_trace(pool: Pool, tenant_id: UUID, call_id: UUID) -> list[dict[str, Any]]:
    """Every event of one call, in their order."""
    statement = (
        select(*(CALL_EVENTS.c[name] for name in EVENT_COLUMNS))
        .where(CALL_EVENTS.c.tenant_id == tenant_id, CALL_EVENTS.c.call_id == call_id)
        .order_by(CALL_EVENTS.c.occurred_at, CALL_EVENTS.c.sequence, CALL_EVENTS.c.type)
        .limit(_TRACE_EVENTS)
    )
    rows = await pool.tenant_query(tenant_id, *compile_statement(statement))
    return [shown_event(dict(zip(EVENT_COLUMNS, row, strict=True))) for row in rows]


async def call_decisions(pool: Pool, tenant_id: UUID, call_id: UUID) -> list[dict[str, Any]]:
    """Every answer that the switch was given for one call, in order."""
    names = ("decided_at", "node", "channel_id", "revision", "document")
    statement = (
        select(*(CALL_DECISIONS.c[name] for name in names))
        .where(CALL_DECISIONS.c.tenant_id == tenant_id, CALL_DECISIONS.c.call_id == call_id)
        .order_by(CALL_DECISIONS.c.decided_at, CALL_DECISIONS.c.question)
        .limit(_TRACE_EVENTS)
    )
    rows = await pool.tenant_query(tenant_id, *compile_statement(statement))
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return [it.pop("document") | it for it in found]


async def list_deliveries(pool: Pool, tenant_id: UUID, webhook_id: UUID, listing: Listing) -> Page:
    """Deliveries of one webhook."""
    given = (WEBHOOK_DELIVERIES, _DELIVERY_COLUMNS, DELIVERY_FIELDS)
    return await _of_webhook(pool, tenant_id, webhook_id, listing, *given)


async def list_replays(pool: Pool, tenant_id: UUID, webhook_id: UUID, listing: Listing) -> Page:
    """Replays of one webhook's deliveries."""
    given = (WEBHOOK_REPLAYS, _REPLAY_COLUMNS, REPLAY_FIELDS)
    return await _of_webhook(pool, tenant_id, webhook_id, listing, *given)


async def list_attempts(pool: Pool, tenant_id: UUID, webhook_id: UUID, listing: Listing) -> Page:
    """Attempts to deliver to one webhook."""
    given = (WEBHOOK_ATTEMPTS, _ATTEMPT_COLUMNS, ATTEMPT_FIELDS)
    return await _of_webhook(pool, tenant_id, webhook_id, listing, *given)


async def _of_webhook(
    pool: Pool,
    tenant_id: UUID,
    webhook_id: UUID,
    listing: Listing,
    table: Table,
    columns: Sequence[str],
    fields: Mapping[str, Field],
) -> Page:
    return await tenant_page(
        pool,
        tenant_id,
        [table.c[name] for name in columns],
        fields,
        table.c.id,
        listing,
        table.c.tenant_id == tenant_id,
        table.c.webhook_id == webhook_id,
    )


def shown_event(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `EVENT_COLUMNS` as an envelope."""
    return {
        **row,
        "occurred_at": timestamp(row["occurred_at"]),
        "schema_version": SCHEMA_VERSION,
    }
