"""What is said on a WebSocket: JSON objects with a `type`, in both directions.

A client says `subscribe`, `unsubscribe` and `ping`; the server says `welcome`, `event`,
`subscribed`, `unsubscribed`, `missed`, `heartbeat`, `pong` and `error`. Nothing that a client says
ends the stream but too much of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs
import orjson
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nizam.errors import FieldError, NizamError
from nizam.realtime.closing import Close
from nizam.realtime.filters import FIELDS, Filter, parse_filter
from nizam.realtime.streams import HEARTBEAT_SECONDS, Stream, Streams

PROTOCOL: Final = "nizam.v1"
MOST_SUBSCRIPTIONS: Final = 50
MOST_MESSAGES: Final = 120
"""Of one client within a minute."""
_WINDOW_SECONDS: Final = 60.0
_LONGEST_ID: Final = 64
_KNOWN: Final = {
    "subscribe": {"type", "id", "cursor", *FIELDS},
    "unsubscribe": {"type", "id"},
    "ping": {"type", "id"},
}


Place = Callable[[str], Awaitable[int]]
"""The position that a client means by a cursor; raises ValidationFailed, NotFound."""


class Session:
    """The conversation on one stream."""

    _log = Logger()

    def __init__(self, streams: Streams, stream: Stream, place: Place) -> None:
        self._streams = streams
        self._place = place
        self._placing = False
        self._stream = stream
        self._subscriptions: dict[str, Filter] = {}
        self._window = streams.reactor.seconds()
        self._messages = 0

    def welcome(self, name: str) -> None:
        """The first thing that is said."""
        stream = self._stream
        tenant_id = stream.subscriber.tenant_id
        stream.subscriber.tell(
            "welcome",
            protocol=PROTOCOL,
            stream_id=name,
            tenant_id=None if tenant_id is None else str(tenant_id),
            heartbeat_seconds=HEARTBEAT_SECONDS,
            cursor=self._streams.position_of(stream),
        )

    def subscribe(self, name: str, it: Filter, position: int | None = None) -> None:
        """Begin or change one subscription; `position` is where the first one begins."""
        self._subscriptions[name] = it
        cursor = self._streams.want(self._stream, frozenset(self._subscriptions.values()), position)
        self._stream.subscriber.tell("subscribed", id=name, **it.shown(), cursor=cursor)

    def received(self, payload: bytes) -> None:
        """One message of the client."""
        now = self._streams.reactor.seconds()
        self._stream.heard_at = now
        if now - self._window > _WINDOW_SECONDS:
            self._window, self._messages = now, 0
        self._messages += 1
        if self._messages > MOST_MESSAGES:
            self._streams.end(self._stream, Close.TOO_MANY_MESSAGES)
            return
        try:
            given = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            self._wrong("malformed_json", str(error))
            return
        kind = given.get("type") if isinstance(given, dict) else None
        known = _KNOWN.get(kind) if isinstance(kind, str) else None
        if known is None:
            self._wrong("validation_failed", f"`type` is one of {', '.join(_KNOWN)}")
            return
        unknown = [
            FieldError(f"/{it}", "unknown_field", "there is no such field")
            for it in sorted(given.keys() - known)
        ]
        if unknown:
            self._wrong("unknown_field", "fields that there are not", given, unknown)
        elif kind == "ping":
            self._stream.subscriber.tell("pong", **_named(given))
        else:
            self._change(kind == "subscribe", given)

    def _change(self, more: bool, given: dict[str, Any]) -> None:
        name = given.get("id", "default")
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_ID:
            wrong = FieldError("/id", "not_valid", f"a string of 1 to {_LONGEST_ID} characters")
            self._wrong("validation_failed", "the subscription's name", errors=[wrong])
        elif more:
            self._subscribe(name, given)
        elif name not in self._subscriptions:
            self._wrong("not_found", "there is no such subscription", given)
        else:
            del self._subscriptions[name]
            cursor = self._streams.want(self._stream, frozenset(self._subscriptions.values()))
            self._stream.subscriber.tell("unsubscribed", id=name, cursor=cursor)

    def _subscribe(self, name: str, given: dict[str, Any]) -> None:
        it, errors = parse_filter(given)
        cursor = given.get("cursor")
        if cursor is not None and (self._subscriptions or self._placing):
            message = "only the first subscription of a connection begins at a cursor"
            errors.append(FieldError("/cursor", "not_now", message))
        elif cursor is not None and not isinstance(cursor, str):
            errors.append(FieldError("/cursor", "not_valid", "a string is needed"))
        if name not in self._subscriptions and len(self._subscriptions) >= MOST_SUBSCRIPTIONS:
            message = f"a connection has at most {MOST_SUBSCRIPTIONS} subscriptions"
            errors.append(FieldError("/id", "too_many", message))
        if errors:
            self._wrong("validation_failed", "the subscription", given, errors)
        elif cursor is None:
            self.subscribe(name, it)
        else:
            self._placing = True
            placing = Deferred.fromCoroutine(self._subscribe_at(name, it, cursor, given))
            placing.addErrback(lambda failure: self._log.failure("a cursor", failure))

    async def _subscribe_at(
        self, name: str, it: Filter, cursor: str, given: dict[str, Any]
    ) -> None:
        try:
            position = await self._place(cursor)
        except NizamError as error:
            wrong = [FieldError("/cursor", "not_valid", it.message) for it in error.errors]
            self._wrong(error.code, error.detail, given, wrong)
        else:
            self.subscribe(name, it, position)
        finally:
            self._placing = False

    def _wrong(
        self,
        code: str,
        detail: str,
        given: dict[str, Any] | None = None,
        errors: list[FieldError] | None = None,
    ) -> None:
        fields: dict[str, Any] = {"code": code, "detail": detail, **_named(given or {})}
        if errors:
            fields["errors"] = [attrs.asdict(it) for it in errors]
        self._stream.subscriber.tell("error", **fields)


def _named(given: dict[str, Any]) -> dict[str, str]:
    """The id that a message names, where it names one."""
    name = given.get("id")
    return {"id": name} if isinstance(name, str) and len(name) <= _LONGEST_ID else {}
