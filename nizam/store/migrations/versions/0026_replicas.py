"""How a read asks a replica to have replayed enough; see nizam/store/replicas.py."""

from __future__ import annotations

from alembic import op

revision = "0026_replicas"
down_revision = "0025_voicemail_sweeps"
branch_labels = None
depends_on = None

_REPLAYED = """
create function nizam_replayed(wanted bigint) returns void language plpgsql as $$
declare
    here bigint := (
        case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
        else pg_current_wal_insert_lsn() end - '0/0'
    )::bigint;
begin
    if here is null or here < wanted then
        raise exception 'replayed up to %, which is before %', here, wanted
            using errcode = 'NZ001';
    end if;
end $$
"""


def upgrade() -> None:
    """Apply."""
    op.execute(_REPLAYED)


def downgrade() -> None:
    """Take back."""
    op.execute("drop function nizam_replayed(bigint)")
