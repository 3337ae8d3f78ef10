"""Users, their roles in tenants, and what they sign in with."""

from __future__ import annotations

revision = "0006_people"
down_revision = "0005_more_resources"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""


def downgrade() -> None:
    """Take back."""
