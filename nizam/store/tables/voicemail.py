"""Messages that were left in mailboxes, the receipts of those that were deleted, and the mailboxes
that are to be compared with the switch's."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

from nizam.store.tables import METADATA

VOICEMAIL_MESSAGES = Table(
    "voicemail_messages",
    METADATA,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, nullable=False),
    Column("extension_id", UUID),
    Column("mailbox", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("node", Text),
    Column("switch_id", Text),
    Column("path", Text, nullable=False),
    Column("file", Text),
    Column("call_id", UUID),
    Column("from_number", Text),
    Column("from_name", Text),
    Column("urgent", Boolean, nullable=False, server_default=text("false")),
    Column("folder", Text, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("is_read", Boolean, nullable=False, server_default=text("false")),
    Column("read_at", DateTime(timezone=True)),
    Column("duration_ms", BigInteger),
    Column("state", Text, nullable=False, server_default=text("'checking'")),
    Column("problem", Text),
    Column("bytes", BigInteger),
    Column("sha256", Text),
    Column("deleted_by", Text),
    Column("deletion_reason", Text),
    Column("changes", Integer, nullable=False, server_default=text("0")),
    Column("attempt_count", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint(
        "state in ('checking', 'available', 'missing', 'damaged', 'deleting')",
        name="ck_voicemail_messages_state",
    ),
)
"""`path` is where the switch has the file, `file` the same below the media root, if it is there.
`switch_id` is the switch's own id. `changes` counts what was told of the message since it came.
Something is left to do when `next_attempt_at` has come."""

Index(
    "ix_voicemail_messages_due",
    VOICEMAIL_MESSAGES.c.next_attempt_at,
    postgresql_where=text("next_attempt_at is not null"),
)
Index(
    "ix_voicemail_messages_tenant_id_received_at",
    VOICEMAIL_MESSAGES.c.tenant_id,
    VOICEMAIL_MESSAGES.c.received_at,
    VOICEMAIL_MESSAGES.c.id,
)
for _sorted in ("mailbox", "duration_ms", "from_number", "from_name"):
    Index(
        f"ix_voicemail_messages_tenant_id_{_sorted}",
        *VOICEMAIL_MESSAGES.c["tenant_id", _sorted, "id"],
    )

VOICEMAIL_RECEIPTS = Table(
    "voicemail_receipts",
    METADATA,
    Column("id", UUID, primary_key=True, server_default=text("new_uuid7()")),
    Column("tenant_id", UUID, nullable=False),
    Column("message_id", UUID, nullable=False),
    Column("extension_id", UUID),
    Column("mailbox", Text, nullable=False),
    Column("call_id", UUID),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("duration_ms", BigInteger),
    Column("bytes", BigInteger),
    Column("sha256", Text),
    Column("reason", Text, nullable=False),
    Column("deleted_by", Text, nullable=False),
    Column("deleted_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
Index(
    "ix_voicemail_receipts_tenant_id_deleted_at",
    VOICEMAIL_RECEIPTS.c.tenant_id,
    VOICEMAIL_RECEIPTS.c.deleted_at,
    VOICEMAIL_RECEIPTS.c.id,
)
Index(
    "ix_voicemail_receipts_tenant_id_received_at",
    *VOICEMAIL_RECEIPTS.c["tenant_id", "received_at", "id"],
)
Index("uq_voicemail_receipts_message_id", VOICEMAIL_RECEIPTS.c.message_id, unique=True)

VOICEMAIL_COMPARISONS = Table(
    "voicemail_comparisons",
    METADATA,
    Column("tenant_id", UUID, nullable=False),
    Column("node", Text, nullable=False),
    Column("mailbox", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("mark", BigInteger, nullable=False, server_default=text("0")),
    Column("attempt_count", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("tenant_id", "node", "mailbox"),
)
"""A row is there until the mailbox was compared; `mark` counts how often that was asked for."""

Index("ix_voicemail_comparisons_due", VOICEMAIL_COMPARISONS.c.next_attempt_at)

VOICEMAIL_SWEEPS = Table(
    "voicemail_sweeps",
    METADATA,
    Column("node", Text, primary_key=True),
    Column("after_tenant", UUID),
    Column("after_mailbox", Text),
)
"""A node of which every mailbox is to be compared: those up to this one are, or are about to be."""
