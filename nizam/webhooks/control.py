"""Events about webhooks themselves: a test that was asked for, and being disabled."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from nizam.model.events import Event
from nizam.model.identifiers import new_id
from nizam.store.pool import Pool, Transaction
from nizam.store.system import deliveries
from nizam.store.system.events import Database, WriteResult, write_events


async def send_test(
    database: Database, tenant_id: UUID, webhook_id: UUID, now: datetime
) -> WriteResult:
    """Store a `webhook.test` event, which goes to this webhook only, whatever it subscribes to.

    The result's deliveries are to be handed to the worker after the commit; there are none when
    the webhook is not there or is disabled.
    """
    event = _event("webhook.test", tenant_id, now, webhook_id, "a test was asked for")
    return await write_events(database, [event])


async def disable_webhook(
    database: Pool, webhook_id: UUID, tenant_id: UUID, reason: str, now: datetime
) -> tuple[tuple[UUID, UUID], ...]:
    """Disable a webhook, give up what waits for it, and store a `webhook.disabled` event.

    Gives the deliveries of that event to the tenant's other webhooks; nothing happens when it
    was disabled before.
    """

    async def work(transaction: Transaction) -> tuple[tuple[UUID, UUID], ...]:
        if not await deliveries.disable(transaction, webhook_id, reason):
            return ()
        event = _event("webhook.disabled", tenant_id, now, webhook_id, reason)
        return (await write_events(transaction, [event])).deliveries

    return await database.transaction(work)


def _event(kind: str, tenant_id: UUID, now: datetime, webhook_id: UUID, reason: str) -> Event:
    # A fresh id in place of a Core-UUID: nothing else tells of the same thing.
    return Event(
        type=kind,
        occurred_at=now,
        core_id=str(new_id()),
        sequence=1,
        tenant_id=tenant_id,
        data={"webhook_id": str(webhook_id), "reason": reason},
    )
