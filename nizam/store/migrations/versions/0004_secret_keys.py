"""The key that encrypts secrets where the settings name none; no tenant may read it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_secret_keys"
down_revision = "0003_deliveries"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; the role of the tenants is granted nothing on it."""
    op.create_table(
        "secret_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.PrimaryKeyConstraint("id", name="pk_secret_keys"),
    )


def downgrade() -> None:
    """Drop the table: what it encrypted cannot be read any more."""
    op.drop_table("secret_keys")
