"""Smaller indexes of events: what they had beyond this only cost writes.

Of one tenant and one microsecond there are a few events, and of one call some twenty: whoever looks
for one of those, or needs them in order, looks at these few rows.
"""

from __future__ import annotations

from alembic import op

revision = "0021_event_indexes"
down_revision = "0020_registration_history"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_call_events_tenant_id_occurred_at", "call_events", ["tenant_id", "occurred_at"]
    )
    op.drop_index("ix_call_events_tenant_id_occurred_at_id", "call_events")
    op.create_index("ix_call_events_call_id", "call_events", ["call_id"])
    op.drop_index("ix_call_events_call_id_type", "call_events")


def downgrade() -> None:
    """Take back."""
    op.create_index("ix_call_events_call_id_type", "call_events", ["call_id", "type"])
    op.drop_index("ix_call_events_call_id", "call_events")
    op.create_index(
        "ix_call_events_tenant_id_occurred_at_id", "call_events", ["tenant_id", "occurred_at", "id"]
    )
    op.drop_index("ix_call_events_tenant_id_occurred_at", "call_events")
