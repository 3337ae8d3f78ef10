"""Replays of webhook deliveries, and an index of the dead ones that they go along."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

from nizam.store.migrations.security import protect

revision = "0018_webhook_replays"
down_revision = "0017_recordings"
branch_labels = None
depends_on = None


def _time(name: str, *, needed: bool = False, now: bool = False) -> sa.Column[object]:
    default = sa.func.now() if now else None
    nullable = not (needed or now)
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "webhook_replays",
        sa.Column("id", UUID(), nullable=False, server_default=sa.text("new_uuid7()")),
        sa.Column("tenant_id", UUID(), nullable=False),
        sa.Column("webhook_id", UUID(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, server_default=sa.text("'running'")),
        sa.Column("statuses", sa.ARRAY(sa.Text()), nullable=False),
        _time("since"),
        _time("until", needed=True),
        sa.Column("rate_per_second", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("replayed", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        _time("after_created_at"),
        sa.Column("after_id", UUID()),
        _time("next_at", now=True),
        _time("created_at", now=True),
        _time("ended_at"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_replays"),
        sa.CheckConstraint(
            "status in ('running', 'done', 'cancelled')", name="ck_webhook_replays_status"
        ),
    )
    protect("webhook_replays", rights="select, insert, update")
    op.create_index(
        "uq_webhook_replays_running",
        "webhook_replays",
        ["webhook_id"],
        unique=True,
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_index(
        "ix_webhook_replays_tenant_id_webhook_id_created_at_id",
        "webhook_replays",
        ["tenant_id", "webhook_id", "created_at", "id"],
    )
    op.create_index(
        "ix_webhook_deliveries_dead",
        "webhook_deliveries",
        ["webhook_id", "created_at", "id"],
        postgresql_where=sa.text("status = 'dead'"),
    )
    # Purging dead letters removes them, with their attempts.
    op.execute("grant delete on webhook_deliveries, webhook_attempts to nizam_tenant")


def downgrade() -> None:
    """Take back."""
    op.execute("revoke delete on webhook_deliveries, webhook_attempts from nizam_tenant")
    op.drop_index("ix_webhook_deliveries_dead", "webhook_deliveries")
    op.drop_table("webhook_replays")
