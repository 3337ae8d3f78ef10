"""Streams of events: what is asked of one, where it begins, and tickets for it."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import attrs

from nizam.errors import (
    BadRequest,
    Conflict,
    FieldError,
    KeyValueUnavailable,
    NotFound,
    PageNotAllowed,
    StreamsFull,
    UnknownField,
    UpgradeRequired,
    ValidationFailed,
)
from nizam.http.auth import holder_of
from nizam.http.cors import may_use_session
from nizam.http.reply import Reply
from nizam.http.route import BASE, TENANT, Call, Parameter, Route
from nizam.http.stream_access import StreamAccess
from nizam.http.stream_answers import SseAnswer, WebSocketAnswer, check_handshake
from nizam.http.stream_tickets import STREAM_PERMISSION, StreamTickets, TicketRecord
from nizam.realtime.filters import FIELDS, MOST_VALUES, Filter, from_query, parse_filter
from nizam.realtime.streams import Streams
from nizam.store.following import FROM_END, FROM_START, place_of
from nizam.store.store import Store
from nizam.store.system.event_log import CURSOR_PREFIX, START, log_end, read_cursor

OPENED_PER_MINUTE: Final = 6000
"""By each key or user: all of its clients come back when an instance restarts."""

_OPTIONS: Final = frozenset({"ticket", "cursor", "tenant_id", *FIELDS})
_ABOUT_LISTS: Final = {
    "types": "Types of events, families such as `call.*`, or `*`; several with commas between.",
    "call_ids": "Only events of these calls.",
    "extension_ids": "Only events about these extensions.",
    "queue_ids": "Only events about these queues.",
}
_PARAMETERS: Final = (
    *(Parameter(name=name, about=about) for name, about in _ABOUT_LISTS.items()),
    Parameter(
        name="cursor",
        about="Send first what came after this: a cursor, the id of an event, `start`, or `end`, "
        "which is what happens without it.",
    ),
    Parameter(name="ticket", about="A ticket instead of a key, for browsers."),
)
_TICKET_FIELDS: Final[dict[str, Any]] = {
    name: {
        "type": "array",
        "items": {"type": "string"},
        "maxItems": MOST_VALUES,
        "description": about,
    }
    for name, about in _ABOUT_LISTS.items()
}


@attrs.frozen
class Realtime:
    """The handlers. Without `streams`, on an instance that has not the role, only tickets are
    made."""

    store: Store
    access: StreamAccess
    tickets: StreamTickets
    streams: Streams | None
    origins: frozenset[str]

    async def websocket(self, call: Call) -> Reply:
        """Messages are JSON objects with a `type`; docs/realtime.md describes them.

        Without parameters of a subscription the stream is silent until the client subscribes.
        """
        first = _wanted(call)
        tenant_id = _tenant(call)
        await self.access.require(call.principal, tenant_id)
        self._check_page(call)
        position = await self._begin(call, tenant_id)
        if first is None and position is not None:
            first = Filter()
        check_handshake(call)
        streams = self._streams()
        await streams.admit(tenant_id)
        return Reply(
            None,
            101,
            lasting=WebSocketAnswer(streams, self.place, call, tenant_id, first, position),
        )

    async def events(self, call: Call) -> Reply:
        """Server-sent events: the data of each is an event, its id the cursor after it. A browser
        sends that by itself when it connects again, as `Last-Event-ID`; an event's id does too."""
        first = _wanted(call) or Filter()
        await self.access.require(call.principal, call.tenant)
        self._check_page(call)
        position = await self._begin(call, call.tenant)
        streams = self._streams()
        await streams.admit(call.tenant)
        lasting = SseAnswer(streams, call, first, position)
        headers = (("X-Accel-Buffering", "no"),)
        return Reply(None, 200, headers, content_type="text/event-stream", lasting=lasting)

    async def ticket(self, call: Call) -> Reply:
        """A ticket opens one stream within a minute, with no more than the rights of whoever made
        it, and shows only what the fields of the body say. It goes into the URL, as `?ticket=`."""
        await self.access.require(call.principal, call.tenant)
        given = call.json() if call.raw_body.strip() else {}
        unknown = [
            FieldError(_pointer(it), "unknown_field", "there is no such field")
            for it in sorted(given.keys() - FIELDS.keys())
        ]
        if unknown:
            raise UnknownField("fields that there are not", errors=unknown)
        within, errors = parse_filter(given)
        if errors:
            raise ValidationFailed("what the ticket shows", errors=errors)
        holder = holder_of(call.principal, None)
        record = TicketRecord(
            kind=holder.kind, digest=holder.digest, tenant_id=call.tenant, within=within
        )
        text, expires_at = await self.tickets.issue(record)
        return Reply({"ticket": text, "expires_at": expires_at, **within.shown()}, 201)

    # -- parts ------------------------------------------------------------------------------------

    def _streams(self) -> Streams:
        if self.streams is None:
            raise StreamsFull("this instance has not the role realtime")
        return self.streams

    def _check_page(self, call: Call) -> None:
        """Refuse pages of other sites, whose requests carry the session of their visitor."""
        sign_in, origin = call.principal.sign_in, call.header("origin")
        if sign_in is None or sign_in.kind != "session" or call.principal.ticket is not None:
            return
        if origin is None and call.header("upgrade") is None:
            # A browser sends none with an EventSource of the same site.
            return
        if origin is not None and may_use_session(origin, call.header("host"), self.origins):
            return
        raise PageNotAllowed(f"pages of {str(origin)[:200]} may not open a stream with a session")

    async def _begin(self, call: Call, tenant_id: UUID | None) -> int | None:
        """Where the stream begins, if it is said."""
        cursor = call.header("last-event-id") or dict(call.query).get("cursor")
        return None if cursor is None else await self.place(tenant_id, cursor)

    async def place(self, tenant_id: UUID | None, cursor: str) -> int:
        """The position that a client means; ValidationFailed for one that the log has not reached:
        it is of another installation."""
        pool = self.store.primary
        if cursor.startswith(CURSOR_PREFIX):
            position = read_cursor(cursor)
            # Hundreds come back at once: most need not be looked up.
            if self.streams is not None and position <= self.streams.reached:
                return position
        end = await log_end(pool)
        if cursor == FROM_END:
            return end
        if tenant_id is not None:
            position = await place_of(pool, tenant_id, cursor)
        else:
            position = START if cursor == FROM_START else read_cursor(cursor)
        if position > end:
            wrong = FieldError("cursor", "not_reached", "the log ends before this cursor")
            raise ValidationFailed("the cursor is of another installation", errors=[wrong])
        return position

    def routes(self) -> list[Route]:
        """The routes of this file."""
        return [
            Route(
                method="GET",
                path=f"{BASE}/stream",
                handler=self.websocket,
                summary="Events as they happen, over WebSocket.",
                operation="open_websocket",
                tag="realtime",
                access="members",
                permission=STREAM_PERMISSION,
                status=101,
                parameters=(
                    Parameter(
                        name="tenant_id",
                        about="The tenant, where the key does not say it. The platform's keys see "
                        "every tenant, and the platform's own events, without it.",
                        schema={"type": "string", "format": "uuid"},
                    ),
                    *_PARAMETERS,
                ),
                errors=(UpgradeRequired, BadRequest, *_ERRORS),
                own_limit=OPENED_PER_MINUTE,
                takes_ticket=True,
            ),
            Route(
                method="GET",
                path=f"{TENANT}/call-events/stream",
                handler=self.events,
                summary="Events as they happen, as server-sent events.",
                operation="stream_call_events",
                tag="realtime",
                permission=STREAM_PERMISSION,
                response={"type": "string"},
                response_example='id: pos_000000000000126f\ndata: {"type": "call.answered"}\n\n',
                media_type="text/event-stream",
                parameters=(
                    *_PARAMETERS,
                    Parameter(
                        name="Last-Event-ID",
                        about="As `cursor`, before which it goes; browsers send it by themselves.",
                        where="header",
                    ),
                ),
                errors=_ERRORS,
                own_limit=OPENED_PER_MINUTE,
                takes_ticket=True,
            ),
            Route(
                method="POST",
                path=f"{TENANT}/stream-tickets",
                handler=self.ticket,
                summary="A ticket with which a browser opens a stream.",
                operation="issue_stream_ticket",
                tag="realtime",
                permission=STREAM_PERMISSION,
                status=201,
                request={
                    "type": "object",
                    "properties": _TICKET_FIELDS,
                    "additionalProperties": False,
                },
                request_example={"types": ["call.*"]},
                request_required=False,
                response={
                    "type": "object",
                    "properties": {
                        "ticket": {
                            "type": "string",
                            "pattern": "^nzk_",
                            "examples": [f"nzk_{'x' * 43}"],
                            "description": "For the URL of one stream: `?ticket=`.",
                        },
                        "expires_at": {
                            "type": "string",
                            "format": "date-time",
                            "description": "Until when it opens a stream.",
                        },
                        **_TICKET_FIELDS,
                    },
                    "required": ["ticket", "expires_at"],
                },
                errors=(ValidationFailed, UnknownField, Conflict, KeyValueUnavailable),
            ),
        ]


