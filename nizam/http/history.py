"""What happened: call events, the trace of a call, CDRs."""

from __future__ import annotations

import attrs

from nizam.errors import FieldError, NotFound, ValidationFailed
from nizam.http.call_schemas import EVENT_ID
from nizam.http.listing import list_parameters, list_reply
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Parameter, Route
from nizam.http.schemas import list_of, ref
from nizam.store.cdr_detail import get_cdr
from nizam.store.cdr_history import CDR_FIELDS, list_cdrs
from nizam.store.following import follow_call_events, place_of
from nizam.store.history import (
    CALL_EVENT_FIELDS,
    call_decisions,
    call_trace,
    get_call_event,
    list_call_events,
)
from nizam.store.listing import parse_listing
from nizam.store.store import Store

EVENT = Parameter(name="id", about="The id of the event.", schema=EVENT_ID, where="path")
AFTER = Parameter(
    name="after",
    about=(
        "Go on after a place in the log, in the order in which events were stored: next_cursor of"
        " an answer to a request with after, the id of an event, start, or end for what comes from"
        " now on. next_cursor is always given then. Not with sort or cursor."
    ),
    schema={"type": "string", "minLength": 1, "maxLength": 100},
)
EVENTS_SORT = "-occurred_at"
CDRS_SORT = "-started_at"


@attrs.frozen
class History:
    """The handlers."""

    store: Store

    async def list_events(self, call: Call) -> Reply:
        """Events, the newest first, or with `after` in the order in which they were stored.

        `after` is for whoever must miss nothing: an event may be stored after others that happened
        later, and lists by time pass it by then.
        """
        after = [value for name, value in call.query if name == "after"]
        if after:
            return await self._follow(call, after)
        listing = parse_listing(call.query, CALL_EVENT_FIELDS, EVENTS_SORT, id_kind="text")
        tenant = call.tenant
        return list_reply(
            await self.store.read(lambda pool: list_call_events(pool, tenant, listing))
        )

    async def _follow(self, call: Call, after: list[str]) -> Reply:
        errors = [
            FieldError(name, "unknown_parameter", "does not go with after")
            for name, _ in call.query
            if name in ("sort", "cursor")
        ]
        if len(after) > 1:
            errors.append(FieldError("after", "duplicate", "stands twice"))
        if errors:
            raise ValidationFailed("wrong parameters", errors=errors)
        only_here = frozenset({"after"})
        listing = parse_listing(
            call.query, CALL_EVENT_FIELDS, EVENTS_SORT, id_kind="text", extra=only_here
        )
        pool, tenant = self.store.primary, call.tenant
        place = await place_of(pool, tenant, after[0])
        found = await follow_call_events(pool, tenant, place, listing)
        return list_reply(found.page, more=found.more)

    async def get_event(self, call: Call) -> Reply:
        """One event."""
        tenant, event_id = call.tenant, call.path["id"]
        return Reply(await get_call_event(self.store.primary, tenant, event_id))

    async def trace(self, call: Call) -> Reply:
        """Every event of one call."""
        tenant, call_id = call.tenant, call.id("call_id")
        events = await call_trace(self.store.primary, tenant, call_id)
        if not events:
            raise NotFound
        return Reply({"call_id": call_id, "events": events})

    async def explain(self, call: Call) -> Reply:
        """Why one call went where it went."""
        tenant, call_id = call.tenant, call.id("call_id")
        found = await call_decisions(self.store.primary, tenant, call_id)
        if not found:
            raise NotFound("nothing is kept of how this call was routed")
        return Reply({"call_id": call_id, "decisions": found})

    async def list_cdrs(self, call: Call) -> Reply:
        """Summaries of calls, the newest first."""
        listing = parse_listing(call.query, CDR_FIELDS, CDRS_SORT)
        tenant = call.tenant
        return list_reply(await self.store.read(lambda pool: list_cdrs(pool, tenant, listing)))

    async def get_cdr(self, call: Call) -> Reply:
        """One call with its legs."""
        tenant, call_id = call.tenant, call.id("call_id")
        return Reply(await get_cdr(self.store.primary, tenant, call_id))

    def routes(self) -> list[Route]:
        """The routes of this file."""
        return [
            Route(
                method="GET",
                path=f"{TENANT}/call-events",
                handler=self.list_events,
                summary="What happened, the newest first.",
                operation="list_call_events",
                tag="calls",
                permission="call_events:read",
                parameters=(*list_parameters(CALL_EVENT_FIELDS, EVENTS_SORT), AFTER),
                response=list_of(ref("Event")),
            ),
            Route(
                method="GET",
                path=f"{TENANT}/call-events/{{id}}",
                handler=self.get_event,
                summary="One event.",
                operation="get_call_event",
                tag="calls",
                permission="call_events:read",
                parameters=(EVENT,),
                response=ref("Event"),
            ),
            Route(
                method="GET",
                path=f"{TENANT}/calls/{{call_id}}/trace",
                handler=self.trace,
                summary="Every event of one call, in order.",
                operation="trace_call",
                tag="calls",
                permission="call_events:read",
                response=ref("CallTrace"),
            ),
            Route(
                method="GET",
                path=f"{TENANT}/calls/{{call_id}}/explain",
                handler=self.explain,
                summary="Why one call went where it went, also a past one.",
                operation="explain_call",
                tag="calls",
                permission="routing:explain",
                response=ref("CallExplanation"),
            ),
            Route(
                method="GET",
                path=f"{TENANT}/cdrs",
                handler=self.list_cdrs,
                summary="Summaries of calls, the newest first.",
                operation="list_cdrs",
                tag="calls",
                permission="cdrs:read",
                parameters=list_parameters(CDR_FIELDS, CDRS_SORT),
                response=list_of(ref("Cdr")),
            ),
            Route(
                method="GET",
                path=f"{TENANT}/cdrs/{{call_id}}",
                handler=self.get_cdr,
                summary="One call with its legs, and why it went where it went.",
                operation="get_cdr",
                tag="calls",
                permission="cdrs:read",
                response=ref("CdrWithLegs"),
            ),
        ]
