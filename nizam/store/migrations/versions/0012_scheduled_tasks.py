"""What the scheduler has done and when it is due, and the legs of one tenant found by it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012_scheduled_tasks"
down_revision = "0011_unfinished_deliveries"
branch_labels = None
depends_on = None


def _time(name: str, *, given: bool = False) -> sa.Column[object]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        nullable=not given,
        server_default=sa.func.now() if given else None,
    )


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "scheduled_tasks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("interval_seconds", sa.Integer(), nullable=False),
        _time("known_since", given=True),
        _time("next_at", given=True),
        _time("requested_at"),
        _time("started_at"),
        _time("ended_at"),
        _time("succeeded_at"),
        sa.Column("duration_ms", sa.Integer()),
        sa.Column("removed", sa.BigInteger()),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("name", name="pk_scheduled_tasks"),
    )
    op.create_index("ix_cdr_legs_tenant_id_started_at", "cdr_legs", ["tenant_id", "started_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_cdr_legs_tenant_id_started_at", "cdr_legs")
    op.drop_table("scheduled_tasks")
