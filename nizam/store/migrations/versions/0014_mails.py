"""The outbox of emails about emergency calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

from nizam.store.migrations.security import protect

revision = "0014_mails"
down_revision = "0013_call_decisions"
branch_labels = None
depends_on = None


def _time(name: str, *, now: bool = True) -> sa.Column[object]:
    default = sa.func.now() if now else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=default)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "mails",
        sa.Column("id", UUID(), nullable=False, server_default=sa.text("new_uuid7()")),
        sa.Column("tenant_id", UUID(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        _time("occurred_at", now=False),
        sa.Column("call_id", UUID()),
        sa.Column("data", JSONB(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, server_default=sa.text("'pending'")),
        sa.Column("attempt_count", sa.Integer(), nullable=False, server_default=sa.text("0")),
        _time("next_attempt_at"),
        sa.Column("last_error", sa.Text()),
        _time("created_at"),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_mails"),
        sa.UniqueConstraint("event_id", "recipient", name="uq_mails_event_id_recipient"),
        sa.CheckConstraint("status in ('pending', 'sent', 'dead')", name="ck_mails_status"),
    )
    protect("mails", rights="select")
    op.create_index(
        "ix_mails_pending",
        "mails",
        ["next_attempt_at"],
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index("ix_mails_tenant_id", "mails", ["tenant_id"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("mails")
