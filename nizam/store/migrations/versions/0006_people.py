"""Users, their roles in tenants, and what they sign in with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nizam.store.migrations.resource_table import resource_table
from nizam.store.migrations.security import TENANT

revision = "0006_people"
down_revision = "0005_more_resources"
branch_labels = None
depends_on = None

_OWN_USERS = (
    f"body -> 'memberships' @> jsonb_build_array(jsonb_build_object('tenant_id', ({TENANT})::text))"
)
_OWN_KEYS = f"(body ->> 'tenant_id')::uuid = {TENANT}"


def upgrade() -> None:
    """Apply."""
    resource_table(
        "users",
        {"email": "text", "name": "text", "enabled": "boolean"},
        owned=False,
        extra=[
            sa.Column("last_login_at", sa.DateTime(timezone=True)),
            sa.Column("last_login_from", sa.Text()),
        ],
    )
    op.create_index("uq_users_email", "users", ["email"], unique=True)
    op.execute("create index ix_users_memberships on users using gin ((body -> 'memberships'))")
    op.add_column("api_keys", sa.Column("previous_key_hash", sa.Text()))
    op.add_column("api_keys", sa.Column("previous_key_expires_at", sa.DateTime(timezone=True)))
    op.create_unique_constraint("uq_api_keys_previous_key_hash", "api_keys", ["previous_key_hash"])
    # A tenant reads its own part of both; all changes are the system's.
    for table, own in (("users", _OWN_USERS), ("api_keys", _OWN_KEYS)):
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy tenant_isolation on {table} for select to nizam_tenant using ({own})"
        )
        op.execute(
            f"create policy system_paths on {table} to current_user using (true) with check (true)"
        )
        op.execute(f"grant select on {table} to nizam_tenant")


def downgrade() -> None:
    """Take back."""
    op.execute("revoke select on api_keys from nizam_tenant")
    op.execute("drop policy tenant_isolation on api_keys")
    op.execute("drop policy system_paths on api_keys")
    op.execute("alter table api_keys no force row level security")
    op.execute("alter table api_keys disable row level security")
    op.drop_constraint("uq_api_keys_previous_key_hash", "api_keys")
    op.drop_column("api_keys", "previous_key_expires_at")
    op.drop_column("api_keys", "previous_key_hash")
    op.drop_table("users")
