"""Nodes of which every mailbox is to be compared, and how far that has come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "0025_voicemail_sweeps"
down_revision = "0024_mails_of_kinds"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "voicemail_sweeps",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("after_tenant", UUID()),
        sa.Column("after_mailbox", sa.Text()),
        sa.PrimaryKeyConstraint("node", name="pk_voicemail_sweeps"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("voicemail_sweeps")
