"""Recorded files, and the receipts of those that were deleted."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

from nizam.store.tables import METADATA

RECORDINGS = Table(
    "recordings",
    METADATA,
    Column("id", UUID, primary_key=True, server_default=text("new_uuid7()")),
    Column("tenant_id", UUID, nullable=False),
    Column("path", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'recording'")),
    Column("storage", Text, nullable=False, server_default=text("'local'")),
    Column("is_local", Boolean, nullable=False, server_default=text("true")),
    Column("object_key", Text),
    Column("call_id", UUID),
    Column("leg_id", UUID),
    Column("extension_id", UUID),
    Column("node", Text),
    Column("direction", Text),
    Column("from_number", Text),
    Column("to_number", Text),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("stopped_at", DateTime(timezone=True)),
    Column("completed_at", DateTime(timezone=True)),
    Column("duration_ms", BigInteger),
    Column("bytes", BigInteger),
    Column("sha256", Text),
    Column("sample_rate", Integer),
    Column("channels", Integer),
    Column("problem", Text),
    Column("legal_hold", Boolean, nullable=False, server_default=text("false")),
    Column("hold_reason", Text),
    Column("held_by", Text),
    Column("held_at", DateTime(timezone=True)),
    Column("deleted_by", Text),
    Column("deletion_reason", Text),
    Column("told_at", DateTime(timezone=True), nullable=False),
    Column("core_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("attempt_count", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint(
        "state in ('recording', 'stopped', 'checking', 'available', 'missing', 'damaged',"
        " 'deleting')",
        name="ck_recordings_state",
    ),
    CheckConstraint("storage in ('local', 's3')", name="ck_recordings_storage"),
)
"""`path` is below the media root; `is_local` says whether the file is (still) there, whatever the
storage that it is served from. `told_at`, `core_id` and `sequence` are those of the last event of
the switch about it. Something is left to do when `next_attempt_at` has come."""

Index(
    "uq_recordings_path",
    RECORDINGS.c.path,
    unique=True,
    postgresql_where=text("is_local"),
)
Index(
    "ix_recordings_due",
    RECORDINGS.c.next_attempt_at,
    postgresql_where=text("next_attempt_at is not null"),
)
Index(
    "ix_recordings_live",
    RECORDINGS.c.leg_id,
    postgresql_where=text("state in ('recording', 'stopped')"),
)
Index(
    "ix_recordings_tenant_id_started_at",
    RECORDINGS.c.tenant_id,
    RECORDINGS.c.started_at,
    RECORDINGS.c.id,
)
for _sorted in ("completed_at", "duration_ms", "bytes", "from_number", "to_number"):
    Index(f"ix_recordings_tenant_id_{_sorted}", *RECORDINGS.c["tenant_id", _sorted, "id"])
Index("ix_recordings_call_id", RECORDINGS.c.call_id)
Index(
    "ix_recordings_held",
    *RECORDINGS.c["tenant_id", "started_at", "id"],
    postgresql_where=text("legal_hold"),
)

RECORDING_RECEIPTS = Table(
    "recording_receipts",
    METADATA,
    Column("id", UUID, primary_key=True, server_default=text("new_uuid7()")),
    Column("tenant_id", UUID, nullable=False),
    Column("recording_id", UUID, nullable=False),
    Column("call_id", UUID),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("duration_ms", BigInteger),
    Column("bytes", BigInteger),
    Column("sha256", Text),
    Column("storage", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("deleted_by", Text, nullable=False),
    Column("deleted_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
Index(
    "ix_recording_receipts_tenant_id_deleted_at",
    RECORDING_RECEIPTS.c.tenant_id,
    RECORDING_RECEIPTS.c.deleted_at,
    RECORDING_RECEIPTS.c.id,
)
Index("uq_recording_receipts_recording_id", RECORDING_RECEIPTS.c.recording_id, unique=True)
Index(
    "ix_recording_receipts_tenant_id_started_at",
    *RECORDING_RECEIPTS.c["tenant_id", "started_at", "id"],
)
