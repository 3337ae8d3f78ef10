"""An index for every order of every list that grows with what happens; how tables are vacuumed.

The settings of tables, and why:
- `leases`, `scheduled_tasks`, `webhook_states`, `platform_state`, `log_readers`: few rows which
  change all the time, none of it in an index. Half of each page stays free for the next version of
  a row (a HOT update), and some hundred dead rows are enough for a vacuum.
- `tenants` too: each change of a tenant raises its revision. Its rows are large, a fifth is enough.
- `webhook_deliveries`, `mails`: queues whose rows change their status, which is in indexes, so that
  every change leaves dead rows there. By the server's defaults a fifth of the table, millions of
  rows that were delivered long ago, would have to be dead before anybody looked; here one in 100.
- `cdrs`, `cdr_legs`: the record of a call is written by its events and again by FreeSWITCH's own;
  what changes then is mostly in no index. A tenth of each page stays free.
- `call_events`, `webhook_attempts`: only ever added to. Vacuumed after a hundredth of new rows, so
  that index-only scans and freezing need no large vacuum at once.
Partitions take theirs when they are made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029_lists_and_vacuum"
down_revision = "0028_lease_notes"
branch_labels = None
depends_on = None

_INDEXES = {
    "cdrs": {
        "ix_cdrs_tenant_id_answered_at": ["tenant_id", "answered_at", "call_id"],
        "ix_cdrs_tenant_id_ended_at": ["tenant_id", "ended_at", "call_id"],
        "ix_cdrs_tenant_id_duration_ms": ["tenant_id", "duration_ms", "call_id"],
        "ix_cdrs_tenant_id_billable_ms": ["tenant_id", "billable_ms", "call_id"],
    },
    "recordings": {
        "ix_recordings_tenant_id_completed_at": ["tenant_id", "completed_at", "id"],
        "ix_recordings_tenant_id_duration_ms": ["tenant_id", "duration_ms", "id"],
        "ix_recordings_tenant_id_bytes": ["tenant_id", "bytes", "id"],
        "ix_recordings_tenant_id_from_number": ["tenant_id", "from_number", "id"],
        "ix_recordings_tenant_id_to_number": ["tenant_id", "to_number", "id"],
    },
    "recording_receipts": {
        "ix_recording_receipts_tenant_id_started_at": ["tenant_id", "started_at", "id"],
    },
    "voicemail_messages": {
        "ix_voicemail_messages_tenant_id_duration_ms": ["tenant_id", "duration_ms", "id"],
        "ix_voicemail_messages_tenant_id_from_number": ["tenant_id", "from_number", "id"],
        "ix_voicemail_messages_tenant_id_from_name": ["tenant_id", "from_name", "id"],
    },
    "voicemail_receipts": {
        "ix_voicemail_receipts_tenant_id_received_at": ["tenant_id", "received_at", "id"],
    },
}
_SMALL = {
    "fillfactor": "50",
    "autovacuum_vacuum_scale_factor": "0",
    "autovacuum_vacuum_threshold": "200",
}
_QUEUE = {
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "1000",
    "autovacuum_analyze_scale_factor": "0.02",
    "autovacuum_vacuum_cost_delay": "1",
}
_ADDED_TO = {
    "autovacuum_vacuum_insert_scale_factor": "0.01",
    "autovacuum_vacuum_insert_threshold": "10000",
    "autovacuum_analyze_scale_factor": "0.02",
}
_RECORDS = {"fillfactor": "90", **_ADDED_TO}
_TABLES = {
    **dict.fromkeys(
        ("leases", "scheduled_tasks", "webhook_states", "platform_state", "log_readers"), _SMALL
    ),
    "tenants": {"fillfactor": "80"},
    "webhook_deliveries": _QUEUE,
    "mails": _QUEUE,
    "webhook_attempts": _ADDED_TO,
}
_PARTITIONED = {"cdrs": _RECORDS, "cdr_legs": _RECORDS, "call_events": _ADDED_TO}

# Beside make_month_partitions, which makes the months, so that every one is settled in one place.
_SETTLE = """
create function settle_partitions(parent text) returns void language plpgsql as $$
declare
    settings text := case
{cases}
    end;
    name regclass;
begin
    if settings is null then
        return;
    end if;
    for name in
        select i.inhrelid from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = parent::regclass and c.reloptions is null
    loop
        execute format('alter table %s set (%s)', name, settings);
    end loop;
end $$
"""


def upgrade() -> None:
    """Apply."""
    for table, indexes in _INDEXES.items():
        for name, columns in indexes.items():
            op.create_index(name, table, columns)
    op.create_index(
        "ix_recordings_held",
        "recordings",
        ["tenant_id", "started_at", "id"],
        postgresql_where=sa.text("legal_hold"),
    )
    op.drop_index("ix_voicemail_messages_tenant_id_mailbox", "voicemail_messages")
    op.create_index(
        "ix_voicemail_messages_tenant_id_mailbox",
        "voicemail_messages",
        ["tenant_id", "mailbox", "id"],
    )
    for table, settings in _TABLES.items():
        op.execute(f"alter table {table} set ({_words(settings)})")
    cases = [
        f"        when parent = '{it}' then '{_words(_PARTITIONED[it])}'" for it in _PARTITIONED
    ]
    op.execute(_SETTLE.format(cases="\n".join(cases)))
    for table in _PARTITIONED:
        op.execute(f"select settle_partitions('{table}')")


def downgrade() -> None:
    """Take back."""
    op.execute("drop function settle_partitions(text)")
    op.drop_index("ix_recordings_held", "recordings")
    for table, settings in _TABLES.items():
        op.execute(f"alter table {table} reset ({', '.join(settings)})")
    op.drop_index("ix_voicemail_messages_tenant_id_mailbox", "voicemail_messages")
    op.create_index(
        "ix_voicemail_messages_tenant_id_mailbox", "voicemail_messages", ["tenant_id", "mailbox"]
    )
    for table, indexes in _INDEXES.items():
        for name in indexes:
            op.drop_index(name, table)


def _words(settings: dict[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in settings.items())
