"""Recorded files and the receipts of those that were deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

from nizam.store.migrations.security import protect

revision = "0017_recordings"
down_revision = "0016_event_positions"
branch_labels = None
depends_on = None


def _time(name: str, *, needed: bool = False, now: bool = False) -> sa.Column[object]:
    default = sa.func.now() if now else None
    needed = needed or now
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not needed, server_default=default)


def _id() -> sa.Column[object]:
    return sa.Column("id", UUID(), nullable=False, server_default=sa.text("new_uuid7()"))


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "recordings",
        _id(),
        sa.Column("tenant_id", UUID(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, server_default=sa.text("'recording'")),
        sa.Column("storage", sa.Text(), nullable=False, server_default=sa.text("'local'")),
        sa.Column("is_local", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("object_key", sa.Text()),
        sa.Column("call_id", UUID()),
        sa.Column("leg_id", UUID()),
        sa.Column("extension_id", UUID()),
        sa.Column("node", sa.Text()),
        sa.Column("direction", sa.Text()),
        sa.Column("from_number", sa.Text()),
        sa.Column("to_number", sa.Text()),
        _time("started_at", needed=True),
        _time("stopped_at"),
        _time("completed_at"),
        sa.Column("duration_ms", sa.BigInteger()),
        sa.Column("bytes", sa.BigInteger()),
        sa.Column("sha256", sa.Text()),
        sa.Column("sample_rate", sa.Integer()),
        sa.Column("channels", sa.Integer()),
        sa.Column("problem", sa.Text()),
        sa.Column("legal_hold", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("hold_reason", sa.Text()),
        sa.Column("held_by", sa.Text()),
        _time("held_at"),
        sa.Column("deleted_by", sa.Text()),
        sa.Column("deletion_reason", sa.Text()),
        _time("told_at", needed=True),
        sa.Column("core_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False, server_default=sa.text("0")),
        _time("next_attempt_at"),
        _time("created_at", now=True),
        _time("updated_at", now=True),
        sa.PrimaryKeyConstraint("id", name="pk_recordings"),
        sa.CheckConstraint(
            "state in ('recording', 'stopped', 'checking', 'available', 'missing', 'damaged',"
            " 'deleting')",
            name="ck_recordings_state",
        ),
        sa.CheckConstraint("storage in ('local', 's3')", name="ck_recordings_storage"),
    )
    protect("recordings", rights="select, update")
    op.create_index(
        "uq_recordings_path",
        "recordings",
        ["path"],
        unique=True,
        postgresql_where=sa.text("is_local"),
    )
    op.create_index(
        "ix_recordings_due",
        "recordings",
        ["next_attempt_at"],
        postgresql_where=sa.text("next_attempt_at is not null"),
    )
    op.create_index(
        "ix_recordings_live",
        "recordings",
        ["leg_id"],
        postgresql_where=sa.text("state in ('recording', 'stopped')"),
    )
    op.create_index(
        "ix_recordings_tenant_id_started_at", "recordings", ["tenant_id", "started_at", "id"]
    )
    op.create_index("ix_recordings_call_id", "recordings", ["call_id"])

    op.create_table(
        "recording_receipts",
        _id(),
        sa.Column("tenant_id", UUID(), nullable=False),
        sa.Column("recording_id", UUID(), nullable=False),
        sa.Column("call_id", UUID()),
        _time("started_at", needed=True),
        sa.Column("duration_ms", sa.BigInteger()),
        sa.Column("bytes", sa.BigInteger()),
        sa.Column("sha256", sa.Text()),
        sa.Column("storage", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("deleted_by", sa.Text(), nullable=False),
        _time("deleted_at", now=True),
        sa.PrimaryKeyConstraint("id", name="pk_recording_receipts"),
    )
    protect("recording_receipts", rights="select")
    op.create_index(
        "ix_recording_receipts_tenant_id_deleted_at",
        "recording_receipts",
        ["tenant_id", "deleted_at", "id"],
    )
    op.create_index(
        "uq_recording_receipts_recording_id", "recording_receipts", ["recording_id"], unique=True
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("recording_receipts")
    op.drop_table("recordings")
