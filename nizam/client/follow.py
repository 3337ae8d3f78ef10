"""A tenant's events as they happen: each once, in order, over any number of connections.

A connection that ends is made again after the last event that was given out, so that nothing is
missing and nothing comes twice; so is one whose server says that this client read too slowly. What
cannot succeed is raised (ApiError): a key that does not hold, a scope that is missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import attrs
import httpx
import orjson

from nizam.client.actions import Document, document
from nizam.client.errors import ApiError, CannotReach
from nizam.client.transport import Transport, refusal, told

ACCEPT: Final = "text/event-stream"
SILENT_SECONDS: Final = 60.0
"""A server says something every 20 s at least."""
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0

Query = Sequence[tuple[str, str]]


@attrs.frozen
class SseMessage:
    """One message of an event stream."""

    kind: str
    data: str
    id: str | None


@attrs.define
class SseParser:
    """Bytes of an event stream in, whole messages out (the HTML standard, section 9.2.6). Messages
    without data are there for their id."""

    _rest: bytes = b""
    _fields: dict[str, list[str]] = attrs.field(factory=dict)

    def feed(self, data: bytes) -> list[SseMessage]:
        """The messages that these bytes complete."""
        found = []
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            text = line.removesuffix(b"\r").decode(errors="replace")
            if text:
                name, _, value = text.partition(":")
                self._fields.setdefault(name, []).append(value.removeprefix(" "))
            elif self._fields:
                fields, self._fields = self._fields, {}
                kind = fields.get("event", ["message"])[-1]
                cursor = fields["id"][-1] if "id" in fields else None
                found.append(SseMessage(kind, "\n".join(fields.get("data", [])), cursor))
        return found


class _Again(Exception):
    """Connect again, after so many seconds; None for as long as after a failure."""

    def __init__(self, seconds: float | None) -> None:
        super().__init__()
        self.seconds = seconds


@attrs.define
class _Place:
    """Where a reader is, over all of its connections."""

    path: str
    query: Query
    cursor: str | None
    failures: int = 0

    def request(self, http: httpx.Client | httpx.AsyncClient, seconds: float) -> httpx.Request:
        """That of the next connection, which is to be made within so many seconds."""
        after = [] if self.cursor is None else [("cursor", self.cursor)]
        return http.build_request(
            "GET",
            self.path,
            params=[*self.query, *after],
            headers={"Accept": ACCEPT},
            timeout=httpx.Timeout(seconds, read=SILENT_SECONDS),
        )

    def events(self, messages: Sequence[SseMessage]) -> Iterator[Document]:
        """The events among them, each of which is counted as read before it is given out."""
        for it in messages:
            self.failures = 0
            given: Mapping[str, Any] = orjson.loads(it.data) if it.data else {}
            if it.kind == "closing":
                raise _Again(float(given.get("reconnect_after_ms", 0)) / 1000)
            if it.kind == "missed":
                self.cursor = str(given["after"])
                raise _Again(0.0)
            if it.id:
                self.cursor = it.id
            if it.kind == "message" and it.data:
                yield document(given)

    def pause(self, error: Exception) -> float:
        """Seconds until the next attempt; raises the error where another one is no use."""
        if isinstance(error, _Again) and error.seconds is not None:
            return error.seconds
        if isinstance(error, ApiError) and not error.retryable and error.status < 500:
            raise error
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0**self.failures)
        self.failures = min(self.failures + 1, 16)
        wanted = (error.retry_after or 0.0) if isinstance(error, ApiError) else 0.0
        return wanted + random.uniform(longest / 2, longest)  # noqa: S311 - spreads clients


class Following:
    """An iterator over events. `cursor` is the one after the last event that was given out: keep it
    to go on from there another time. In a `with` statement it is closed at the end."""

    def __init__(
        self, transport: Transport, path: Callable[[], str], query: Query, cursor: str | None
    ) -> None:
        self._transport = transport
        self._path = path
        self._place = _Place("", query, cursor)
        self._events: Generator[Document, None, None] | None = None
        self._opened: httpx.Response | None = None

    @property
    def cursor(self) -> str | None:
        """Where it is; None before the first connection."""
        return self._place.cursor

    def __enter__(self) -> Self:
        """Connect, so that what happens from now on is among the events."""
        self._begin()
        if self._opened is None:
            try:
                self._opened = self._open()
            except (ApiError, CannotReach) as error:
                self._transport.sleep(self._place.pause(error))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Document:
        return next(self._begin())

    def close(self) -> None:
        """End the connection."""
        events, self._events = self._events, None
        if events is not None:
            events.close()
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _begin(self) -> Generator[Document, None, None]:
        if self._events is None:
            self._place.path = self._path()
            self._events = self._all()
        return self._events

    def _all(self) -> Generator[Document, None, None]:
        while True:
            try:
                yield from self._connection()
                error: Exception = _Again(None)
            except (_Again, ApiError, CannotReach) as raised:
                error = raised
            self._transport.sleep(self._place.pause(error))

    def _connection(self) -> Generator[Document, None, None]:
        opened, self._opened = self._opened, None
        response, parser = opened or self._open(), SseParser()
        with contextlib.closing(response), told():
            for piece in response.iter_bytes():
                yield from self._place.events(parser.feed(piece))

    def _open(self) -> httpx.Response:
        http, place = self._transport.http, self._place
        request = place.request(http, self._transport.attempt_seconds)
        with told():
            response = http.send(request, stream=True)
            if response.status_code >= 300:
                with contextlib.closing(response):
                    raise refusal(response.status_code, response.headers, response.read())
        return response


class AsyncFollowing:
    """The same for asyncio: an asynchronous iterator, closed at the end of an `async with`."""

    def __init__(
        self, transport: Transport, path: Callable[[], str], query: Query, cursor: str | None
    ) -> None:
        self._transport = transport
        self._path = path
        self._place = _Place("", query, cursor)
        self._events: AsyncGenerator[Document, None] | None = None

    @property
    def cursor(self) -> str | None:
        """Where it is; None before the first connection."""
        return self._place.cursor

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Document:
        if self._events is None:
            # It may have to look the tenant up, which is not asynchronous.
            self._place.path = await asyncio.to_thread(self._path)
            self._events = self._all()
        return await anext(self._events)

    async def close(self) -> None:
        """End the connection."""
        events, self._events = self._events, None
        if events is not None:
            await events.aclose()

    async def _all(self) -> AsyncGenerator[Document, None]:
        own = self._transport.http
        async with httpx.AsyncClient(
            base_url=own.base_url, headers=own.headers, verify=self._transport.trust
        ) as http:
            while True:
                try:
                    async with contextlib.aclosing(self._connection(http)) as events:
                        async for it in events:
                            yield it
                    error: Exception = _Again(None)
                except (_Again, ApiError, CannotReach) as raised:
                    error = raised
                await asyncio.sleep(self._place.pause(error))

    async def _connection(self, http: httpx.AsyncClient) -> AsyncGenerator[Document, None]:
        parser, place = SseParser(), self._place
        request = place.request(http, self._transport.attempt_seconds)
        with told():
            response = await http.send(request, stream=True)
            async with contextlib.aclosing(response):
                if response.status_code >= 300:
                    content = await response.aread()
                    raise refusal(response.status_code, response.headers, content)
                async for piece in response.aiter_bytes():
                    for it in place.events(parser.feed(piece)):
                        yield it
