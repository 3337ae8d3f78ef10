"""The beginning of each API key, so that people can tell theirs apart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010_key_start"
down_revision = "0009_tenant_lifecycle"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. Of keys that are there already nobody knows the text, until they are rotated."""
    op.add_column("api_keys", sa.Column("key_start", sa.Text()))


def downgrade() -> None:
    """Take back."""
    op.drop_column("api_keys", "key_start")
