"""The audit log: who did what to which object, and what it looked like before and after.

The rows of one tenant, and those of the platform, are a chain each: every row carries the hash of
the one before it. docs/audit.md says over what, and how to check it without NIZAM.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text, func, text
from sqlalchemy.dialects.postgresql import JSON, UUID

from nizam.store.tables import METADATA

# JSON and not JSONB: the hash is over the very text that was written.
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
    Column("before", JSON),
    Column("after", JSON),
    Column("sequence", BigInteger, nullable=False),
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
Index("uq_audit_logs_tenant_id_sequence", *AUDIT_LOGS.c["tenant_id", "sequence"], unique=True)
Index(
    "uq_audit_logs_sequence",
    AUDIT_LOGS.c.sequence,
    unique=True,
    postgresql_where=AUDIT_LOGS.c.tenant_id.is_(None),
)
Index(None, *AUDIT_LOGS.c["tenant_id", "occurred_at", "id"])
Index(None, *AUDIT_LOGS.c["occurred_at", "id"])
Index(None, *AUDIT_LOGS.c["resource_id", "occurred_at"])

_ZEROS = text("repeat('0', 64)")
AUDIT_CHAINS = Table(
    "audit_chains",
    METADATA,
    Column("tenant_id", UUID, primary_key=True),
    Column("sequence", BigInteger, nullable=False, server_default=text("0")),
    Column("hash", Text, nullable=False, server_default=_ZEROS),
    Column("pruned_sequence", BigInteger, nullable=False, server_default=text("0")),
    Column("pruned_hash", Text, nullable=False, server_default=_ZEROS),
)
"""The last row of each chain, and the last one that was removed by age; the chain of the platform
has the UUID that is all zeros."""
