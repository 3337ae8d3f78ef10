"""What calls were for, and the ledger of what tenants use: rows are added and never changed."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

from nizam.store.migrations.security import protect

revision = "0019_usage"
down_revision = "0018_webhook_replays"
branch_labels = None
depends_on = None

_OF_CALLS = {"cdr_legs": ("did", "destination"), "cdrs": ("did", "destination", "country")}

# Rows go only with the tenant that they are of, once a purge of it has begun, or into the partition
# of their month.
_REFUSE = """
create function refuse_ledger_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        if current_setting('nizam.moves_rows', true) = 'on' or exists (
            select from purge_receipts r where r.tenant_id = old.tenant_id)
        then
            return old;
        end if;
    end if;
    raise exception 'rows of % are added and never changed or removed', tg_table_name
        using errcode = 'restrict_violation';
end $$
"""
_MAKE_PARTITIONS = """
create or replace function make_month_partitions(parent text, key text, first date, months int)
returns int language plpgsql as $$
declare
    made int := 0;
    low timestamptz;
    high timestamptz;
    name text;
begin
    -- Two that make the same month wait for each other.
    perform pg_advisory_xact_lock(hashtext('make_month_partitions ' || parent));
    for month in 0..months - 1 loop
        low := (date_trunc('month', first::timestamp) + make_interval(months => month))
            at time zone 'UTC';
        high := (date_trunc('month', first::timestamp) + make_interval(months => month + 1))
            at time zone 'UTC';
        name := parent || to_char(low at time zone 'UTC', '_YYYY_MM');
        continue when to_regclass(name) is not null;
        execute format('create table %I (like %I including all)', name, parent);
        {moves_on}execute format(
            'with moved as (delete from %I where %I >= %L and %I < %L returning *) '
            'insert into %I select * from moved',
            parent || '_default', key, low, key, high, name);
        {moves_off}execute format('alter table %I attach partition %I for values from (%L) to (%L)',
            parent, name, low, high);
        made := made + 1;
    end loop;
    return made;
end $$
"""


def _column(name: str, kind: Any, default: str | None = None, *, given: bool = True) -> Any:
    said = None if default is None else sa.text(default)
    return sa.Column(name, kind, nullable=not given, server_default=said)


def upgrade() -> None:
    """Apply."""
    for table, names in _OF_CALLS.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.Text()))
    op.create_index("ix_cdrs_extension_ids", "cdrs", ["extension_ids"], postgresql_using="gin")
    op.create_index(
        "ix_cdrs_tenant_id_did",
        "cdrs",
        ["tenant_id", "did", "started_at"],
        postgresql_where=sa.text("did is not null"),
    )
    op.create_index("ix_cdrs_created_at", "cdrs", ["created_at"], postgresql_using="brin")
    op.execute(
        _MAKE_PARTITIONS.format(
            moves_on="perform set_config('nizam.moves_rows', 'on', true);\n        ",
            moves_off="perform set_config('nizam.moves_rows', 'off', true);\n        ",
        )
    )
    op.create_table(
        "usage_entries",
        _column("id", UUID(), "new_uuid7()"),
        _column("at", sa.DateTime(timezone=True)),
        _column("recorded_at", sa.DateTime(timezone=True), "now()"),
        _column("tenant_id", UUID()),
        _column("kind", sa.Text()),
        _column("call_id", UUID(), given=False),
        _column("direction", sa.Text(), given=False),
        _column("country", sa.Text(), given=False),
        _column("gateway", sa.Text(), given=False),
        _column("calls", sa.Integer(), "0"),
        _column("duration_ms", sa.BigInteger(), "0"),
        _column("billable_ms", sa.BigInteger(), "0"),
        _column("quantity", sa.BigInteger(), "0"),
        sa.PrimaryKeyConstraint("id", "at", name="pk_usage_entries"),
        sa.CheckConstraint(
            "kind in ('call', 'peak_calls', 'storage_bytes', 'registered_devices')",
            name="ck_usage_entries_kind",
        ),
        sa.CheckConstraint(
            "(kind = 'call') = (call_id is not null)", name="ck_usage_entries_call_id"
        ),
        postgresql_partition_by="RANGE (at)",
    )
    op.execute("create table usage_entries_default partition of usage_entries default")
    protect("usage_entries", rights="select")
    op.create_index("ix_usage_entries_tenant_id_at", "usage_entries", ["tenant_id", "at"])
    op.create_index(
        "ix_usage_entries_call_id",
        "usage_entries",
        ["call_id"],
        postgresql_where=sa.text("call_id is not null"),
    )
    op.create_index(
        "uq_usage_entries_sample",
        "usage_entries",
        ["tenant_id", "kind", "at"],
        unique=True,
        postgresql_where=sa.text("kind in ('storage_bytes', 'registered_devices')"),
    )
    op.execute(_REFUSE)
    op.execute(
        "create trigger refuse_change before update or delete on usage_entries"
        " for each row execute function refuse_ledger_change()"
    )
    op.execute(
        "create trigger refuse_truncate before truncate on usage_entries"
        " for each statement execute function refuse_ledger_change()"
    )
    op.execute(
        "select make_month_partitions('usage_entries', 'at',"
        " (now() at time zone 'UTC')::date - 31, 4)"
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("usage_entries")
    op.execute("drop function refuse_ledger_change()")
    op.execute(_MAKE_PARTITIONS.format(moves_on="", moves_off=""))
    for name in ("ix_cdrs_created_at", "ix_cdrs_tenant_id_did", "ix_cdrs_extension_ids"):
        op.drop_index(name, "cdrs")
    for table, names in _OF_CALLS.items():
        for name in reversed(names):
            op.drop_column(table, name)
