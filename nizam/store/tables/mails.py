"""Emails that wait to be sent, were sent, or were given up."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from nizam.store.tables import METADATA

MAILS = Table(
    "mails",
    METADATA,
    Column("id", UUID, primary_key=True, server_default=text("new_uuid7()")),
    Column("tenant_id", UUID, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("kind", Text, nullable=False, server_default=text("'emergency'")),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("call_id", UUID),
    Column("data", JSONB, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'pending'")),
    Column("attempt_count", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("last_error", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("event_id", "recipient"),
    CheckConstraint("kind in ('emergency', 'voicemail')", name="ck_mails_kind"),
    CheckConstraint("status in ('pending', 'sent', 'dead')", name="ck_mails_status"),
)
Index(
    "ix_mails_pending",
    MAILS.c.next_attempt_at,
    postgresql_where=text("status = 'pending'"),
)
Index("ix_mails_tenant_id", MAILS.c.tenant_id)
