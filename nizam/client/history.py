"""What goes on and what happened in a tenant: live calls, phones, events, CDRs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import attrs

from nizam.client.actions import Document, document
from nizam.client.follow import AsyncFollowing, Following
from nizam.client.listing import Listing
from nizam.client.parameters import query_of
from nizam.client.tables import Exports
from nizam.client.transport import Transport


@attrs.frozen(eq=False)
class Documents:
    """A list that is written by NIZAM alone, below a tenant."""

    transport: Transport
    parent: Callable[[], str]
    segment: str

    def _path(self, *steps: object) -> str:
        """The path of the list or of something below it."""
        return "/".join([self.parent(), self.segment, *map(str, steps)])

    def list(
        self, *, sort: str | None = None, page_size: int | None = None, **filters: Any
    ) -> Listing[Document]:
        """Those that fit; filters and their operators are as in every list."""
        query = query_of({"sort": sort, "limit": page_size, **filters})
        return Listing(self.transport, self._path, query, document)

    def _get(self, *steps: object) -> Document:
        return document(self.transport.request("GET", self._path(*steps)).json())

    def _post(self, *steps: object, body: Any = None) -> Document:
        return document(self.transport.request("POST", self._path(*steps), body=body).json())


@attrs.frozen(eq=False)
class Registrations(Documents):
    """Phones that are registered, and those that were."""

    def history(self, *, page_size: int | None = None, **filters: Any) -> Listing[Document]:
        """The events of phones that signed in and out or were lost, the newest first; filters are
        as in `list`."""
        query = query_of({"limit": page_size, **filters})
        return Listing(self.transport, lambda: self._path("history"), query, document)


@attrs.frozen(eq=False)
class Conferences(Documents):
    """Conferences that are under way."""

    def get(self, conference_id: UUID | str) -> Document:
        """One of them, with its members."""
        return self._get(conference_id)


@attrs.frozen(eq=False)
class Cdrs(Documents, Exports):
    """Summaries of calls that have ended."""

    def get(self, call_id: UUID | str) -> Document:
        """One call with its legs."""
        return self._get(call_id)


@attrs.frozen(eq=False)
class AuditLogs(Documents, Exports):
    """Who did what in a tenant."""


@attrs.frozen(eq=False)
class CallEvents(Documents, Exports):
    """Events, as webhooks carry them."""

    def get(self, event_id: str) -> Document:
        """One event."""
        return self._get(event_id)

    def after(
        self, cursor: str, *, page_size: int | None = None, **filters: Any
    ) -> tuple[list[Document], str, bool]:
        """Events in the order in which they were stored: those after a cursor, the cursor to go on
        with, and whether there is more already.

        `cursor` may also be an event's id, `start`, or `end` for what comes from now on. Nothing
        is passed by, however late it is stored.
        """
        query = query_of({"after": cursor, "limit": page_size, **filters})
        answer = self.transport.request("GET", self._path(), query=query).json()
        return (
            [document(it) for it in answer["data"]],
            str(answer["next_cursor"]),
            bool(answer["has_more"]),
        )

    def follow(
        self,
        *,
        types: Sequence[str] = (),
        call_ids: Sequence[UUID | str] = (),
        extension_ids: Sequence[UUID | str] = (),
        queue_ids: Sequence[UUID | str] = (),
        cursor: str | None = None,
    ) -> Following:
        """Events as they happen, for ever: each once, in order, over any number of connections.

        Those after `cursor` come first, which may also be an event's id or `start`.
        """
        query = _query(_lists(types, call_ids, extension_ids, queue_ids))
        return Following(self.transport, lambda: self._path("stream"), query, cursor)

    def stream(
        self,
        *,
        types: Sequence[str] = (),
        call_ids: Sequence[UUID | str] = (),
        extension_ids: Sequence[UUID | str] = (),
        queue_ids: Sequence[UUID | str] = (),
        cursor: str | None = None,
    ) -> AsyncFollowing:
        """As `follow`, for `async for` in asyncio."""
        query = _query(_lists(types, call_ids, extension_ids, queue_ids))
        return AsyncFollowing(self.transport, lambda: self._path("stream"), query, cursor)

    def issue_ticket(
        self,
        *,
        types: Sequence[str] = (),
        call_ids: Sequence[UUID | str] = (),
        extension_ids: Sequence[UUID | str] = (),
        queue_ids: Sequence[UUID | str] = (),
    ) -> str:
        """A ticket with which a browser opens one stream within a minute, as `?ticket=`, that
        shows these events and no others."""
        lists = _lists(types, call_ids, extension_ids, queue_ids)
        body = {name: [str(it) for it in values] for name, values in lists.items()}
        path = f"{self.parent()}/stream-tickets"
        return str(self.transport.request("POST", path, body=body).json()["ticket"])

    def redispatch(self, event_id: str) -> int:
        """Send an event to every webhook that wants it, once more; to how many."""
        return int(self._post(event_id, "redispatch")["deliveries"])


def _lists(
    types: Sequence[str],
    call_ids: Sequence[UUID | str],
    extension_ids: Sequence[UUID | str],
    queue_ids: Sequence[UUID | str],
) -> dict[str, Sequence[UUID | str]]:
    """Those that are given, by their names."""
    lists: dict[str, Sequence[UUID | str]] = {
        "types": types,
        "call_ids": call_ids,
        "extension_ids": extension_ids,
        "queue_ids": queue_ids,
    }
    return {name: it for name, it in lists.items() if it}


def _query(lists: Mapping[str, Sequence[UUID | str]]) -> list[tuple[str, str]]:
    return [(name, ",".join(map(str, it))) for name, it in lists.items()]
