"""Reading the audit log: one page of a tenant's rows, or of everybody's."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import case

from nizam.store.listing import Field, Listing, Page, page_of
from nizam.store.pages import page_statement, tenant_page
from nizam.store.pool import Pool
from nizam.store.statements import compile_statement
from nizam.store.tables.audit import AUDIT_LOGS

_IT = AUDIT_LOGS.c
AUDIT_FIELDS: Mapping[str, Field] = {
    "occurred_at": Field(_IT.occurred_at, "time"),
    "sequence": Field(_IT.sequence, "integer"),
    "actor_type": Field(_IT.actor_type, "text", sortable=False),
    "actor_id": Field(_IT.actor_id, "uuid", sortable=False),
    "actor_name": Field(_IT.actor_name, "text", sortable=False),
    "address": Field(_IT.address, "text", sortable=False),
    "request_id": Field(_IT.request_id, "text", sortable=False),
    "action": Field(_IT.action, "text", sortable=False),
    "resource_type": Field(_IT.resource_type, "text", sortable=False),
    "resource_id": Field(_IT.resource_id, "uuid", sortable=False),
    "revision": Field(_IT.revision, "integer", sortable=False),
}
ALL_AUDIT_FIELDS: Mapping[str, Field] = {
    **AUDIT_FIELDS,
    "tenant_id": Field(_IT.tenant_id, "uuid", sortable=False),
    "scope": Field(
        case((_IT.tenant_id.is_(None), "platform"), else_="tenant"), "text", sortable=False
    ),
}
"""`scope` tells the rows of the platform's own chain from those of tenants."""


async def list_audit_logs(pool: Pool, tenant_id: UUID | None, listing: Listing) -> Page:
    """One page of the rows of a tenant, under its row-level security; None: of every chain."""
    columns = list(AUDIT_LOGS.c)
    if tenant_id is not None:
        own = _IT.tenant_id == tenant_id
        return await tenant_page(pool, tenant_id, columns, AUDIT_FIELDS, _IT.id, listing, own)
    statement = page_statement(columns, ALL_AUDIT_FIELDS, _IT.id, listing)
    rows = await pool.query(*compile_statement(statement))
    return page_of(rows, [str(it.key) for it in columns], listing)
