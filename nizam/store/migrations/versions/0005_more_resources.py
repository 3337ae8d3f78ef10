"""The resources that routing is configured with beside the first ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nizam.store.migrations.resource_table import resource_table
from nizam.store.migrations.security import protect

revision = "0005_more_resources"
down_revision = "0004_secret_keys"
branch_labels = None
depends_on = None

_TENANT_TABLES: dict[str, dict[str, str]] = {
    "music_on_hold": {"name": "text", "is_default": "boolean", "enabled": "boolean"},
    "prompts": {"name": "text", "language": "text", "enabled": "boolean"},
}
_UNIQUE_IN_TENANT = {"music_on_hold": "name", "prompts": "name"}


def upgrade() -> None:
    """Apply."""
    for name, columns in _TENANT_TABLES.items():
        resource_table(name, columns)
    for name, column in _UNIQUE_IN_TENANT.items():
        op.create_index(f"uq_{name}_{column}", name, ["tenant_id", column], unique=True)
    op.create_index(
        "uq_music_on_hold_is_default",
        "music_on_hold",
        ["tenant_id", "is_default"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )
    for name in _TENANT_TABLES:
        protect(name)


def downgrade() -> None:
    """Take back."""
