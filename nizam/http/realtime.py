"""Streams of events: who may open one, where it begins, and the two ways to read it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import attrs

from nizam.errors import (
    BadRequest,
    Conflict,
    DatabaseUnavailable,
    FieldError,
    KeyValueUnavailable,
    NizamError,
    NotFound,
    PageNotAllowed,
    StreamsFull,
    Unauthenticated,
    UnknownField,
    UpgradeRequired,
    ValidationFailed,
)
from nizam.http.auth import Authenticator, Holder, holder_of
from nizam.http.principal import Principal, require, require_tenant
from nizam.http.reply import Reply
from nizam.http.route import BASE, TENANT, Call, Parameter, Route
from nizam.http.stream_tickets import STREAM_PERMISSION, StreamTickets, TicketRecord
from nizam.model.identifiers import new_id
from nizam.model.registry import resource
from nizam.realtime.closing import Close
from nizam.realtime.filters import FIELDS, Filter, from_query, parse_filter
from nizam.realtime.session import PROTOCOL, Session
from nizam.realtime.sse import CODEC as SSE
from nizam.realtime.sse import SseConnection
from nizam.realtime.streams import Stream, Streams
from nizam.routing.snapshot import Snapshot
from nizam.store.following import FROM_END, FROM_START, place_of
from nizam.store.store import Store
from nizam.store.system.event_log import CURSOR_PREFIX, START, log_end, read_cursor

if TYPE_CHECKING:
    from nizam.realtime.websocket import StreamProtocol

OPENED_PER_MINUTE: Final = 6000
"""By each key or user: all of its clients come back when an instance restarts."""
LISTENING: Final = ("trial", "active")
"""The states of a tenant in which its streams are open."""

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
    name: {"type": "array", "items": {"type": "string"}, "maxItems": 100, "description": about}
    for name, about in _ABOUT_LISTS.items()
}


@attrs.frozen
class StreamHolder:
    """Whom a stream is for, and which tenant it shows; None is all of them."""

    credentials: Holder
    tenant_id: UUID | None


@attrs.frozen
class StreamAccess:
    """Who may have a stream, when it is opened and for as long as it is open."""

    authenticator: Authenticator
    store: Store
    snapshot: Snapshot

    async def require(self, principal: Principal, tenant_id: UUID | None) -> None:
        """Raise NotFound, ScopeMissing, or Conflict while the tenant is suspended or gone; those
        of the platform go on listening to it."""
        if tenant_id is not None:
            require_tenant(principal, tenant_id)
        require(principal, STREAM_PERMISSION, tenant_id)
        if tenant_id is not None and not principal.platform:
            status = await self._status(tenant_id)
            if status not in LISTENING:
                raise Conflict(f"the tenant is {status}: it has no streams")

    async def check(self, holder: Hashable) -> Close | None:
        """Why streams of this holder must end now; None if they may go on, or nobody can say."""
        assert isinstance(holder, StreamHolder)  # noqa: S101 - `_opened` makes no others
        try:
            principal = await self.authenticator.again(holder.credentials)
        except Unauthenticated:
            return Close.SIGNED_OUT
        except (DatabaseUnavailable, KeyValueUnavailable):
            return None
        try:
            await self.require(principal, holder.tenant_id)
        except DatabaseUnavailable:
            return None
        except NizamError:
            return Close.FORBIDDEN
        return None

    async def _status(self, tenant_id: UUID) -> str:
        view = self.snapshot.tenant(tenant_id)
        if view is not None:
            return view.tenant.status
        found = await self.store.get(resource("tenant"), None, tenant_id)
        return str(found.body["status"])


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
        _check_handshake(call)
        streams = self._streams()
        await streams.admit(tenant_id)
        return Reply(None, 101, lasting=_WebSocket(self, streams, call, tenant_id, first, position))

    async def events(self, call: Call) -> Reply:
        """Server-sent events: the data of each is an event, its id the cursor after it. A browser
        sends that by itself when it connects again, as `Last-Event-ID`; an event's id does too."""
        first = _wanted(call) or Filter()
        await self.access.require(call.principal, call.tenant)
        self._check_page(call)
        position = await self._begin(call, call.tenant)
        streams = self._streams()
        await streams.admit(call.tenant)
        lasting = _ServerSentEvents(streams, call, first, position)
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
        if origin in self.origins or (
            origin is not None and urlsplit(origin).netloc == call.header("host")
        ):
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


