"""How calls were routed: one row for each dialplan question, partitioned by month."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB, UUID

from nizam.store.tables import METADATA

CALL_DECISIONS = Table(
    "call_decisions",
    METADATA,
    Column("decided_at", DateTime(timezone=True), primary_key=True),
    Column("channel_id", Text, primary_key=True),
    Column("question", Text, primary_key=True),
    Column("tenant_id", UUID, nullable=False),
    Column("call_id", UUID, nullable=False),
    Column("node", Text, nullable=False),
    Column("revision", BigInteger),
    Column("document", JSONB, nullable=False),
    postgresql_partition_by="RANGE (decided_at)",
)
Index(None, CALL_DECISIONS.c.tenant_id, CALL_DECISIONS.c.call_id)
