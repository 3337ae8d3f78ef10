"""How far those have read the log of events who go on from there after a restart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022_log_readers"
down_revision = "0021_event_indexes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "log_readers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_log_readers"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("log_readers")
