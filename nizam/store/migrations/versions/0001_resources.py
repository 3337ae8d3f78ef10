"""The resources, who refers to whom, the change feed, the audit log and idempotency keys."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

from nizam.store.migrations.resource_table import resource_table
from nizam.store.migrations.security import protect

revision = "0001_resources"
down_revision = None
branch_labels = None
depends_on = None

_TENANT_TABLES: dict[str, dict[str, str]] = {
    "dids": {"number": "text", "label": "text", "enabled": "boolean"},
    "extensions": {"number": "text", "display_name": "text", "enabled": "boolean"},
    "gateways": {"name": "text", "host": "text", "enabled": "boolean"},
    "ivrs": {"number": "text", "name": "text", "enabled": "boolean"},
    "outbound_routes": {"name": "text", "priority": "integer", "enabled": "boolean"},
    "ring_groups": {"number": "text", "name": "text", "enabled": "boolean"},
    "time_conditions": {"number": "text", "name": "text", "enabled": "boolean"},
    "webhooks": {"url": "text", "status": "text", "enabled": "boolean"},
}
_PLATFORM_TABLES: dict[str, dict[str, str]] = {
    "api_keys": {"name": "text", "tenant_id": "uuid", "enabled": "boolean"},
    "switch_nodes": {"name": "text", "status": "text", "xml_username": "text"},
    "tenants": {"name": "text", "slug": "text", "domain": "text", "status": "text"},
}
_UNIQUE_IN_TENANT = {"extensions": "number", "gateways": "name", "outbound_routes": "name"}
_UNIQUE_EVERYWHERE = (
    ("dids", "number"),
    ("switch_nodes", "name"),
    ("switch_nodes", "xml_username"),
    ("tenants", "slug"),
    ("tenants", "domain"),
)
# Roles belong to the whole server: another database may make or grant this one at this moment.
_TENANT_ROLE = """
do $$
begin
    for attempt in 1..20 loop
        begin
            if not exists (select from pg_roles where rolname = 'nizam_tenant') then
                create role nizam_tenant nologin;
            end if;
            if not pg_has_role(current_user, 'nizam_tenant', 'member') then
                execute format('grant nizam_tenant to %I', current_user);
            end if;
            return;
        exception when duplicate_object or unique_violation or internal_error then
            perform pg_sleep(0.05 * attempt);
        end;
    end loop;
    raise exception 'the role nizam_tenant could not be made';
end
$$
"""

_NOTIFY = """
create function notify_change() returns trigger language plpgsql as $$
begin
    perform pg_notify('nizam_changes', coalesce(new.tenant_id::text, '') || ' ' || new.revision);
    return null;
end
$$
"""


def _time(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def upgrade() -> None:
    """Apply."""
    op.execute(_TENANT_ROLE)
    for name, columns in _TENANT_TABLES.items():
        resource_table(name, columns, owned=True)
    resource_table("switch_nodes", _PLATFORM_TABLES["switch_nodes"], owned=False)
    resource_table(
        "tenants",
        _PLATFORM_TABLES["tenants"],
        owned=False,
        extra=[sa.Column("revision", sa.BigInteger(), nullable=False, server_default=sa.text("0"))],
    )
    resource_table(
        "api_keys",
        _PLATFORM_TABLES["api_keys"],
        owned=False,
        extra=[
            sa.Column("key_hash", sa.Text(), nullable=False),
            sa.Column("last_used_at", sa.DateTime(timezone=True)),
            sa.Column("last_used_from", sa.Text()),
        ],
    )
    op.create_unique_constraint("uq_api_keys_key_hash", "api_keys", ["key_hash"])
    for name, column in _UNIQUE_IN_TENANT.items():
        op.create_index(f"uq_{name}_{column}", name, ["tenant_id", column], unique=True)
    for name, column in _UNIQUE_EVERYWHERE:
        op.create_index(f"uq_{name}_{column}", name, [column], unique=True)
    _beside_the_resources()
    for name in _TENANT_TABLES:
        protect(name)
    protect("tenants", column="id", rights="select, update (revision)")
    for name in ("resource_references", "dialable_numbers", "idempotency_keys"):
        protect(name)
    for name in ("changes", "audit_logs"):
        protect(name, rights="select, insert")
    op.execute(_NOTIFY)
    op.execute(
        "create trigger notify_change after insert on changes "
        "for each row execute function notify_change()"
    )
    op.execute("insert into platform_state default values")


def _beside_the_resources() -> None:
    op.create_table(
        "resource_references",
        sa.Column("tenant_id", UUID(), nullable=False),
        sa.Column("from_type", sa.Text(), nullable=False),
        sa.Column("from_id", UUID(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("to_type", sa.Text(), nullable=False),
        sa.Column("to_id", UUID(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "from_type", "from_id", "path", name="pk_resource_references"
        ),
    )
    op.create_index(
        "ix_resource_references_tenant_id_to_type_to_id",
        "resource_references",
        ["tenant_id", "to_type", "to_id"],
    )
    op.create_table(
        "dialable_numbers",
        sa.Column("tenant_id", UUID(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("resource_id", UUID(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "number", name="pk_dialable_numbers"),
    )
    op.create_index(
        "ix_dialable_numbers_tenant_id_resource_type_resource_id",
        "dialable_numbers",
        ["tenant_id", "resource_type", "resource_id"],
    )
    op.create_table(
        "changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", UUID()),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("resource_id", UUID(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        _time("changed_at"),
        sa.PrimaryKeyConstraint("id", name="pk_changes"),
    )
    op.create_index("ix_changes_tenant_id_revision", "changes", ["tenant_id", "revision"])
    op.create_table(
        "platform_state",
        sa.Column("only", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("revision", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("only", name="pk_platform_state"),
    )
    op.create_table(
        "audit_logs",
        sa.Column("id", UUID(), nullable=False),
        sa.Column("tenant_id", UUID()),
        sa.Column("revision", sa.BigInteger()),
        _time("occurred_at"),
        sa.Column("actor_type", sa.Text(), nullable=False),
        sa.Column("actor_id", UUID()),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text()),
        sa.Column("request_id", sa.Text()),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("resource_id", UUID()),
        sa.Column("before", JSONB()),
        sa.Column("after", JSONB()),
        sa.PrimaryKeyConstraint("id", name="pk_audit_logs"),
    )
    op.create_index(
        "ix_audit_logs_tenant_id_occurred_at", "audit_logs", ["tenant_id", "occurred_at"]
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tenant_id", UUID()),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.Text()),
        _time("created_at"),
        sa.PrimaryKeyConstraint("owner", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
