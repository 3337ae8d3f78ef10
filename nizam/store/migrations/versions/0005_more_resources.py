"""The resources that routing is configured with beside the first ones."""

from __future__ import annotations

revision = "0005_more_resources"
down_revision = "0004_secret_keys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""


def downgrade() -> None:
    """Take back."""
