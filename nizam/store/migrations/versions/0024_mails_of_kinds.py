"""Emails of several kinds: about emergency calls, and about messages in mailboxes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024_mails_of_kinds"
down_revision = "0023_voicemail"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "mails",
        sa.Column("kind", sa.Text(), nullable=False, server_default=sa.text("'emergency'")),
    )
    op.create_check_constraint("ck_mails_kind", "mails", "kind in ('emergency', 'voicemail')")


def downgrade() -> None:
    """Take back."""
    op.execute("delete from mails where kind <> 'emergency'")
    op.drop_constraint("ck_mails_kind", "mails")
    op.drop_column("mails", "kind")
