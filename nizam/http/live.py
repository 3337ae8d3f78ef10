"""What goes on now: live calls and registered phones, from memory."""

from __future__ import annotations

import attrs

from nizam.errors import NotFound, ValidationFailed
from nizam.http.openapi import list_of
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Route
from nizam.switch.live import LiveState

_OBJECT = {"type": "object"}


@attrs.frozen
class Live:
    """The handlers. These lists are whole: what goes on now has no pages."""

    live: LiveState

    async def calls(self, call: Call) -> Reply:
        """The calls under way, the oldest first."""
        return self._whole(call, self.live.calls(call.tenant))

    async def call(self, call: Call) -> Reply:
        """One call under way."""
        found = self.live.call(call.id("call_id"))
        if found is None or found.get("tenant_id") != str(call.tenant):
            raise NotFound("no such call is under way")
        return Reply(found)

    async def registrations(self, call: Call) -> Reply:
        """The phones that are registered."""
        return self._whole(call, self.live.registrations(call.tenant))

    def _whole(self, call: Call, documents: list[dict[str, object]]) -> Reply:
        if call.query:
            raise ValidationFailed("this list takes no parameters")
        return Reply({"data": documents, "next_cursor": None, "has_more": False})

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
                response=list_of(_OBJECT),
            ),
            Route(
                method="GET",
                path=f"{TENANT}/calls/{{call_id}}",
                handler=self.call,
                summary="One call under way.",
                operation="get_call",
                tag="calls",
                permission="calls:read",
                response=_OBJECT,
            ),
            Route(
                method="GET",
                path=f"{TENANT}/registrations",
                handler=self.registrations,
                summary="The phones that are registered.",
                operation="list_registrations",
                tag="calls",
                permission="registrations:read",
                response=list_of(_OBJECT),
            ),
        ]
