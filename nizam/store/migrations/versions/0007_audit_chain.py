"""The audit log as a chain of hashes for each tenant."""

from __future__ import annotations

revision = "0007_audit_chain"
down_revision = "0006_people"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""


def downgrade() -> None:
    """Take back."""
