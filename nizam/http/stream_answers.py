"""Streams as answers that go on, in two ways: WebSocket and server-sent events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import attrs

from nizam.errors import BadRequest, UpgradeRequired
from nizam.http.auth import holder_of
from nizam.http.route import Call
from nizam.http.stream_access import StreamHolder
from nizam.model.identifiers import new_id
from nizam.realtime.filters import Filter
from nizam.realtime.session import PROTOCOL, Session
from nizam.realtime.sse import CODEC as SSE
from nizam.realtime.sse import SseConnection
from nizam.realtime.streams import Stream, Streams

if TYPE_CHECKING:
    from nizam.realtime.websocket import StreamProtocol


@attrs.frozen
class WebSocketAnswer:
    """The connection becomes a WebSocket."""

    streams: Streams
    place: Callable[[UUID | None, str], Awaitable[int]]
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

            session = Session(self.streams, stream, partial(self.place, self.tenant_id))
            session.welcome(str(new_id()))
            if self.first is not None:
                session.subscribe("default", self.first, self.position)
            return stream, session

        headers = list(request.requestHeaders.getAllRawHeaders())
        door = Door.of(self.streams)
        await door.enter(request.channel.hand_over, headers, request_id, opened)


@attrs.frozen
class SseAnswer:
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


def check_handshake(call: Call) -> None:
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
