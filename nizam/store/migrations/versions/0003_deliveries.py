"""Webhook deliveries, their attempts, and the state of webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

from nizam.store.migrations.security import protect

revision = "0003_deliveries"
down_revision = "0002_events_and_cdrs"
branch_labels = None
depends_on = None

# PostgreSQL has no UUIDv7 before 18: the time in milliseconds over the first 48 bits of a random
# UUID, and the version's two other bits set (RFC 9562, section 5.7).
_NEW_UUID7 = """
create function new_uuid7() returns uuid language sql volatile as $$
    select encode(set_bit(set_bit(overlay(
        uuid_send(gen_random_uuid())
        placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
        from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
$$
"""
_OPEN = sa.text("status in ('pending', 'delivering')")


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def upgrade() -> None:
    """Apply."""
    op.execute(_NEW_UUID7)
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", UUID(), nullable=False, server_default=sa.text("new_uuid7()")),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("webhook_id", UUID(), nullable=False),
        sa.Column("tenant_id", UUID(), nullable=False),
        sa.Column("call_id", UUID()),
        sa.Column("status", sa.Text(), nullable=False, server_default=sa.text("'pending'")),
        sa.Column("attempt_count", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("schedule_offset", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True)),
        sa.Column("claimed_by", sa.Text()),
        sa.Column("last_error", sa.Text()),
        _time("created_at"),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.UniqueConstraint(
            "event_id", "webhook_id", name="uq_webhook_deliveries_event_id_webhook_id"
        ),
        sa.CheckConstraint(
            "status in ('pending', 'delivering', 'succeeded', 'dead')",
            name="ck_webhook_deliveries_status",
        ),
    )
    op.create_index(
        "ix_webhook_deliveries_open", "webhook_deliveries", ["id"], postgresql_where=_OPEN
    )
    op.create_index(
        "ix_webhook_deliveries_open_of_call",
        "webhook_deliveries",
        ["webhook_id", "call_id", "event_occurred_at"],
        postgresql_where=_OPEN,
    )
    op.create_index(
        "ix_webhook_deliveries_tenant_id_webhook_id_created_at_id",
        "webhook_deliveries",
        ["tenant_id", "webhook_id", "created_at", "id"],
    )
    op.create_table(
        "webhook_attempts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("delivery_id", UUID(), nullable=False),
        sa.Column("webhook_id", UUID(), nullable=False),
        sa.Column("tenant_id", UUID(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("response_status", sa.Integer()),
        sa.Column("response_head", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_attempts"),
    )
    op.create_index("ix_webhook_attempts_delivery_id", "webhook_attempts", ["delivery_id"])
    op.create_index(
        "ix_webhook_attempts_tenant_id_webhook_id_started_at_id",
        "webhook_attempts",
        ["tenant_id", "webhook_id", "started_at", "id"],
    )
    op.create_table(
        "webhook_states",
        sa.Column("webhook_id", UUID(), nullable=False),
        sa.Column("tenant_id", UUID(), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True)),
        sa.Column("previous_secret", sa.Text()),
        sa.Column("previous_secret_until", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("webhook_id", name="pk_webhook_states"),
    )
    protect("webhook_deliveries", rights="select, insert, update")
    protect("webhook_attempts", rights="select")
    protect("webhook_states", rights="select, insert, update")


def downgrade() -> None:
    """Drop what `upgrade` made."""
    for name in ("webhook_states", "webhook_attempts", "webhook_deliveries"):
        op.drop_table(name)
    op.execute("drop function new_uuid7()")
