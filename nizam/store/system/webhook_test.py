"""A `webhook.test` event, delivered to one webhook whatever it subscribes to."""

from __future__ import annotations

from uuid import UUID

from nizam.model.events import Event
from nizam.store.pool import Transaction
from nizam.store.system.events import HELD, NEXT_POSITION, json_argument

_TO_SYSTEM = "select set_config('role', 'none', true), set_config('nizam.tenant', '', true)"
_WRITE = f"""
with stored as (
    insert into call_events (occurred_at, core_id, sequence, type, id, tenant_id, data, position)
    select %(occurred_at)s, %(core_id)s, %(sequence)s, %(type)s, %(id)s, %(tenant_id)s::uuid,
        %(data)s::jsonb, {NEXT_POSITION}
    where {HELD}
    returning id, occurred_at, type, tenant_id
)
insert into webhook_deliveries (event_id, event_occurred_at, event_type, webhook_id, tenant_id)
select id, occurred_at, type, %(webhook_id)s, tenant_id from stored
returning id, webhook_id
"""  # noqa: S608 - no values from outside


async def write_test(
    transaction: Transaction, event: Event, webhook_id: UUID
) -> list[tuple[UUID, UUID]]:
    """Store the event and its one delivery; (delivery id, webhook id) for the queue.

    The rest of the transaction runs with the system's rights: tenants cannot write events.
    """
    await transaction.query(_TO_SYSTEM)
    rows = await transaction.query(
        _WRITE,
        {
            "occurred_at": event.occurred_at,
            "core_id": event.core_id,
            "sequence": event.sequence,
            "type": event.type,
            "id": event.id,
            "tenant_id": event.tenant_id,
            "data": json_argument(dict(event.data)),
            "webhook_id": webhook_id,
        },
    )
    return [(row[0], row[1]) for row in rows]
