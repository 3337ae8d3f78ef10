"""What a tenant's configuration was at each revision."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

from nizam.store.migrations.security import protect

revision = "0008_revisions"
down_revision = "0007_audit_chain"
branch_labels = None
depends_on = None

# What the first migration has made: what is in there has no history yet.
_OLDER = {
    "did": "dids",
    "extension": "extensions",
    "gateway": "gateways",
    "ivr": "ivrs",
    "outbound_route": "outbound_routes",
    "ring_group": "ring_groups",
    "time_condition": "time_conditions",
    "webhook": "webhooks",
}
_FIRST_REVISIONS = """
insert into revisions (tenant_id, revision, kind, actor_type, actor_name, counts)
select id, revision, 'change', 'system', 'nizam', '{}' from tenants
"""
_FIRST_VERSIONS = """
insert into resource_versions
    (tenant_id, resource_type, resource_id, revision, operation, version, created_at, body, secrets)
select it.{owner}, '{name}', it.id, t.revision, 'created', it.version, it.created_at, it.body,
       it.secrets
from {table} it join tenants t on t.id = it.{owner}
"""


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "revisions",
        sa.Column("tenant_id", UUID(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("restores", sa.BigInteger()),
        sa.Column("actor_type", sa.Text(), nullable=False),
        sa.Column("actor_id", UUID()),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text()),
        sa.Column("counts", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "revision", name="pk_revisions"),
    )
    op.create_index("ix_revisions_tenant_id_created_at", "revisions", ["tenant_id", "created_at"])
    op.create_table(
        "resource_versions",
        sa.Column("tenant_id", UUID(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("resource_id", UUID(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", JSONB()),
        sa.Column("secrets", JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.PrimaryKeyConstraint(
            "tenant_id", "resource_type", "resource_id", "revision", name="pk_resource_versions"
        ),
    )
    op.create_index(
        "ix_resource_versions_tenant_id_revision", "resource_versions", ["tenant_id", "revision"]
    )
    op.execute(_FIRST_REVISIONS)
    for name, table in _OLDER.items():
        op.execute(_FIRST_VERSIONS.format(owner="tenant_id", name=name, table=table))
    op.execute(_FIRST_VERSIONS.format(owner="id", name="tenant", table="tenants"))
    for table in ("revisions", "resource_versions"):
        protect(table, rights="select")


def downgrade() -> None:
    """Take back."""
    op.drop_table("resource_versions")
    op.drop_table("revisions")
