"""Replays of webhook deliveries that are under way or have ended."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
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

WEBHOOK_REPLAYS = Table(
    "webhook_replays",
    METADATA,
    Column("id", UUID, primary_key=True, server_default=text("new_uuid7()")),
    Column("tenant_id", UUID, nullable=False),
    Column("webhook_id", UUID, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'running'")),
    Column("statuses", ARRAY(Text), nullable=False),
    Column("since", DateTime(timezone=True)),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("rate_per_second", Integer, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("replayed", BigInteger, nullable=False, server_default=text("0")),
    Column("after_created_at", DateTime(timezone=True)),
    Column("after_id", UUID),
    Column("next_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("ended_at", DateTime(timezone=True)),
    CheckConstraint("status in ('running', 'done', 'cancelled')", name="ck_webhook_replays_status"),
)
"""`after_*` say of the last delivery that was replayed where it stands in their order."""
Index(
    "uq_webhook_replays_running",
    WEBHOOK_REPLAYS.c.webhook_id,
    unique=True,
    postgresql_where=text("status = 'running'"),
)
Index(
    None,
    WEBHOOK_REPLAYS.c.tenant_id,
    WEBHOOK_REPLAYS.c.webhook_id,
    WEBHOOK_REPLAYS.c.created_at,
    WEBHOOK_REPLAYS.c.id,
)