_ERRORS: Final = (ValidationFailed, Conflict, PageNotAllowed, NotFound, StreamsFull)


def _wanted(call: Call) -> Filter | None:
    """The subscription of the query, if there is one; ValidationFailed names all that is wrong."""
    errors = [
        FieldError(name, "unknown_parameter", "there is no such parameter")
        for name in sorted({name for name, _ in call.query} - _OPTIONS)
    ]
    named = dict(call.query).get("tenant_id")
    if named is not None and (not _is_uuid(named) or call.tenant_id is not None):
        errors.append(FieldError("tenant_id", "not_valid", "the id of a tenant, of a WebSocket"))
    given = from_query(call.query)
    wanted, wrong = parse_filter(given)
    errors += [attrs.evolve(it, path=it.path.lstrip("/")) for it in wrong]
    if errors:
        raise ValidationFailed("the query", errors=errors)
    return wanted if given else None


def _tenant(call: Call) -> UUID | None:
    """The tenant that the query names, or else whose the credentials are; None is all of them."""
    named = dict(call.query).get("tenant_id")
    if named is not None:
        return UUID(named)
    if call.principal.platform:
        return None
    if call.principal.home is None:
        wrong = FieldError("tenant_id", "required", "you belong to several: say which")
        raise ValidationFailed("which tenant?", errors=[wrong])
    return call.principal.home


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _pointer(name: str) -> str:
    """A field of the body as a JSON Pointer."""
    return "/" + name.replace("~", "~0").replace("/", "~1")
