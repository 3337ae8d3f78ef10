"""Messages of mailboxes and the receipts of deleted ones, as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from nizam.errors import NotFound
from nizam.store.listing import Field, Listing, Page
from nizam.store.pages import TenantQueries, tenant_page, tenant_row
from nizam.store.system.voicemail import MESSAGE_COLUMNS, Message, messages
from nizam.store.system.voicemail_changes import mark_deleted
from nizam.store.tables.voicemail import VOICEMAIL_MESSAGES, VOICEMAIL_RECEIPTS
from nizam.store.unit_of_work import UnitOfWork

_C = VOICEMAIL_MESSAGES.c
MESSAGE_FIELDS: Mapping[str, Field] = {
    "received_at": Field(_C.received_at, "time"),
    "read_at": Field(_C.read_at, "time", sortable=False),
    "duration_ms": Field(_C.duration_ms, "integer"),
    "extension_id": Field(_C.extension_id, "uuid", sortable=False),
    "mailbox": Field(_C.mailbox, "text"),
    "call_id": Field(_C.call_id, "uuid", sortable=False),
    "from": Field(_C.from_number, "text"),
    "from_name": Field(_C.from_name, "text"),
    "read": Field(_C.is_read, "boolean", sortable=False),
    "urgent": Field(_C.urgent, "boolean", sortable=False),
    "folder": Field(_C.folder, "text", sortable=False),
    "node": Field(_C.node, "text", sortable=False),
    "state": Field(_C.state, "text", sortable=False),
}
_SHOWN: Final = (
    *("id", "extension_id", "mailbox", "call_id", "from_name", "urgent", "folder", "received_at"),
    *("read_at", "duration_ms", "sha256", "state", "problem", "node"),
)
_OTHERS: Final = ("is_read", "from_number", "bytes", "file", "switch_id", "domain", "created_at")
_COLUMNS: Final = [_C[it] for it in (*_SHOWN, *_OTHERS)]

_R = VOICEMAIL_RECEIPTS.c
RECEIPT_FIELDS: Mapping[str, Field] = {
    "deleted_at": Field(_R.deleted_at, "time"),
    "received_at": Field(_R.received_at, "time"),
    "message_id": Field(_R.message_id, "uuid", sortable=False),
    "extension_id": Field(_R.extension_id, "uuid", sortable=False),
    "mailbox": Field(_R.mailbox, "text", sortable=False),
    "call_id": Field(_R.call_id, "uuid", sortable=False),
    "reason": Field(_R.reason, "text", sortable=False),
}
_LOCK: Final = (
    f"select {', '.join(MESSAGE_COLUMNS)} from voicemail_messages"  # noqa: S608
    " where tenant_id = %s and id = %s for update"
)
SECOND_ATTEMPT_SECONDS: Final = 30.0
"""When a message that could not be deleted at once is deleted by the instances that listen."""
_RECEIPT_COLUMNS: Final = [it for it in _R if it.name != "tenant_id"]


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A message as the API shows it."""
    return {
        **{name: row[name] for name in _SHOWN},
        "from": row["from_number"],
        "read": row["is_read"],
        "size_bytes": row["bytes"],
    }


def receipt_shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A receipt as the API shows it."""
    found = dict(row)
    found["size_bytes"] = found.pop("bytes")
    return found


async def list_messages(pool: TenantQueries, tenant_id: UUID, listing: Listing) -> Page:
    """Messages of a tenant."""
    own = _C.tenant_id == tenant_id
    page = await tenant_page(pool, tenant_id, _COLUMNS, MESSAGE_FIELDS, _C.id, listing, own)
    return Page([shown(it) for it in page.rows], page.next_cursor)


async def get_message(pool: TenantQueries, tenant_id: UUID, message_id: UUID) -> dict[str, Any]:
    """One message with where its file is; NotFound."""
    own = _C.tenant_id == tenant_id
    return await tenant_row(pool, tenant_id, _COLUMNS, own, _C.id == message_id)


async def list_receipts(pool: TenantQueries, tenant_id: UUID, listing: Listing) -> Page:
    """Receipts of messages that were deleted."""
    own = _R.tenant_id == tenant_id
    page = await tenant_page(pool, tenant_id, _RECEIPT_COLUMNS, RECEIPT_FIELDS, _R.id, listing, own)
    return Page([receipt_shown(it) for it in page.rows], page.next_cursor)


async def mark_for_deletion(unit: UnitOfWork, message_id: UUID, who: str) -> Message:
    """Have a message deleted; what it is. NotFound."""
    rows = await unit.transaction.query(_LOCK, (unit.tenant_id, message_id))
    if not rows:
        raise NotFound
    [message] = messages(rows)
    if await mark_deleted(
        unit.transaction,
        message_id,
        by=who,
        reason="asked for",
        wait_seconds=SECOND_ATTEMPT_SECONDS,
    ):
        kept = {"mailbox": message.mailbox, "sha256": message.sha256}
        call_id = None if message.call_id is None else str(message.call_id)
        unit.note("deleted", "voicemail_message", message_id, after=kept | {"call_id": call_id})
    return message
