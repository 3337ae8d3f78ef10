"""What is kept of a tenant whose data is gone: that it was, what was removed, when, by whom."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Table, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

from nizam.store.tables import METADATA

PURGE_RECEIPTS = Table(
    "purge_receipts",
    METADATA,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, nullable=False),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("terminated_at", DateTime(timezone=True), nullable=False),
    Column("terminated_by", Text),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("purged_at", DateTime(timezone=True)),
    Column("purged_by", Text),
    Column("counts", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("audit_head", Text),
    Column("hash", Text),
    UniqueConstraint("tenant_id"),
)
"""A row without `purged_at` belongs to a purge that is under way."""
