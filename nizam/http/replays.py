"""Sending again what was delivered or given up, and giving up what waits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import attrs
from pydantic import AwareDatetime, Field

from nizam.errors import Conflict, IdempotencyMismatch
from nizam.http.body import validate
from nizam.http.history import EVENT
from nizam.http.listing import list_parameters, list_reply
from nizam.http.openapi import model_schema
from nizam.http.queueing import Queueing
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Handler, Route, Schema
from nizam.http.schema_parts import (
    array,
    count,
    identifier,
    list_of,
    object_of,
    or_null,
    text,
    time,
    words,
)
from nizam.model.base import Value
from nizam.model.registry import resource
from nizam.store import deliveries, replays
from nizam.store.history import REPLAY_FIELDS, get_call_event, list_replays
from nizam.store.listing import parse_listing
from nizam.store.unit_of_work import UnitOfWork

_SORT = "-created_at"
_PATH = f"{TENANT}/webhooks/{{id}}"
PURGED_AT_ONCE = 5000
REPLAY: Schema = {
    "title": "Replay",
    **object_of(
        "Deliveries that are sent again, a second's worth at a time.",
        id=identifier("Its id."),
        webhook_id=identifier("The webhook."),
        status=words("How far it is.", "running", "done", "cancelled"),
        statuses=array(text("A status.", "dead"), "Deliveries that had ended so."),
        since=or_null(time("Those made since then.")),
        until=time("Those made before then."),
        rate_per_second=count("How many a second.", 100),
        total=count(f"How many there were at its beginning; {replays.COUNTED} is that or more."),
        replayed=count("How many have been put into the queue so far."),
        created_at=time("When it was begun."),
        ended_at=or_null(time("When it ended.")),
    ),
}
_QUEUED: Schema = {
    "title": "DeliveriesQueued",
    **object_of(
        "How much is sent again.",
        deliveries=count(
            "How many deliveries are sent again: put into the queue, or to be by the replay.", 3
        ),
        replay_id=or_null(identifier("The replay that does it; null where none was needed.")),
    ),
}
_COUNT: Schema = {
    "title": "DeliveriesRedispatched",
    **object_of(
        "How much is sent again.",
        deliveries=count("How many deliveries were put into the queue.", 3),
    ),
}
_PURGED: Schema = {
    "title": "DeliveriesPurged",
    **object_of(
        "What was given up or removed.",
        deliveries=count("How many deliveries.", 3),
        more={"type": "boolean", "description": "Whether there are more: ask again."},
    ),
}
_CANCELLED: Schema = {
    "title": "ReplayCancelled",
    **object_of(
        "Whether a replay was under way.",
        cancelled={"type": "boolean", "description": "False when there was none."},
    ),
}


class ReplayWanted(Value):
    """Which ended deliveries to send again: these, those of a time, or all that are dead."""

    delivery_ids: Annotated[tuple[UUID, ...], Field(max_length=1000)] | None = None
    """These deliveries, at once."""
    since: AwareDatetime | None = None
    """Those made since then."""
    until: AwareDatetime | None = None
    """Those made before then."""
    statuses: Annotated[
        tuple[Literal["dead", "succeeded"], ...], Field(min_length=1, max_length=2)
    ] = ("dead",)
    """Those that ended so."""
    rate_per_second: Annotated[int, Field(ge=1, le=2000)] = 100
    """How many a second, unless `delivery_ids` names them."""


class Purge(Value):
    """What to give up."""

    what: Literal["waiting", "dead"]
    """waiting: give up what waits to be delivered, which leaves it dead; dead: remove what was
    given up, with its attempts, for good."""


@attrs.frozen
class Replays:
    """The handlers."""

    queueing: Queueing

    async def replay(self, call: Call) -> Reply:
        """Send ended deliveries again. All but those named one by one are sent at a rate, by a
        replay that goes on by itself; a webhook has one replay at a time."""
        wanted = validate(ReplayWanted, call.json() if call.raw_body.strip() else {})
        await self._exists(call)

        async def work(unit: UnitOfWork, queued: deliveries.Pairs) -> Reply:
            asked = wanted.model_dump(mode="json", exclude_none=True)
            replay_id, total = None, 0
            if wanted.delivery_ids is not None:
                queued += await replays.replay_these(
                    unit.transaction, call.id(), wanted.delivery_ids, wanted.statuses
                )
                total = len(queued)
            else:
                begun = await replays.begin(
                    unit.transaction,
                    call.tenant,
                    call.id(),
                    since=wanted.since,
                    until=min(wanted.until or _now(), _now()),
                    statuses=wanted.statuses,
                    rate=wanted.rate_per_second,
                )
                if begun is None:
                    raise Conflict("a replay of this webhook is under way: wait, or cancel it")
                replay_id, total, pairs = begun
                queued += pairs
            unit.note("replayed", "webhook", call.id(), after={**asked, "deliveries": total})
            return Reply({"deliveries": total, "replay_id": replay_id}, 202)

        return await self.queueing.run(call, work)

    async def cancel(self, call: Call) -> Reply:
        """End the replay that is under way. What it has put into the queue is delivered."""
        call.no_body()
        await self._exists(call)

        async def work(unit: UnitOfWork, _: deliveries.Pairs) -> Reply:
            cancelled = await replays.cancel(unit.transaction, call.id())
            if cancelled:
                unit.note("replay_cancelled", "webhook", call.id())
            return Reply({"cancelled": cancelled})

        return await self.queueing.run(call, work)

    async def list_replays(self, call: Call) -> Reply:
        """Replays of one webhook, the newest first."""
        listing = parse_listing(call.query, REPLAY_FIELDS, _SORT)
        await self._exists(call)
        store = self.queueing.store
        return list_reply(await list_replays(store.primary, call.tenant, call.id(), listing))

    async def purge(self, call: Call) -> Reply:
        """Give up what waits, or remove what was given up: some thousands at a time."""
        wanted = validate(Purge, call.json())
        await self._exists(call)

        async def work(unit: UnitOfWork, _: deliveries.Pairs) -> Reply:
            done = await deliveries.purge(unit.transaction, call.id(), wanted.what, PURGED_AT_ONCE)
            unit.note(
                "purged", "webhook", call.id(), after={"what": wanted.what, "deliveries": done}
            )
            return Reply({"deliveries": done, "more": done == PURGED_AT_ONCE})

        return await self.queueing.run(call, work)

    async def redispatch(self, call: Call) -> Reply:
        """Send an event to every webhook that wants it, also to those that had it before."""
        call.no_body()
        event = await get_call_event(self.queueing.store.primary, call.tenant, call.path["id"])
        occurred_at = datetime.fromisoformat(event["occurred_at"])

        async def work(unit: UnitOfWork, queued: deliveries.Pairs) -> Reply:
            queued += await deliveries.redispatch(unit.transaction, event["id"], occurred_at)
            done = {"event_id": event["id"], "deliveries": len(queued)}
            unit.note("redispatched", "call_event", None, after=done)
            return Reply({"deliveries": len(queued)}, 202)

        return await self.queueing.run(call, work)

    async def _exists(self, call: Call) -> None:
        await self.queueing.store.get(resource("webhook"), call.tenant, call.id())

    def routes(self) -> list[Route]:
        """The routes of this file."""
        return [
            _post(
                "replay",
                self.replay,
                "Send ended deliveries again.",
                _QUEUED,
                status=202,
                request=model_schema(ReplayWanted),
                request_example={"statuses": ["dead"], "rate_per_second": 100},
                request_required=False,
                errors=(Conflict, IdempotencyMismatch),
            ),
            _post("cancel-replay", self.cancel, "End the replay that is under way.", _CANCELLED),
            _post(
                "purge",
                self.purge,
                "Give up what waits, or remove what was given up.",
                _PURGED,
                request=model_schema(Purge),
                request_example={"what": "dead"},
            ),
            Route(
                method="GET",
                path=f"{_PATH}/replays",
                handler=self.list_replays,
                summary="Its replays, the newest first.",
                operation="webhook_replays",
                tag="webhooks",
                permission="deliveries:read",
                parameters=list_parameters(REPLAY_FIELDS, _SORT),
                response=list_of(REPLAY),
            ),
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


def _post(action: str, handler: Handler, summary: str, response: Schema, **more: Any) -> Route:
    given: dict[str, Any] = {
        "method": "POST",
        "path": f"{_PATH}/{action}",
        "handler": handler,
        "summary": summary,
        "operation": f"{action.replace('-', '_')}_webhook",
        "tag": "webhooks",
        "permission": "deliveries:write",
        "response": response,
        "errors": (IdempotencyMismatch,),
    }
    return Route(**{**given, **more})


def _now() -> datetime:
    return datetime.now(UTC)
