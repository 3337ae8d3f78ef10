"""The feed of changes that every process's snapshot follows, and the platform's own revision."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

from nizam.store.tables import METADATA

CHANGES = Table(
    "changes",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant_id", UUID),
    Column("revision", BigInteger, nullable=False),
    Column("resource_type", Text, nullable=False),
    Column("resource_id", UUID, nullable=False),
    Column("operation", Text, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
Index(None, CHANGES.c.tenant_id, CHANGES.c.revision)

PLATFORM_STATE = Table(
    "platform_state",
    METADATA,
    Column("only", Boolean, primary_key=True, server_default=text("true")),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
)
"""One row: the revision of everything that belongs to no tenant."""
