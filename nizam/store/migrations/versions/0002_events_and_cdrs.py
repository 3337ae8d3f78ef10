"""Events and call detail records, partitioned by month."""

from __future__ import annotations

from alembic import op

from nizam.store.migrations.security import protect
from nizam.store.tables.cdrs import CDR_LEGS, CDRS
from nizam.store.tables.events import CALL_EVENTS

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


def upgrade() -> None:
    op.execute(_MAKE_PARTITIONS)
    for table, key in (
        (CALL_EVENTS, "occurred_at"),
        (CDR_LEGS, "started_at"),
        (CDRS, "started_at"),
    ):
        table.create(op.get_bind())
        name = table.name
        op.execute(f"create table {name}_default partition of {name} default")
        protect(name, rights="select, insert" if name == "call_events" else "select")
        op.execute(
            f"select make_month_partitions('{name}', '{key}',"
            " (now() at time zone 'UTC')::date - 31, 4)"
        )


def downgrade() -> None:
    for name in ("cdrs", "cdr_legs", "call_events"):
        op.execute(f"drop table {name}")
    op.execute("drop function make_month_partitions(text, text, date, int)")
