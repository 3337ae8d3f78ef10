"""What the holder of a lease tells the others, and work that is done only while leases are held."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0028_lease_notes"
down_revision = "0027_backups"
branch_labels = None
depends_on = None

_HOLD = """
create function hold_leases(names text[], tokens bigint[]) returns void language plpgsql volatile
as $$
declare
    held bigint;
begin
    -- The lock keeps the leases from changing hands before this transaction has ended.
    perform from leases l join unnest(names, tokens) as given(name, token)
        on l.name = given.name and l.token = given.token
        for share of l;
    get diagnostics held = row_count;
    if held < cardinality(names) then
        raise exception 'a lease is held by somebody else' using errcode = 'NZ002', detail = (
            select string_agg(given.name, ' ') from unnest(names, tokens) as given(name, token)
            where not exists (
                select from leases l where l.name = given.name and l.token = given.token));
    end if;
end
$$
"""


def upgrade() -> None:
    """Apply."""
    op.add_column("leases", sa.Column("note", JSONB()))
    op.execute(_HOLD)


def downgrade() -> None:
    """Take back."""
    op.execute("drop function hold_leases(text[], bigint[])")
    op.drop_column("leases", "note")
