"""When a gateway came up and went down, found among all events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015_gateway_states"
down_revision = "0014_mails"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_call_events_gateway",
        "call_events",
        ["tenant_id", sa.text("(data ->> 'gateway_id')"), "occurred_at", "id"],
        postgresql_where=sa.text("type in ('gateway.up', 'gateway.down')"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_call_events_gateway", "call_events")
