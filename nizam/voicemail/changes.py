"""What happens to a message, noted and told once: marked, or removed with a receipt."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from nizam import metrics
from nizam.store.pool import Pool, Transaction
from nizam.store.system import voicemail_changes as stored
from nizam.store.system.events import WriteResult, write_events
from nizam.store.system.telling import Told, write_and_tell
from nizam.store.system.voicemail import Message
from nizam.voicemail.switch import Box, SwitchMailboxes


async def erase(
    pool: Pool, switch: SwitchMailboxes, it: Message, told: Told
) -> dict[str, Any] | None:
    """Have the switch remove a message that is marked for deletion, then remove its row; its
    receipt.

    None if somebody else was quicker. Raises SwitchUnavailable, SwitchError and TimeoutExceeded:
    the message stays marked then.
    """
    box = Box(node=it.node, mailbox=it.mailbox, domain=it.domain)
    await switch.delete(box, it.switch_id, shared=await stored.is_shared(pool, it))
    return await gone(pool, it.id, told, by="system", reason="asked for")


async def gone(
    pool: Pool, message_id: UUID, told: Told, *, by: str, reason: str
) -> dict[str, Any] | None:
    """The switch does not have a message any more; its receipt, None if that was noted."""
    receipts: list[dict[str, Any]] = []

    async def work(transaction: Transaction) -> WriteResult:
        found = await stored.note_gone(transaction, message_id, by=by, reason=reason)
        if found is None:
            return WriteResult()
        receipts.append(found[0])
        return await write_events(transaction, [found[1]])

    await write_and_tell(pool, told, work)
    if receipts:
        metrics.VOICEMAIL_TOTAL.labels("deleted").inc()
    return receipts[0] if receipts else None


async def marked(pool: Pool, message_id: UUID, told: Told, *, read: bool, by: str) -> bool:
    """The switch counts a message as listened to, or not; whether that is news."""

    async def work(transaction: Transaction) -> WriteResult:
        event = await stored.note_mark(transaction, message_id, read=read, by=by)
        return await write_events(transaction, [] if event is None else [event])

    written = await write_and_tell(pool, told, work)
    return bool(written.event_ids)
