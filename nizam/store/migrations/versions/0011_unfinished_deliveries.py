"""An index of the webhook deliveries that are not done, by which each tenant's are counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011_unfinished_deliveries"
down_revision = "0010_key_start"
branch_labels = None
depends_on = None

_INDEX = "ix_webhook_deliveries_unfinished"


def upgrade() -> None:
    """Apply."""
    op.create_index(
        _INDEX,
        "webhook_deliveries",
        ["tenant_id", "status"],
        postgresql_where=sa.text("status <> 'succeeded'"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index(_INDEX, "webhook_deliveries")
