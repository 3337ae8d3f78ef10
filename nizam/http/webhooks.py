"""What can be done with a webhook beside changing it, and what became of its deliveries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import attrs
from pydantic import AwareDatetime, Field
from twisted.logger import Logger

from nizam.errors import IdempotencyMismatch, KeyValueUnavailable
from nizam.http.body import validate
from nizam.http.changes import change_context
from nizam.http.crud import shown
from nizam.http.history import EVENT
from nizam.http.listing import list_parameters, list_reply
from nizam.http.openapi import model_schema
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Handler, Route, Schema
from nizam.http.schema_parts import count, identifier, list_of, object_of, ref, text
from nizam.model.base import Value
from nizam.model.events import Event
from nizam.model.identifiers import new_id
from nizam.model.registry import resource
from nizam.store import deliveries
from nizam.store.history import (
    ATTEMPT_FIELDS,
    DELIVERY_FIELDS,
    get_call_event,
    list_attempts,
    list_deliveries,
)
from nizam.store.listing import parse_listing
from nizam.store.store import Store
from nizam.store.system.webhook_test import write_test
from nizam.store.unit_of_work import UnitOfWork
from nizam.webhooks.queue import DeliveryQueue

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
_COUNT: Schema = {
    "title": "DeliveriesQueued",
    **object_of(
        "How much is sent again.",
        deliveries=count("How many deliveries were put into the queue.", 3),
    ),
}


class Replay(Value):
    """Which ended deliveries to send again: these, those of a time, or all that are dead."""

    delivery_ids: Annotated[tuple[UUID, ...], Field(max_length=1000)] | None = None
    """These deliveries."""
    since: AwareDatetime | None = None
    """Those of events since then."""
    until: AwareDatetime | None = None
    """Those of events until then."""
    statuses: Annotated[
        tuple[Literal["dead", "succeeded"], ...], Field(min_length=1, max_length=2)
    ] = ("dead",)
    """Those that ended so."""


@attrs.frozen
class Webhooks:
    """The handlers. `queue` hears of deliveries after the commit; if it is away, a sweep of
    PostgreSQL finds them."""

    store: Store
    queue: DeliveryQueue

    _log = Logger()

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

        return await self._queueing(call, work)

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

        return await self._queueing(call, work)

    async def replay(self, call: Call) -> Reply:
        """Send ended deliveries again."""
        wanted = validate(Replay, call.json() if call.raw_body.strip() else {})
        await self._exists(call)

        async def work(unit: UnitOfWork, queued: deliveries.Pairs) -> Reply:
            queued += await deliveries.replay(
                unit.transaction,
                call.id(),
                delivery_ids=wanted.delivery_ids,
                since=wanted.since,
                until=wanted.until,
                statuses=wanted.statuses,
            )
            asked = wanted.model_dump(mode="json", exclude_none=True)
            unit.note("replayed", "webhook", call.id(), after={**asked, "deliveries": len(queued)})
            return Reply({"deliveries": len(queued)}, 202)

        return await self._queueing(call, work)

    async def redispatch(self, call: Call) -> Reply:
        """Send an event to every webhook that wants it, also to those that had it before."""
        call.no_body()
        event = await get_call_event(self.store.primary, call.tenant, call.path["id"])
        occurred_at = datetime.fromisoformat(event["occurred_at"])

        async def work(unit: UnitOfWork, queued: deliveries.Pairs) -> Reply:
            queued += await deliveries.redispatch(unit.transaction, event["id"], occurred_at)
            done = {"event_id": event["id"], "deliveries": len(queued)}
            unit.note("redispatched", "call_event", None, after=done)
            return Reply({"deliveries": len(queued)}, 202)

        return await self._queueing(call, work)

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

    async def _queueing(
        self, call: Call, work: Callable[[UnitOfWork, deliveries.Pairs], Awaitable[Reply]]
    ) -> Reply:
        """Run `work`, which adds the deliveries it makes pending to a list; queue them."""
        queued: deliveries.Pairs = []
        reply = await self.store.write(
            call.tenant, change_context(call), lambda unit: work(unit, queued)
        )
        try:
            await self.queue.push(queued)
        except KeyValueUnavailable as error:
            self._log.warn("deliveries wait for the next sweep: {reason}", reason=error.detail)
        return reply

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
            attrs.evolve(
                _post("replay", self.replay, "Send ended deliveries again.", _COUNT, status=202),
                request=model_schema(Replay),
                request_example={"statuses": ["dead"]},
                request_required=False,
            ),
            _get(
                "deliveries", self.list_deliveries, "Its deliveries, the newest first.", "Delivery"
            ),
            _get(
                "attempts", self.list_attempts, "Attempts to deliver, the newest first.", "Attempt"
            ),
            _get("stats", self.stats, "Its figures.", "WebhookStats"),
            Route(
                method="POST",
                path=f"{TENANT}/call-events/{{id}}/redispatch",
                handler=self.redispatch,
                summary="Send an event to webhooks again.",
                operation="redispatch_call_event",
                parameters=(EVENT,),
                tag="calls",
                permission="deliveries:write",
                status=202,
                response=_COUNT,
                errors=(IdempotencyMismatch,),
            ),
        ]


def _post(
    action: str, handler: Handler, summary: str, response: Schema, *, status: int = 200
) -> Route:
    scope = "deliveries:write" if action in ("replay", "test") else "webhooks:write"
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
