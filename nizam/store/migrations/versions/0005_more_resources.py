"""The resources that routing is configured with beside the first ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

from nizam.store.migrations.resource_table import resource_table
from nizam.store.migrations.security import protect

revision = "0005_more_resources"
down_revision = "0004_secret_keys"
branch_labels = None
depends_on = None

_TENANT_TABLES: dict[str, dict[str, str]] = {
    "blocked_numbers": {"pattern": "text", "direction": "text", "enabled": "boolean"},
    "calendars": {"name": "text", "enabled": "boolean"},
    "call_flows": {"number": "text", "name": "text", "status": "text", "enabled": "boolean"},
    "conference_rooms": {"number": "text", "name": "text", "enabled": "boolean"},
    "emergency_plans": {"name": "text", "enabled": "boolean"},
    "feature_codes": {"code": "text", "feature": "text", "enabled": "boolean"},
    "music_on_hold": {"name": "text", "is_default": "boolean", "enabled": "boolean"},
    "parking_lots": {"number": "text", "name": "text", "enabled": "boolean"},
    "prompts": {"name": "text", "language": "text", "enabled": "boolean"},
    "routing_policies": {
        "name": "text",
        "priority": "integer",
        "applies_to": "text",
        "enabled": "boolean",
    },
}
_PLATFORM_TABLES: dict[str, dict[str, str]] = {
    "acls": {"name": "text", "enabled": "boolean"},
    "sip_profiles": {"name": "text", "enabled": "boolean"},
}
_UNIQUE_IN_TENANT = {
    "blocked_numbers": ("pattern", "direction"),
    "calendars": ("name",),
    "emergency_plans": ("name",),
    "feature_codes": ("code",),
    "music_on_hold": ("name",),
    "prompts": ("name",),
    "routing_policies": ("name",),
}


def upgrade() -> None:
    """Apply."""
    for name, columns in _TENANT_TABLES.items():
        resource_table(name, columns)
    for name, columns in _PLATFORM_TABLES.items():
        resource_table(name, columns, owned=False)
        op.create_index(f"uq_{name}_name", name, ["name"], unique=True)
    for name, unique in _UNIQUE_IN_TENANT.items():
        op.create_index(f"uq_{name}_{'_'.join(unique)}", name, ["tenant_id", *unique], unique=True)
    op.create_index(
        "uq_music_on_hold_is_default",
        "music_on_hold",
        ["tenant_id", "is_default"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )
    _versions_of_call_flows()
    for name in _TENANT_TABLES:
        protect(name)
    protect("call_flow_versions", rights="select, insert")
    op.add_column(
        "resource_references",
        sa.Column("by_itself", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )


def _versions_of_call_flows() -> None:
    op.create_table(
        "call_flow_versions",
        sa.Column("id", UUID(), nullable=False),
        sa.Column("tenant_id", UUID(), nullable=False),
        sa.Column("call_flow_id", UUID(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", JSONB(), nullable=False),
        sa.Column("published_by", sa.Text(), nullable=False),
        sa.Column(
            "published_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.PrimaryKeyConstraint("id", name="pk_call_flow_versions"),
        sa.ForeignKeyConstraint(
            ["call_flow_id"],
            ["call_flows.id"],
            ondelete="CASCADE",
            name="fk_call_flow_versions_call_flow_id",
        ),
    )
    op.create_index(
        "uq_call_flow_versions_call_flow_id_number",
        "call_flow_versions",
        ["tenant_id", "call_flow_id", "number"],
        unique=True,
    )


def downgrade() -> None:
    """Drop the tables with what is in them."""
    op.drop_column("resource_references", "by_itself")
    op.drop_table("call_flow_versions")
    for name in (*_TENANT_TABLES, *_PLATFORM_TABLES):
        op.drop_table(name)
