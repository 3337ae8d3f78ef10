"""What a tenant's configuration was at each revision."""

from __future__ import annotations

revision = "0008_revisions"
down_revision = "0007_audit_chain"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""


def downgrade() -> None:
    """Take back."""
