"""What is kept of tenants that end, and who leads the scheduled work."""

from __future__ import annotations

revision = "0009_tenant_lifecycle"
down_revision = "0008_revisions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""


def downgrade() -> None:
    """Take back."""
