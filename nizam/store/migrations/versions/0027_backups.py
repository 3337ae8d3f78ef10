"""When each part of the platform was last backed up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027_backups"
down_revision = "0026_replicas"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "backups",
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("part", name="pk_backups"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("backups")
