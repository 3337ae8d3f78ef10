"""What goes on now: live calls and registered phones, from memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from nizam.errors import NotFound
from nizam.http.call_schemas import REGISTRATION
from nizam.http.listing import list_parameters, list_reply
from nizam.http.memory_list import memory_fields, page_of_documents
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Route
from nizam.http.schemas import list_of, ref
from nizam.switch.live import LiveState

_CALL_FIELDS = memory_fields(
    started_at="time", answered_at="time", state="text", direction="text", node="text"
)
_REGISTRATION_FIELDS = memory_fields(
    user="text", domain="text", node="text", extension_id="text", network_ip="text"
)
_CALLS_SORT, _REGISTRATIONS_SORT = "started_at", "user"


@attrs.frozen
class Live:
    """The handlers."""

    live: LiveState

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
        found = self.live.call(call.id("call_id"))
        if found is None or found.get("tenant_id") != str(call.tenant):
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
                path=f"{TENANT}/registrations",
                handler=self.registrations,
                summary="The phones that are registered.",
                operation="list_registrations",
                tag="calls",
                permission="registrations:read",
                parameters=list_parameters(_REGISTRATION_FIELDS, _REGISTRATIONS_SORT),
                response=list_of(ref("Registration")),
            ),
        ]


def _registration(known: Mapping[str, Any]) -> dict[str, Any]:
    """What an event or the switch's own list says of a phone, which are not the same fields."""
    shown = {name: known.get(name) for name in REGISTRATION["required"]}
    user, domain, call_id = shown["user"], shown["domain"], shown["call_id"]
    return shown | {"id": f"{user}@{domain} {call_id} {shown['node']}"}
