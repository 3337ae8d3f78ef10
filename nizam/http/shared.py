"""The platform's resources of which a part belongs to tenants: users and API keys.

A tenant's administrators see and change what belongs to their tenant; everything else does not
exist for them. Nobody changes what may do more than they may themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import attrs

from nizam.errors import NotFound, VersionMismatch
from nizam.http.changes import change_context
from nizam.http.crud import DEFAULT_SORT, Crud, shown
from nizam.http.etag import etag, if_match, if_none_match
from nizam.http.listing import list_reply
from nizam.http.reply import Reply
from nizam.http.route import Call, Route
from nizam.model.base import Body
from nizam.store.listing import parse_listing
from nizam.store.queries import listing_fields
from nizam.store.stored import Stored

_PINNED_TRIES = 3
Reach = frozenset[UUID] | None
"""The tenants whose part somebody reaches; None is everything."""


@attrs.frozen
class Shared(Crud):
    """The handlers of one such resource; a subclass says what belongs to whom.

    `forget` makes this instance look keys and users up again at once.
    """

    forget: Callable[[], None]

    def owners(self, present: Stored) -> frozenset[UUID | None]:
        """The tenants that the object belongs to; None is the platform."""
        raise NotImplementedError

    def guard(self, call: Call, present: Stored, *, whole: bool = True) -> None:
        """Raise ScopeMissing if the object may do more than whoever wants to change it, or to
        change the `whole` of it where only a part is theirs."""
        raise NotImplementedError

    def part(self, call: Call, document: dict[str, Any]) -> dict[str, Any]:
        """What is shown of an object to whoever asks."""
        return document

    def reach(self, call: Call) -> Reach:
        """Whose objects the permission of the route reaches."""
        assert call.route.permission is not None  # noqa: S101 - every route here has one
        return call.principal.reach(call.route.permission)

    async def list_page(self, call: Call) -> Reply:
        """One page of those that belong to whoever asks."""
        listing = parse_listing(
            call.query, listing_fields(self.resource), DEFAULT_SORT, searchable=True
        )
        page = await self.store.list_shared(self.resource, listing, self.reach(call))
        rows = [self.part(call, dict(row)) for row in page.rows]
        return list_reply(attrs.evolve(page, rows=rows))

    async def get(self, call: Call) -> Reply:
        """One object."""
        found = await self.present(call)
        if if_none_match(call.header("if-none-match"), found.version):
            return Reply(None, 304, (("ETag", etag(found.version)),))
        return self._shown(call, found)

    async def delete(self, call: Call) -> Reply:
        """Delete one that may do no more than whoever deletes it."""
        versions = if_match(call.header("if-match"))
        for left in reversed(range(_PINNED_TRIES)):
            present = await self.present(call)
            self.guard(call, present)
            # Deleted is what was looked at, and not what has become of it since.
            pinned = frozenset({present.version}) & (versions or {present.version})
            try:
                await self.store.delete(
                    self.resource, None, present.id, change_context(call), versions=pinned
                )
                break
            except VersionMismatch:
                if versions is not None or not left:
                    raise
        await self.removed(present)
        self.forget()
        return Reply(None, 204)

    async def removed(self, present: Stored) -> None:
        """Called with what was deleted."""

    async def present(self, call: Call) -> Stored:
        """The object in the path; NotFound unless it belongs to whoever asks."""
        return await self.store.get_shared(self.resource, self._id(call), self.reach(call))

    def check_visible(self, call: Call, present: Stored) -> None:
        """Raise NotFound for what does not belong to whoever asks."""
        reach = self.reach(call)
        if reach is not None and not reach & self.owners(present):
            raise NotFound

    async def _update(
        self, call: Call, given: dict[str, Any], change: Callable[[Stored], Body]
    ) -> Reply:
        def guarded(present: Stored) -> Body:
            self.check_visible(call, present)
            self.guard(call, present, whole=False)
            seen = attrs.evolve(present, body=self.part(call, dict(present.body)))
            return self.admitted(call, present, change(seen))

        prepared = await self.prepared(call, guarded)
        reply = await Crud._update(self, call, given, prepared)
        self.forget()
        return attrs.evolve(reply, body=self.part(call, reply.body))

    def admitted(self, call: Call, present: Stored | None, body: Body) -> Body:
        """The body that the object is given (present None: made with) when `body` is asked for;
        raises for what whoever asks may not give."""
        raise NotImplementedError

    async def prepared(
        self, call: Call, change: Callable[[Stored], Body]
    ) -> Callable[[Stored], Body]:
        """`change`, after what has to be waited for was done."""
        return change

    def _shown(self, call: Call, it: Stored) -> Reply:
        reply = shown(it)
        return attrs.evolve(reply, body=self.part(call, reply.body))

    def routes(self) -> list[Route]:
        """The six routes, for members of tenants too."""
        return [attrs.evolve(it, access="members") for it in Crud.routes(self)]
