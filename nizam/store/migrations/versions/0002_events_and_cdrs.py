"""Events and call detail records, partitioned by month."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from nizam.store.migrations.security import protect

revision = "0002_events_and_cdrs"
down_revision = "0001_resources"
branch_labels = None
depends_on = None

# Months are those of UTC. A row that no month is there for yet goes into the default partition,
# and its month's partition takes it over when it is made.
_MAKE_PARTITIONS = """
create function make_month_partitions(parent text, key text, first date, months int)
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
        execute format(
            'with moved as (delete from %I where %I >= %L and %I < %L returning *) '
            'insert into %I select * from moved',
            parent || '_default', key, low, key, high, name);
        execute format('alter table %I attach partition %I for values from (%L) to (%L)',
            parent, name, low, high);
        made := made + 1;
    end loop;
    return made;
end $$
"""


def _column(name: str, kind: Any, *, given: bool = False) -> sa.Column[Any]:
    """A column; one that is `given` is there in every row."""
    return sa.Column(name, kind, nullable=not given)


def _time(name: str, *, given: bool = False) -> sa.Column[Any]:
    return _column(name, sa.DateTime(timezone=True), given=given)


def _now(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def _partitioned(
    name: str, key: str, *columns: sa.Column[Any] | sa.Constraint, rights: str
) -> None:
    op.create_table(name, *columns, postgresql_partition_by=f"RANGE ({key})")
    op.execute(f"create table {name}_default partition of {name} default")
    protect(name, rights=rights)


def upgrade() -> None:
    """Make the tables, with the partitions of the month before and the next ones."""
    op.execute(_MAKE_PARTITIONS)
    _call_events()
    _cdr_legs()
    _cdrs()
    for name, key in (
        ("call_events", "occurred_at"),
        ("cdr_legs", "started_at"),
        ("cdrs", "started_at"),
    ):
        op.execute(
            f"select make_month_partitions('{name}', '{key}',"
            " (now() at time zone 'UTC')::date - 31, 4)"
        )


def _call_events() -> None:
    _partitioned(
        "call_events",
        "occurred_at",
        _time("occurred_at", given=True),
        _column("core_id", sa.Text(), given=True),
        _column("sequence", sa.BigInteger(), given=True),
        _column("type", sa.Text(), given=True),
        _column("id", sa.Text(), given=True),
        _column("tenant_id", UUID()),
        _column("node", sa.Text()),
        _column("call_id", UUID()),
        _column("leg_id", UUID()),
        _column("data", JSONB(), given=True),
        _now("stored_at"),
        sa.PrimaryKeyConstraint(
            "occurred_at", "core_id", "sequence", "type", name="pk_call_events"
        ),
        rights="select, insert",
    )
    op.create_index(
        "ix_call_events_tenant_id_occurred_at_id", "call_events", ["tenant_id", "occurred_at", "id"]
    )
    op.create_index("ix_call_events_call_id_type", "call_events", ["call_id", "type"])
    op.create_index(
        "ix_call_events_without_tenant",
        "call_events",
        ["call_id"],
        postgresql_where=sa.text("tenant_id is null and call_id is not null"),
    )


def _cdr_legs() -> None:
    _partitioned(
        "cdr_legs",
        "started_at",
        _column("leg_id", UUID(), given=True),
        _time("started_at", given=True),
        _column("call_id", UUID(), given=True),
        _column("call_known", sa.Boolean(), given=True),
        _column("tenant_id", UUID()),
        _column("extension_id", UUID()),
        _column("node", sa.Text()),
        _column("core_id", sa.Text()),
        _column("from_events", sa.Boolean(), given=True),
        _column("from_cdr", sa.Boolean(), given=True),
        _column("reconciled", sa.Boolean(), given=True),
        _column("direction", sa.Text()),
        _column("context", sa.Text()),
        _column("caller_number", sa.Text()),
        _column("caller_name", sa.Text()),
        _column("number", sa.Text()),
        _column("other_leg_id", UUID()),
        _column("originator_id", UUID()),
        _time("ringing_at"),
        _time("answered_at"),
        _time("bridged_at"),
        _time("ended_at"),
        _column("hangup_cause", sa.Text()),
        _column("hangup_disposition", sa.Text()),
        _column("originate_disposition", sa.Text()),
        _column("last_bridge_hangup_cause", sa.Text()),
        _column("endpoint_disposition", sa.Text()),
        _column("transfer_to", sa.Text()),
        _column("application", sa.Text()),
        _column("gateway", sa.Text()),
        _column("codec", sa.Text()),
        _column("mos", sa.Float()),
        _column("packet_loss_percent", sa.Float()),
        _column("jitter_ms", sa.Float()),
        _column("route", sa.Text()),
        _column("revision", sa.BigInteger()),
        sa.PrimaryKeyConstraint("leg_id", "started_at", name="pk_cdr_legs"),
        rights="select",
    )
    op.create_index("ix_cdr_legs_call_id", "cdr_legs", ["call_id"])


def _cdrs() -> None:
    _partitioned(
        "cdrs",
        "started_at",
        _column("call_id", UUID(), given=True),
        _time("started_at", given=True),
        _column("tenant_id", UUID()),
        _column("node", sa.Text()),
        _column("direction", sa.Text(), given=True),
        _column("from_number", sa.Text()),
        _column("to_number", sa.Text()),
        _time("answered_at"),
        _time("ended_at"),
        _column("duration_ms", sa.BigInteger(), given=True),
        _column("billable_ms", sa.BigInteger(), given=True),
        _column("result", sa.Text(), given=True),
        _column("hangup_cause", sa.Text()),
        _column("hangup_by", sa.Text(), given=True),
        _column("route", sa.Text()),
        _column("revision", sa.BigInteger()),
        _column("gateway", sa.Text()),
        _column("mos", sa.Float()),
        _column("packet_loss_percent", sa.Float()),
        _column("jitter_ms", sa.Float()),
        _column("source", sa.Text(), given=True),
        sa.Column("extension_ids", ARRAY(UUID()), nullable=False, server_default=sa.text("'{}'")),
        _now("created_at"),
        _now("updated_at"),
        sa.PrimaryKeyConstraint("call_id", "started_at", name="pk_cdrs"),
        rights="select",
    )
    for column in ("started_at", "from_number", "to_number"):
        last = "call_id" if column == "started_at" else "started_at"
        parts = ["tenant_id", column, last]
        op.create_index(f"ix_cdrs_{'_'.join(parts)}", "cdrs", parts)


def downgrade() -> None:
    for name in ("cdrs", "cdr_legs", "call_events"):
        op.execute(f"drop table {name}")
    op.execute("drop function make_month_partitions(text, text, date, int)")
