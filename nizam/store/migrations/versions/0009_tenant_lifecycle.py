"""What is kept of tenants that end, and who leads the scheduled work."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

from nizam.store.migrations.security import protect

revision = "0009_tenant_lifecycle"
down_revision = "0008_revisions"
branch_labels = None
depends_on = None

_TERMINATED: dict[str, sa.types.TypeEngine[Any]] = {
    "terminated_at": sa.DateTime(timezone=True),
    "terminated_by": sa.Text(),
    "purge_at": sa.DateTime(timezone=True),
}


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def upgrade() -> None:
    """Apply."""
    for name, kind in _TERMINATED.items():
        op.add_column("tenants", sa.Column(name, kind))
    op.create_table(
        "purge_receipts",
        sa.Column("id", UUID(), nullable=False),
        sa.Column("tenant_id", UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("terminated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("terminated_by", sa.Text()),
        _time("started_at"),
        sa.Column("purged_at", sa.DateTime(timezone=True)),
        sa.Column("purged_by", sa.Text()),
        sa.Column("counts", JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("audit_head", sa.Text()),
        sa.Column("hash", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_purge_receipts"),
        sa.UniqueConstraint("tenant_id", name="uq_purge_receipts_tenant_id"),
    )
    # A tenant that can read it has no row in it yet.
    protect("purge_receipts", rights="select")
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("leases")
    op.drop_table("purge_receipts")
    for name in _TERMINATED:
        op.drop_column("tenants", name)
