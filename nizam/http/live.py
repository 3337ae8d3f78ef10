"""What goes on now: live calls and registered phones, from memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from nizam.errors import NotFound
from nizam.http.call_schemas import REGISTRATION
from nizam.http.history import EVENTS_SORT
from nizam.http.listing import list_parameters, list_reply
from nizam.http.memory_list import memory_fields, page_of_documents
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Route
from nizam.http.schemas import list_of, ref
from nizam.store.history import REGISTRATION_EVENT_FIELDS, list_registration_events
from nizam.store.listing import parse_listing
from nizam.store.store import Store
from nizam.switch.live import LiveState

_CALL_FIELDS = memory_fields(
    started_at="time", answered_at="time", state="text", direction="text", node="text"
)
_REGISTRATION_FIELDS = memory_fields(
    user="text",
    domain="text",
    node="text",
    extension_id="text",
    network_ip="text",
    user_agent="text",
    contact="text",
    registered_at="time",
    renewed_at="time",
    expires_at="time",
)
_CONFERENCE_FIELDS = memory_fields(
    started_at="time", number="text", name="text", conference_room_id="text", node="text"
)
_PARKED_FIELDS = memory_fields(
    parked_at="time",
    slot="text",
    number="text",
    parking_lot_id="text",
    call_id="text",
    caller_number="text",
    parked_by="text",
    node="text",
)
_PARKED_SORT = "parked_at"
_CALLS_SORT, _REGISTRATIONS_SORT = "started_at", "user"


@attrs.frozen
class Live:
    """The handlers."""

    live: LiveState
    store: Store

    async def calls(self, call: Call) -> Reply:
        """The calls under way, the oldest first."""
        return list_reply(
            page_of_documents(
                call.query,
                self.live.calls(call.tenant),
                _CALL_FIELDS,
                _CALLS_SORT,
                id_field="call_id",
                id_kind="uuid",
            )
        )

    async def call(self, call: Call) -> Reply:
        """One call under way."""
        found = self.live.call(call.id("call_id"), call.tenant)
        if found is None:
            raise NotFound("no such call is under way")
        return Reply(found)

    async def registrations(self, call: Call) -> Reply:
        """The phones that are registered."""
        return list_reply(
            page_of_documents(
                call.query,
                map(_registration, self.live.registrations(call.tenant)),
                _REGISTRATION_FIELDS,
                _REGISTRATIONS_SORT,
                id_field="id",
                id_kind="text",
            )
        )

    async def conferences(self, call: Call) -> Reply:
        """The conferences under way with their members, the oldest first."""
        return list_reply(
            page_of_documents(
                call.query,
                self.live.conferences(call.tenant),
                _CONFERENCE_FIELDS,
                _CALLS_SORT,
                id_field="conference_id",
                id_kind="uuid",
            )
        )

    async def conference(self, call: Call) -> Reply:
        """One conference under way with its members."""
        wanted = str(call.id("conference_id"))
        for found in self.live.conferences(call.tenant):
            if found["conference_id"] == wanted:
                return Reply(found)
        raise NotFound("no such conference is under way")

    async def parked_calls(self, call: Call) -> Reply:
        """The calls that wait in parking lots, the longest first."""
        return list_reply(
            page_of_documents(
                call.query,
                self.live.parked_calls(call.tenant),
                _PARKED_FIELDS,
                _PARKED_SORT,
                id_field="leg_id",
                id_kind="uuid",
            )
        )

    async def registration_history(self, call: Call) -> Reply:
        """Which phones signed in and out, failed to, or were lost, and why; the newest first. A
        phone that renews its registration is not told again."""
        tenant = call.tenant
        listing = parse_listing(call.query, REGISTRATION_EVENT_FIELDS, EVENTS_SORT, id_kind="text")
        return list_reply(
            await self.store.read(lambda pool: list_registration_events(pool, tenant, listing))
        )

    def routes(self) -> list[Route]:
        """The routes of this file."""
        return [
            Route(
                method="GET",
                path=f"{TENANT}/calls",
                handler=self.calls,
                summary="The calls under way.",
                operation="list_calls",
                tag="calls",
                permission="calls:read",
                parameters=list_parameters(_CALL_FIELDS, _CALLS_SORT),
                response=list_of(ref("LiveCall")),
            ),
            Route(
                method="GET",
                path=f"{TENANT}/calls/{{call_id}}",
                handler=self.call,
                summary="One call under way.",
                operation="get_call",
                tag="calls",
                permission="calls:read",
                response=ref("LiveCall"),
            ),
            Route(
                method="GET",
                path=f"{TENANT}/conferences",
                handler=self.conferences,
                summary="The conferences under way.",
                operation="list_conferences",
                tag="calls",
                permission="calls:read",
                parameters=list_parameters(_CONFERENCE_FIELDS, _CALLS_SORT),
                response=list_of(ref("Conference")),
            ),
            Route(
                method="GET",
                path=f"{TENANT}/conferences/{{conference_id}}",
                handler=self.conference,
                summary="One conference under way.",
                operation="get_conference",
                tag="calls",
                permission="calls:read",
                response=ref("Conference"),
            ),
            Route(
                method="GET",
                path=f"{TENANT}/parked-calls",
                handler=self.parked_calls,
                summary="The calls that wait in parking lots.",
                operation="list_parked_calls",
                tag="calls",
                permission="calls:read",
                parameters=list_parameters(_PARKED_FIELDS, _PARKED_SORT),
                response=list_of(ref("ParkedCall")),
            ),
            Route(
                method="GET",
                path=f"{TENANT}/registrations",
                handler=self.registrations,
                summary="The phones that are registered.",
                operation="list_registrations",
                tag="calls",
                permission="registrations:read",
                parameters=list_parameters(_REGISTRATION_FIELDS, _REGISTRATIONS_SORT),
                response=list_of(ref("Registration")),
            ),
            Route(
                method="GET",
                path=f"{TENANT}/registrations/history",
                handler=self.registration_history,
                summary="Which phones signed in and out, or were lost, the newest first.",
                operation="list_registration_history",
                tag="calls",
                permission="registrations:read",
                parameters=list_parameters(REGISTRATION_EVENT_FIELDS, EVENTS_SORT),
                response=list_of(ref("Event")),
            ),
        ]


def _registration(known: Mapping[str, Any]) -> dict[str, Any]:
    """What an event or the switch's own list says of a phone, which are not the same fields."""
    shown = {name: known.get(name) for name in REGISTRATION["required"]}
    user, domain, call_id = shown["user"], shown["domain"], shown["call_id"]
    return shown | {"id": f"{user}@{domain} {call_id} {shown['node']}"}
