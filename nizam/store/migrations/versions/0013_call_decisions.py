"""How calls were routed, partitioned by month."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

from nizam.store.migrations.security import protect

revision = "0013_call_decisions"
down_revision = "0012_scheduled_tasks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "call_decisions",
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("channel_id", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("tenant_id", UUID(), nullable=False),
        sa.Column("call_id", UUID(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger()),
        sa.Column("document", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("decided_at", "channel_id", "question", name="pk_call_decisions"),
        postgresql_partition_by="RANGE (decided_at)",
    )
    op.execute("create table call_decisions_default partition of call_decisions default")
    protect("call_decisions", rights="select")
    op.create_index(
        "ix_call_decisions_tenant_id_call_id", "call_decisions", ["tenant_id", "call_id"]
    )
    op.execute(
        "select make_month_partitions('call_decisions', 'decided_at',"
        " (now() at time zone 'UTC')::date, 3)"
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("call_decisions")
