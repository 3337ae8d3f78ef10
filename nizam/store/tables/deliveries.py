"""Webhook deliveries, the attempts that were made, and what is known about each webhook's health.

A delivery is the outbox row of one event for one webhook: it is inserted in the statement that
inserts the event. There are no foreign keys: events live in partitions that are dropped by age,
and what was promised to a webhook is accounted for even after the webhook was deleted.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

from nizam.store.tables import METADATA

WEBHOOK_DELIVERIES = Table(
    "webhook_deliveries",
    METADATA,
    Column("id", UUID, primary_key=True, server_default=text("new_uuid7()")),
    Column("event_id", Text, nullable=False),
    Column("event_occurred_at", DateTime(timezone=True), nullable=False),
    Column("event_type", Text, nullable=False),
    Column("webhook_id", UUID, nullable=False),
    Column("tenant_id", UUID, nullable=False),
    Column("call_id", UUID),
    Column("status", Text, nullable=False, server_default=text("'pending'")),
    Column("attempt_count", Integer, nullable=False, server_default=text("0")),
    Column("schedule_offset", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_at", DateTime(timezone=True)),
    Column("claimed_by", Text),
    Column("last_error", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("event_id", "webhook_id"),
    CheckConstraint(
        "status in ('pending', 'delivering', 'succeeded', 'dead')",
        name="ck_webhook_deliveries_status",
    ),
)
_OPEN = text("status in ('pending', 'delivering')")
Index(
    "ix_webhook_deliveries_unfinished",
    WEBHOOK_DELIVERIES.c.tenant_id,
    WEBHOOK_DELIVERIES.c.status,
    postgresql_where=text("status <> 'succeeded'"),
)
Index("ix_webhook_deliveries_open", WEBHOOK_DELIVERIES.c.id, postgresql_where=_OPEN)
Index(
    "ix_webhook_deliveries_open_of_call",
    WEBHOOK_DELIVERIES.c.webhook_id,
    WEBHOOK_DELIVERIES.c.call_id,
    WEBHOOK_DELIVERIES.c.event_occurred_at,
    postgresql_where=_OPEN,
)
Index(
    None,
    WEBHOOK_DELIVERIES.c.tenant_id,
    WEBHOOK_DELIVERIES.c.webhook_id,
    WEBHOOK_DELIVERIES.c.created_at,
    WEBHOOK_DELIVERIES.c.id,
)
Index(
    "ix_webhook_deliveries_dead",
    WEBHOOK_DELIVERIES.c.webhook_id,
    WEBHOOK_DELIVERIES.c.created_at,
    WEBHOOK_DELIVERIES.c.id,
    postgresql_where=text("status = 'dead'"),
)

WEBHOOK_ATTEMPTS = Table(
    "webhook_attempts",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("delivery_id", UUID, nullable=False),
    Column("webhook_id", UUID, nullable=False),
    Column("tenant_id", UUID, nullable=False),
    Column("number", Integer, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("response_status", Integer),
    Column("response_head", Text),
    Column("error", Text),
)
Index(None, WEBHOOK_ATTEMPTS.c.delivery_id)
Index(
    None,
    WEBHOOK_ATTEMPTS.c.tenant_id,
    WEBHOOK_ATTEMPTS.c.webhook_id,
    WEBHOOK_ATTEMPTS.c.started_at,
    WEBHOOK_ATTEMPTS.c.id,
)

WEBHOOK_STATES = Table(
    "webhook_states",
    METADATA,
    Column("webhook_id", UUID, primary_key=True),
    Column("tenant_id", UUID, nullable=False),
    Column("failing_since", DateTime(timezone=True)),
    Column("previous_secret", Text),
    Column("previous_secret_until", DateTime(timezone=True)),
)
"""`failing_since` is the first failure after the last success. `previous_secret` is encrypted and
signs beside the present one until `previous_secret_until`."""
