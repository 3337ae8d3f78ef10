"""The audit log: who did what to which object, and what it looked like before and after."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB, UUID

from nizam.store.tables import METADATA

AUDIT_LOGS = Table(
    "audit_logs",
    METADATA,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID),
    Column("revision", BigInteger),
    Column("occurred_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("actor_type", Text, nullable=False),
    Column("actor_id", UUID),
    Column("actor_name", Text, nullable=False),
    Column("address", Text),
    Column("request_id", Text),
    Column("action", Text, nullable=False),
    Column("resource_type", Text, nullable=False),
    Column("resource_id", UUID),
    Column("before", JSONB),
    Column("after", JSONB),
)
Index(None, AUDIT_LOGS.c.tenant_id, AUDIT_LOGS.c.occurred_at)
