"""What can be done with a webhook beside changing it, and what became of its deliveries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from nizam.errors import IdempotencyMismatch
from nizam.http.changes import change_context
from nizam.http.crud import shown
from nizam.http.listing import list_parameters, list_reply
from nizam.http.queueing import Queueing
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Handler, Route, Schema
from nizam.http.schema_parts import identifier, list_of, object_of, ref, text
from nizam.model.events import Event
from nizam.model.identifiers import new_id
from nizam.model.registry import resource
from nizam.store import deliveries
from nizam.store.history import (
    ATTEMPT_FIELDS,
    DELIVERY_FIELDS,
    list_attempts,
    list_deliveries,
)
from nizam.store.listing import parse_listing
from nizam.store.store import Store
from nizam.store.system.webhook_test import write_test
from nizam.store.unit_of_work import UnitOfWork

PREVIOUS_SECRET_HOURS = 24
_DELIVERIES_SORT = "-created_at"
_ATTEMPTS_SORT = "-started_at"
_PATH = f"{TENANT}/webhooks/{{id}}"
_TEST: Schema = {
    "title": "WebhookTest",
    **object_of(
        "What was sent to try a webhook.",
        event_id=text("The event.", "evt_0193a1b2c3d40123456789abcdef0123"),
        delivery_id=identifier("Its delivery."),
    ),
}


@attrs.frozen
class Webhooks:
    """The handlers."""

    store: Store
    queueing: Queueing

    async def rotate_secret(self, call: Call) -> Reply:
        """A new secret; the present one goes on signing beside it for a day."""
        call.no_body()
        until = datetime.now(UTC) + timedelta(hours=PREVIOUS_SECRET_HOURS)
        return await self.store.rotate(
            resource("webhook"),
            call.tenant,
            call.id(),
            "secret",
            until,
            change_context(call),
            shown,
        )

    async def pause(self, call: Call) -> Reply:
        """Hold what is to be delivered."""
        call.no_body()

        async def work(unit: UnitOfWork) -> Reply:
            return shown(await unit.set_field(resource("webhook"), call.id(), "status", "paused"))

        return await self.store.write(call.tenant, change_context(call), work)

    async def resume(self, call: Call) -> Reply:
        """Deliver again, also what waited."""
        call.no_body()

        async def work(unit: UnitOfWork, queued: deliveries.Pairs) -> Reply:
            it = await unit.set_field(resource("webhook"), call.id(), "status", "active")
            queued += await deliveries.wake(unit.transaction, it.id)
            return shown(it)

        return await self.queueing.run(call, work)

    async def test(self, call: Call) -> Reply:
        """Send a webhook.test event to this webhook alone."""
        call.no_body()
        await self._exists(call)
        event = Event(
            type="webhook.test",
            occurred_at=datetime.now(UTC),
            core_id=str(new_id()),
            sequence=0,
            tenant_id=call.tenant,
            data={"webhook_id": str(call.id())},
        )

        async def work(unit: UnitOfWork, queued: deliveries.Pairs) -> Reply:
            queued += await write_test(unit.transaction, event, call.id())
            unit.note("tested", "webhook", call.id(), after={"event_id": event.id})
            return Reply({"event_id": event.id, "delivery_id": queued[0][0]}, 202)

        return await self.queueing.run(call, work)

    async def list_deliveries(self, call: Call) -> Reply:
        """Deliveries, the newest first."""
        listing = parse_listing(call.query, DELIVERY_FIELDS, _DELIVERIES_SORT)
        await self._exists(call)
        page = await list_deliveries(self.store.primary, call.tenant, call.id(), listing)
        return list_reply(page)

    async def list_attempts(self, call: Call) -> Reply:
        """Attempts, the newest first."""
        listing = parse_listing(call.query, ATTEMPT_FIELDS, _ATTEMPTS_SORT, id_kind="integer")
        await self._exists(call)
        return list_reply(await list_attempts(self.store.primary, call.tenant, call.id(), listing))

    async def stats(self, call: Call) -> Reply:
        """The figures of one webhook."""
        await self._exists(call)
        found = await self.store.primary.tenant_transaction(
            call.tenant, lambda transaction: deliveries.stats(transaction, call.id())
        )
        return Reply(attrs.asdict(found))

    async def _exists(self, call: Call) -> None:
        await self.store.get(resource("webhook"), call.tenant, call.id())

    def routes(self) -> list[Route]:
        """The routes of this file."""
        webhook = ref("Webhook")
        return [
            _post(
                "rotate-secret", self.rotate_secret, "A new signing secret, shown once.", webhook
            ),
            _post("pause", self.pause, "Hold what is to be delivered.", webhook),
            _post("resume", self.resume, "Deliver again, also what waited.", webhook),
            _post("test", self.test, "Send a webhook.test event.", _TEST, status=202),
            _get(
                "deliveries", self.list_deliveries, "Its deliveries, the newest first.", "Delivery"
            ),
            _get(
                "attempts", self.list_attempts, "Attempts to deliver, the newest first.", "Attempt"
            ),
            _get("stats", self.stats, "Its figures.", "WebhookStats"),
        ]


def _post(
    action: str, handler: Handler, summary: str, response: Schema, *, status: int = 200
) -> Route:
    scope = "deliveries:write" if action == "test" else "webhooks:write"
    return Route(
        method="POST",
        path=f"{_PATH}/{action}",
        handler=handler,
        summary=summary,
        operation=f"{action.replace('-', '_')}_webhook",
        tag="webhooks",
        permission=scope,
        status=status,
        response=response,
        errors=(IdempotencyMismatch,),
    )


def _get(what: str, handler: Handler, summary: str, schema: str) -> Route:
    fields: dict[str, Any] = {
        "deliveries": (DELIVERY_FIELDS, _DELIVERIES_SORT),
        "attempts": (ATTEMPT_FIELDS, _ATTEMPTS_SORT),
    }
    return Route(
        method="GET",
        path=f"{_PATH}/{what}",
        handler=handler,
        summary=summary,
        operation=f"webhook_{what}",
        tag="webhooks",
        permission="deliveries:read",
        parameters=list_parameters(*fields[what]) if what in fields else (),
        response=list_of(ref(schema)) if what in fields else ref(schema),
    )
