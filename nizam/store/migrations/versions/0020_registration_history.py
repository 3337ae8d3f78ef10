"""Which phones signed in, out, or were lost, found among all events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020_registration_history"
down_revision = "0019_usage"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_call_events_registration",
        "call_events",
        ["tenant_id", "occurred_at", "id"],
        postgresql_where=sa.text("type like 'registration.%'"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_call_events_registration", "call_events")
