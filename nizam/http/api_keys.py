"""API keys: as every resource, but nobody hands out more than they have themselves."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from nizam.http.auth import require_covers, require_within_limits
from nizam.http.crud import Crud
from nizam.http.reply import Reply
from nizam.http.route import Call
from nizam.model.api_key import ApiKey
from nizam.model.base import Body


@attrs.frozen
class ApiKeys(Crud):
    """The handlers; `forget` makes this instance look keys up again at once."""

    forget: Callable[[], None]

    def accept(self, call: Call, body: Body) -> None:
        """Refuse scopes that the asking key does not have, and limits wider than its own."""
        if isinstance(body, ApiKey):
            require_covers(call.principal, body.scopes)
            require_within_limits(call.principal, body.expires_at, body.allowed_cidrs)

    async def replace(self, call: Call) -> Reply:
        """As for every resource; it holds from now on."""
        reply = await Crud.replace(self, call)
        self.forget()
        return reply

    async def patch(self, call: Call) -> Reply:
        """As for every resource; it holds from now on."""
        reply = await Crud.patch(self, call)
        self.forget()
        return reply

    async def delete(self, call: Call) -> Reply:
        """As for every resource; the key is refused from now on."""
        reply = await Crud.delete(self, call)
        self.forget()
        return reply