@attrs.frozen
class _WebSocket:
    """The connection becomes a WebSocket."""

    realtime: Realtime
    streams: Streams
    call: Call
    tenant_id: UUID | None
    first: Filter | None
    position: int | None
    switches = True

    async def serve(self, request: Any, request_id: str) -> None:
        """Until the client is gone."""
        # Not before somebody needs it: it takes a seventh of a second.
        from nizam.realtime.websocket import CODEC, Door

        def opened(protocol: StreamProtocol) -> tuple[Stream, Session]:
            stream = self.streams.open(
                protocol,
                CODEC,
                self.tenant_id,
                _holder(self.call, self.tenant_id),
                within=_within(self.call),
                ping=protocol.ping,
            )

            async def place(cursor: str) -> int:
                return await self.realtime.place(self.tenant_id, cursor)

            session = Session(self.streams, stream, place)
            session.welcome(str(new_id()))
            if self.first is not None:
                session.subscribe("default", self.first, self.position)
            return stream, session

        headers = list(request.requestHeaders.getAllRawHeaders())
        door = Door.of(self.streams)
        await door.enter(request.channel.hand_over, headers, request_id, opened)


@attrs.frozen
class _ServerSentEvents:
    """An answer that goes on."""

    streams: Streams
    call: Call
    first: Filter
    position: int | None
    switches = False

    async def serve(self, request: Any, request_id: str) -> None:
        """Until the client is gone."""

        def opened(connection: SseConnection) -> Stream:
            tenant_id = self.call.tenant
            holder = _holder(self.call, tenant_id)
            within = _within(self.call)
            stream = self.streams.open(connection, SSE, tenant_id, holder, within=within)
            cursor = self.streams.want(stream, frozenset({self.first}), self.position)
            # Whoever is cut off before the first event goes on from here.
            stream.subscriber.tell("welcome", cursor=cursor, **self.first.shown())
            return stream

        await SseConnection(self.streams, request).serve(opened)


def _holder(call: Call, tenant_id: UUID | None) -> StreamHolder:
    # A ticket is used from elsewhere than where it was made.
    remote = None if call.principal.ticket is not None else call.remote
    return StreamHolder(holder_of(call.principal, remote), tenant_id)


def _within(call: Call) -> Filter | None:
    ticket = call.principal.ticket
    return None if ticket is None or ticket.within == Filter() else ticket.within


def _check_handshake(call: Call) -> None:
    """Raise UpgradeRequired or BadRequest for what does not ask for a WebSocket (RFC 6455, 4.2)."""
    if "websocket" not in _tokens(call, "upgrade"):
        raise UpgradeRequired(
            "this path speaks WebSocket",
            headers=(("Upgrade", "websocket"), ("Connection", "Upgrade")),
        )
    if "upgrade" not in _tokens(call, "connection") or not call.header("sec-websocket-key"):
        raise BadRequest("this is no handshake of RFC 6455")
    if call.header("sec-websocket-version") != "13":
        raise UpgradeRequired(
            "the version of WebSocket is 13", headers=(("Sec-WebSocket-Version", "13"),)
        )
    offered = _tokens(call, "sec-websocket-protocol")
    if offered and PROTOCOL not in offered:
        raise BadRequest(f"the subprotocol is {PROTOCOL}")


def _tokens(call: Call, header: str) -> list[str]:
    return [it.strip().lower() for it in (call.header(header) or "").split(",") if it.strip()]
