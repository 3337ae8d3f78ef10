"""The log's own order: what a reader that comes back goes on after.

A position is drawn from a sequence while the row is written, so that two transactions may draw 1
and 2 and commit 2 first. A writer therefore says, before it draws, where the sequence stands: with
an advisory lock that it keeps until its transaction is over. See nizam/store/system/event_log.py.
"""

from __future__ import annotations

from alembic import op

revision = "0016_event_positions"
down_revision = "0015_gateway_states"
branch_labels = None
depends_on = None

# The lock's key: a mark of 16 bits (`NZ`) and 48 bits of the position.
_HOLD = """
create function hold_event_log() returns bigint language plpgsql volatile as $$
declare
    position bigint := coalesce(pg_sequence_last_value('call_events_position'), 0);
begin
    perform pg_advisory_xact_lock_shared((x'4e5a'::bigint << 48) | position);
    return position;
end $$
"""
# The sequence first, then the locks: who is not seen among these draws beyond what was read, or
# has committed. Each statement sees what was committed before it.
_END = """
create function event_log_end() returns bigint language plpgsql volatile as $$
declare
    position bigint := coalesce(pg_sequence_last_value('call_events_position'), 0);
    held bigint;
begin
    select min(((classid::bigint & 65535) << 32) | objid::bigint) into held
    from pg_locks
    where locktype = 'advisory' and objsubid = 1 and classid::bigint >> 16 = x'4e5a'::bigint
      and database = (select oid from pg_database where datname = current_database());
    return least(position, held);
end $$
"""


def upgrade() -> None:
    """Apply; what is there is counted in the order in which it was stored."""
    # No cache: a session would draw positions that others have gone beyond.
    op.execute("create sequence call_events_position cache 1")
    op.execute(
        "alter table call_events add column position bigint not null"
        " default nextval('call_events_position')"
    )
    # Whoever writes without saying so first is refused.
    op.execute("alter table call_events alter column position drop default")
    op.create_index("ix_call_events_position", "call_events", ["position"])
    op.create_index("ix_call_events_tenant_id_position", "call_events", ["tenant_id", "position"])
    op.execute(_HOLD)
    op.execute(_END)


def downgrade() -> None:
    """Take back."""
    op.execute("drop function event_log_end()")
    op.execute("drop function hold_event_log()")
    op.drop_index("ix_call_events_tenant_id_position", "call_events")
    op.drop_index("ix_call_events_position", "call_events")
    op.drop_column("call_events", "position")
    op.execute("drop sequence call_events_position")
