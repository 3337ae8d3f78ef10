"""One client of a stream, whatever it is connected by: what it wants, where it is, what waits.

Memory is bounded: what the transport does not take waits up to a limit, and beyond it events are
counted and not kept. As soon as the client has read what waited it is told how many it missed, and
the cursor from which they can be read again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol
from uuid import UUID

import attrs

from nizam.metrics import REALTIME_CLOSED_TOTAL, REALTIME_MISSED_TOTAL, REALTIME_SENT_TOTAL
from nizam.model.events import Event
from nizam.realtime.closing import Close
from nizam.realtime.filters import Filters, Subject
from nizam.store.system.event_log import Logged, cursor_text

WAITING_BYTES: Final = 256 * 1024
"""What may wait for one client beside what its transport holds (64 KiB)."""


@attrs.frozen(slots=False)
class Message:
    """An event on its way to any number of clients, each form of it written once."""

    logged: Logged
    subject: Subject
    forms: dict[str, bytes] = attrs.field(factory=dict)

    @classmethod
    def of(cls, logged: Logged) -> Message:
        """The message of an event of the log."""
        return cls(logged, Subject(logged.event))

    def form(self, codec: Codec) -> bytes:
        """Its bytes on a connection of this kind."""
        found = self.forms.get(codec.name)
        if found is None:
            found = self.forms[codec.name] = codec.event(
                cursor_text(self.logged.position), self.logged.event
            )
        return found


class Codec(Protocol):
    """How things are written on one kind of connection."""

    name: str

    def event(self, cursor: str, event: Event) -> bytes:
        """An event."""

    def notice(self, kind: str, fields: Mapping[str, Any]) -> bytes:
        """Anything else: `welcome`, `missed`, `heartbeat`. `fields` may have a `cursor`."""


class Sink(Protocol):
    """The connection of one client."""

    def write(self, data: bytes) -> None:
        """Send; what the network does not take the transport keeps, and says so."""

    def end(self, code: Close, pause: float) -> None:
        """Say why and close; `pause` is how many seconds the client should wait before it
        connects again."""


class Subscriber:
    """One client. Its owner says `pause()` when the transport is full and `resume()` when it is
    not; `tenant_id` None is whoever sees all tenants and the platform."""

    def __init__(
        self, sink: Sink, codec: Codec, tenant_id: UUID | None, waiting_bytes: int = WAITING_BYTES
    ) -> None:
        self.codec = codec
        self.tenant_id = tenant_id
        self.filters: Filters = frozenset()
        self.position = 0
        self.live = False
        self.gone = False
        self.paused_since: float | None = None
        self.missed = 0
        self._sink = sink
        self._waiting_bytes = waiting_bytes
        self._missed_after = 0
        self._waiting: deque[bytes] = deque()
        self._size = 0

    @property
    def cursor(self) -> str:
        """From where to go on after everything that was sent or counted so far."""
        return cursor_text(self.position)

    @property
    def idle(self) -> bool:
        """Whether everything that it was given is with the transport, which wants more."""
        return self.paused_since is None and not self._waiting and not self.missed

    def take(self, payload: bytes, count: int, position: int) -> None:
        """Events up to `position`, of which `count` are wanted and are in `payload`."""
        if self.gone:
            return
        before, self.position = self.position, max(self.position, position)
        if not count:
            return
        if self.missed or (self._waiting and self._size + len(payload) > self._waiting_bytes):
            if not self.missed:
                self._missed_after = before
            self.missed += count
            REALTIME_MISSED_TOTAL.inc(count)
            return
        REALTIME_SENT_TOTAL.labels(self.codec.name).inc(count)
        self._put(payload)

    def tell(self, kind: str, **fields: Any) -> None:
        """A notice, in order with the events."""
        if self.gone:
            return
        if self._waiting and self._size > 2 * self._waiting_bytes:
            self.end(Close.TOO_SLOW)
            return
        self._put(self.codec.notice(kind, fields))

    def end(self, code: Close, pause: float = 0.0) -> None:
        """Close the connection from our side."""
        if not self.gone:
            self.lost()
            REALTIME_CLOSED_TOTAL.labels(str(int(code))).inc()
            self._sink.end(code, pause)

    def lost(self) -> None:
        """The connection is gone: whatever waits goes nowhere."""
        self.gone = True
        self.live = False
        self._waiting.clear()
        self._size = 0

    def pause(self, now: float) -> None:
        """The transport is full."""
        if self.paused_since is None:
            self.paused_since = now

    def resume(self) -> None:
        """There is room: send what waits, then say what was missed."""
        self.paused_since = None
        while self._waiting and self.paused_since is None:
            payload = self._waiting.popleft()
            self._size -= len(payload)
            self._sink.write(payload)
        if self.missed and not self._waiting and self.paused_since is None:
            count, self.missed = self.missed, 0
            after = cursor_text(self._missed_after)
            notice = {"count": count, "after": after, "cursor": self.cursor}
            self._sink.write(self.codec.notice("missed", notice))

    def _put(self, payload: bytes) -> None:
        if self.paused_since is None:
            self._sink.write(payload)
        else:
            self._waiting.append(payload)
            self._size += len(payload)


@attrs.frozen(slots=False)
class Batch:
    """Messages in order, and what each set of filters wants of them, found and joined once."""

    messages: Sequence[Message]
    _joined: dict[tuple[Filters, str, int], tuple[bytes, int]] = attrs.field(factory=dict)

    def part(self, filters: Filters, codec: Codec, after: int = 0) -> tuple[bytes, int]:
        """The bytes of those that are wanted, and how many they are. `after` leaves out those up to
        this position, which somebody has read from the log already."""
        key = (filters, codec.name, after)
        found = self._joined.get(key)
        if found is None:
            wanted = [
                it.form(codec)
                for it in self.messages
                if it.logged.position > after
                and any(filter_.wants(it.subject) for filter_ in filters)
            ]
            found = self._joined[key] = (b"".join(wanted), len(wanted))
        return found
