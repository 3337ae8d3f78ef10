"""The published versions of call flows."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, ForeignKey, Index, Integer, Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB, UUID

from nizam.store.tables import METADATA
from nizam.store.tables.resources import table

CALL_FLOW_VERSIONS = Table(
    "call_flow_versions",
    METADATA,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, nullable=False),
    Column(
        "call_flow_id",
        UUID,
        ForeignKey(table("call_flow").c.id, ondelete="CASCADE"),
        nullable=False,
    ),
    Column("number", Integer, nullable=False),
    Column("content", JSONB, nullable=False),
    Column("published_by", Text, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
Index(
    "uq_call_flow_versions_call_flow_id_number",
    CALL_FLOW_VERSIONS.c.tenant_id,
    CALL_FLOW_VERSIONS.c.call_flow_id,
    CALL_FLOW_VERSIONS.c.number,
    unique=True,
)
