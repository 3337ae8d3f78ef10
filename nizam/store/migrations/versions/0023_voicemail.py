"""Messages of mailboxes, receipts of deleted ones, and mailboxes to compare with the switch's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

from nizam.store.migrations.security import protect

revision = "0023_voicemail"
down_revision = "0022_log_readers"
branch_labels = None
depends_on = None


def _time(name: str, *, needed: bool = False, now: bool = False) -> sa.Column[object]:
    default = sa.func.now() if now else None
    needed = needed or now
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not needed, server_default=default)


def _text(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Text(), nullable=False)


def _flag(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text("false"))


def _number(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0"))


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "voicemail_messages",
        sa.Column("id", UUID(), nullable=False),
        sa.Column("tenant_id", UUID(), nullable=False),
        sa.Column("extension_id", UUID()),
        _text("mailbox"),
        _text("domain"),
        sa.Column("node", sa.Text()),
        sa.Column("switch_id", sa.Text()),
        _text("path"),
        sa.Column("file", sa.Text()),
        sa.Column("call_id", UUID()),
        sa.Column("from_number", sa.Text()),
        sa.Column("from_name", sa.Text()),
        _flag("urgent"),
        _text("folder"),
        _time("received_at", needed=True),
        _flag("is_read"),
        _time("read_at"),
        sa.Column("duration_ms", sa.BigInteger()),
        sa.Column("state", sa.Text(), nullable=False, server_default=sa.text("'checking'")),
        sa.Column("problem", sa.Text()),
        sa.Column("bytes", sa.BigInteger()),
        sa.Column("sha256", sa.Text()),
        sa.Column("deleted_by", sa.Text()),
        sa.Column("deletion_reason", sa.Text()),
        _number("changes"),
        _number("attempt_count"),
        _time("next_attempt_at"),
        _time("created_at", now=True),
        _time("updated_at", now=True),
        sa.PrimaryKeyConstraint("id", name="pk_voicemail_messages"),
        sa.CheckConstraint(
            "state in ('checking', 'available', 'missing', 'damaged', 'deleting')",
            name="ck_voicemail_messages_state",
        ),
    )
    protect("voicemail_messages", rights="select, update")
    op.create_index(
        "ix_voicemail_messages_due",
        "voicemail_messages",
        ["next_attempt_at"],
        postgresql_where=sa.text("next_attempt_at is not null"),
    )
    op.create_index(
        "ix_voicemail_messages_tenant_id_received_at",
        "voicemail_messages",
        ["tenant_id", "received_at", "id"],
    )
    op.create_index(
        "ix_voicemail_messages_tenant_id_mailbox", "voicemail_messages", ["tenant_id", "mailbox"]
    )

    op.create_table(
        "voicemail_receipts",
        sa.Column("id", UUID(), nullable=False, server_default=sa.text("new_uuid7()")),
        sa.Column("tenant_id", UUID(), nullable=False),
        sa.Column("message_id", UUID(), nullable=False),
        sa.Column("extension_id", UUID()),
        _text("mailbox"),
        sa.Column("call_id", UUID()),
        _time("received_at", needed=True),
        sa.Column("duration_ms", sa.BigInteger()),
        sa.Column("bytes", sa.BigInteger()),
        sa.Column("sha256", sa.Text()),
        _text("reason"),
        _text("deleted_by"),
        _time("deleted_at", now=True),
        sa.PrimaryKeyConstraint("id", name="pk_voicemail_receipts"),
    )
    protect("voicemail_receipts", rights="select")
    op.create_index(
        "ix_voicemail_receipts_tenant_id_deleted_at",
        "voicemail_receipts",
        ["tenant_id", "deleted_at", "id"],
    )
    op.create_index(
        "uq_voicemail_receipts_message_id", "voicemail_receipts", ["message_id"], unique=True
    )

    op.create_table(
        "voicemail_comparisons",
        sa.Column("tenant_id", UUID(), nullable=False),
        _text("node"),
        _text("mailbox"),
        _text("domain"),
        sa.Column("mark", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        _number("attempt_count"),
        _time("next_attempt_at", now=True),
        sa.PrimaryKeyConstraint("tenant_id", "node", "mailbox", name="pk_voicemail_comparisons"),
    )
    protect("voicemail_comparisons", rights="select")
    op.create_index("ix_voicemail_comparisons_due", "voicemail_comparisons", ["next_attempt_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("voicemail_comparisons")
    op.drop_table("voicemail_receipts")
    op.drop_table("voicemail_messages")
