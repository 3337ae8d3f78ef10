"""Disabling a webhook whose endpoint does not want it, or does not work, any more."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from nizam.model.events import Event
from nizam.model.identifiers import new_id
from nizam.store.audit import AuditEntry, record
from nizam.store.context import SYSTEM
from nizam.store.pool import Pool, Transaction
from nizam.store.system import deliveries
from nizam.store.system.events import write_events


async def disable_webhook(
    database: Pool, webhook_id: UUID, tenant_id: UUID, reason: str, now: datetime
) -> tuple[tuple[UUID, UUID], ...]:
    """Disable a webhook and store a `webhook.disabled` event; recovery gives up what waits for it.

    Gives the deliveries of that event to the tenant's other webhooks; nothing happens when it
    was disabled before.
    """

    async def work(transaction: Transaction) -> tuple[tuple[UUID, UUID], ...]:
        if not await deliveries.disable(transaction, webhook_id):
            return ()
        event = Event(
            type="webhook.disabled",
            occurred_at=now,
            # A fresh id in place of a Core-UUID: nothing else tells of the same thing.
            core_id=str(new_id()),
            sequence=1,
            tenant_id=tenant_id,
            data={"webhook_id": str(webhook_id), "reason": reason},
        )
        entry = AuditEntry(
            action="disabled",
            resource_type="webhook",
            resource_id=webhook_id,
            tenant_id=tenant_id,
            after={"status": "disabled", "reason": reason},
        )
        await record(transaction, SYSTEM, now, entry)
        return (await write_events(transaction, [event])).deliveries

    return await database.transaction(work)
