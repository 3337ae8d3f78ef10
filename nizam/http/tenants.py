"""The state machine of tenants: activate, suspend, terminate."""

from __future__ import annotations

import attrs

from nizam.errors import IdempotencyMismatch, InvalidTransition
from nizam.http.changes import change_context
from nizam.http.crud import shown
from nizam.http.openapi import ref
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Route
from nizam.model.tenant import TRANSITIONS
from nizam.store.store import Store


@attrs.frozen
class Tenants:
    """The handlers."""

    store: Store

    async def move(self, call: Call) -> Reply:
        """Take the step that the last segment of the path names."""
        call.no_body()
        command = call.route.path.rpartition("/")[2]

        return await self.store.transition(call.tenant, command, change_context(call), shown)

    def routes(self) -> list[Route]:
        """The routes of this file."""
        return [
            Route(
                method="POST",
                path=f"{TENANT}/{command}",
                handler=self.move,
                summary=f"{command.capitalize()} a tenant that is {' or '.join(steps)}.",
                operation=f"{command}_tenant",
                tag="tenants",
                access="platform",
                permission="tenants:write",
                response=ref("Tenant"),
                errors=(InvalidTransition, IdempotencyMismatch),
            )
            for command, steps in TRANSITIONS.items()
        ]
