"""The receipts of purged tenants, as the platform sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select

from nizam.store.listing import Field, Listing, Page, page_of
from nizam.store.pages import page_statement
from nizam.store.pool import Pool
from nizam.store.statements import compile_statement
from nizam.store.tables.purges import PURGE_RECEIPTS

RECEIPT_FIELDS: Mapping[str, Field] = {
    "purged_at": Field(PURGE_RECEIPTS.c.purged_at, "time"),
    "terminated_at": Field(PURGE_RECEIPTS.c.terminated_at, "time"),
    "name": Field(PURGE_RECEIPTS.c.name, "text"),
    "slug": Field(PURGE_RECEIPTS.c.slug, "text"),
    "domain": Field(PURGE_RECEIPTS.c.domain, "text"),
    "tenant_id": Field(PURGE_RECEIPTS.c.tenant_id, "uuid", sortable=False),
}
_COLUMNS = list(PURGE_RECEIPTS.c)
RECEIPT_COLUMNS = tuple(str(it.name) for it in _COLUMNS)
"""The members of a receipt, in their order."""
_DONE = PURGE_RECEIPTS.c.purged_at.is_not(None)


async def find_receipt(pool: Pool, tenant_id: UUID) -> dict[str, Any] | None:
    """The receipt of a tenant that was purged; None for any other."""
    statement = select(*_COLUMNS).where(PURGE_RECEIPTS.c.tenant_id == tenant_id, _DONE)
    rows = await pool.query(*compile_statement(statement))
    return dict(zip(RECEIPT_COLUMNS, rows[0], strict=True)) if rows else None


async def list_receipts(pool: Pool, listing: Listing) -> Page:
    """One page of receipts."""
    statement = page_statement(_COLUMNS, RECEIPT_FIELDS, PURGE_RECEIPTS.c.id, listing, _DONE)
    return page_of(await pool.query(*compile_statement(statement)), RECEIPT_COLUMNS, listing)
