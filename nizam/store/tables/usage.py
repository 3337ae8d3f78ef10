"""The ledger of what tenants use. The database refuses to change or to remove its rows.

A call is booked when it has ended, in the transaction that stores its summary; when the summary
changes, the difference is booked. What is sampled has one row for each tenant, kind and time; the
most calls at once of an hour are the sum of its rows.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

from nizam.store.tables import METADATA

USAGE_ENTRIES = Table(
    "usage_entries",
    METADATA,
    Column("id", UUID, primary_key=True, server_default=text("new_uuid7()")),
    Column("at", DateTime(timezone=True), primary_key=True),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("tenant_id", UUID, nullable=False),
    Column("kind", Text, nullable=False),
    Column("call_id", UUID),
    Column("direction", Text),
    Column("country", Text),
    Column("gateway", Text),
    Column("calls", Integer, nullable=False, server_default=text("0")),
    Column("duration_ms", BigInteger, nullable=False, server_default=text("0")),
    Column("billable_ms", BigInteger, nullable=False, server_default=text("0")),
    Column("quantity", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint(
        "kind in ('call', 'peak_calls', 'storage_bytes', 'registered_devices')",
        name="ck_usage_entries_kind",
    ),
    CheckConstraint("(kind = 'call') = (call_id is not null)", name="ck_usage_entries_call_id"),
    postgresql_partition_by="RANGE (at)",
)
"""`at` is when a call began, the hour of its most calls at once, or when it was sampled."""
Index(None, USAGE_ENTRIES.c.tenant_id, USAGE_ENTRIES.c.at)
Index(None, USAGE_ENTRIES.c.call_id, postgresql_where=text("call_id is not null"))
Index(
    "uq_usage_entries_sample",
    USAGE_ENTRIES.c.tenant_id,
    USAGE_ENTRIES.c.kind,
    USAGE_ENTRIES.c.at,
    unique=True,
    postgresql_where=text("kind in ('storage_bytes', 'registered_devices')"),
)
