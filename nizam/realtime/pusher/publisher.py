"""Publishes the events of tenants' calls over a Pusher-protocol HTTP API, from the log.

One instance at a time does it, whoever holds the lease; where it is in the log is kept in
PostgreSQL, so that nothing is lost whatever ends. An event may be published twice, with the same
id: after a lost answer, or when the instance that publishes is killed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
import orjson
import psycopg2
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nizam.errors import DatabaseUnavailable
from nizam.metrics import PUSHER_EVENTS_TOTAL
from nizam.model.events import Event, envelope, envelope_bytes
from nizam.nap import Nap
from nizam.realtime.bell import Bell
from nizam.realtime.filters import Filter, Subject
from nizam.realtime.pusher.signing import signed_query
from nizam.store.pool import Pool
from nizam.store.system.event_log import log_end, read_log
from nizam.store.system.leases import Lease, LeaseLostError, release_lease, take_lease
from nizam.store.system.log_readers import move_reader, position_of_reader
from nizam.webhooks.interface import EgressError, IEgressAgent

READER: Final = "pusher"
LEASE_SECONDS: Final = 30.0
POLL_SECONDS: Final = 1.0
REQUEST_SECONDS: Final = 10.0
BATCH_EVENTS: Final = 10
"""Of one request: https://pusher.com/docs/channels/library_auth_reference/rest-api/."""
DATA_BYTES: Final = 10_000
PAGE_EVENTS: Final = 100
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 60.0
_REFUSALS: Final = frozenset({400, 413, 422})
"""Answers that the same request would get again."""


@attrs.frozen
class PusherApp:
    """An application of the service: `url` without a path, and what signs for it."""

    url: str
    app_id: str
    key: str
    secret: str = attrs.field(repr=False)
    types: frozenset[str] = frozenset({"call.*"})


class _Later(Exception):
    """The service does not take it now."""


def channel_of(event: Event) -> str:
    """The private channel of the event's tenant."""
    return f"private-tenant.{event.tenant_id}.calls"


class PusherPublisher(Service):
    """Publishes for as long as it runs. `holder` is unique among all instances; `following` says
    whether this one has had its turn."""

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        database: Pool,
        bell: Bell,
        egress: IEgressAgent,
        app: PusherApp,
        holder: str,
    ) -> None:
        self.name = "pusher"
        self.following = False
        self._clock = clock
        self._database = database
        self._bell = bell
        self._egress = egress
        self._app = app
        self._holder = holder
        self._filter = Filter(types=app.types)
        self._failures = 0
        self._running: Deferred[None] | None = None
        self._nap = Nap(clock)
        self._deaf: Callable[[], None] | None = None

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Publish what comes from now on, or from where the last one was."""
        super().startService()  # type: ignore[no-untyped-call]
        self._deaf = self._bell.heard(self._rung)
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(lambda it: self._log.failure("publishing to Pusher", it))

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Let another instance go on."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._deaf is not None:
            self._deaf()
        self._nap.wake()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._running is not None:
            await self._running
        await self._egress.close()

    async def _run(self) -> None:
        lease: Lease | None = None
        while self.running:
            pause, more = POLL_SECONDS, False
            try:
                lease = await take_lease(self._database, READER, self._holder, LEASE_SECONDS)
                more = lease is not None and await self._turn(lease)
            except (DatabaseUnavailable, psycopg2.Error, LeaseLostError) as error:
                self._log.info("Pusher waits: {error}", error=str(error).strip())
            except _Later as error:
                longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**self._failures)
                self._failures = min(self._failures + 1, 16)
                pause = random.uniform(longest / 2, longest)  # noqa: S311 - spreads instances
                self._log.warn("Pusher: {error}", error=str(error))
            except Exception:
                self._log.failure("events could not be published")
            if not more and self.running:
                await self._nap.sleep(pause)
        if lease is not None:
            try:
                await release_lease(self._database, lease)
            except DatabaseUnavailable:
                self._log.info("the lease to publish ends by itself")

    async def _turn(self, lease: Lease) -> bool:
        """Publish one page of the log; whether there is more."""
        position = await position_of_reader(self._database, READER)
        if position is None:
            position = await log_end(self._database)
            await move_reader(self._database, lease, READER, position)
        self.following = True
        page = await read_log(self._database, position, most=PAGE_EVENTS)
        wanted = [
            it
            for it in page.events
            if it.event.tenant_id is not None and self._filter.wants(Subject(it.event))
        ]
        for start in range(0, len(wanted), BATCH_EVENTS):
            batch = wanted[start : start + BATCH_EVENTS]
            await self._publish(lease, [it.event for it in batch])
            self._failures = 0
            await move_reader(self._database, lease, READER, batch[-1].position)
            if not self.running:
                return False
        if page.position > position:
            await move_reader(self._database, lease, READER, page.position)
        return page.more

    async def _publish(self, lease: Lease, events: Sequence[Event]) -> None:
        """Send a batch; one that is refused is sent event by event, and what is refused alone is
        given up, so that it holds up nothing else. LeaseLostError if it is another's turn."""
        # A service that answers late must not make the lease end amid a page.
        if await take_lease(self._database, READER, self._holder, LEASE_SECONDS) != lease:
            raise LeaseLostError("another instance publishes")
        status, said = await self._send(events)
        if 200 <= status < 300:
            PUSHER_EVENTS_TOTAL.labels("published").inc(len(events))
        elif status not in _REFUSALS:
            raise _Later(f"answered {status}: {said}")
        elif len(events) > 1:
            for it in events:
                await self._publish(lease, [it])
        else:
            PUSHER_EVENTS_TOTAL.labels("refused").inc()
            self._log.error(
                "Pusher refuses event {event}: {status} {said}",
                event=events[0].id,
                status=status,
                said=said,
            )

    async def _send(self, events: Sequence[Event]) -> tuple[int, str]:
        path = f"/apps/{self._app.app_id}/batch_events"
        body = orjson.dumps(
            {
                "batch": [
                    {"channel": channel_of(it), "name": it.type, "data": _data(it)} for it in events
                ]
            }
        )
        moment = int(self._clock.seconds())
        query = signed_query(path, body, self._app.key, self._app.secret, moment)
        headers = {"Content-Type": "application/json"}
        try:
            reply = await self._egress.post(
                f"{self._app.url}{path}?{query}", headers, body, REQUEST_SECONDS
            )
        except EgressError as error:
            raise _Later(error.reason) from None
        return reply.status, reply.head[:200].decode(errors="replace")

    def _rung(self) -> None:
        # While the service takes nothing, new events are no reason to try again.
        if not self._failures:
            self._nap.wake()


def _data(event: Event) -> str:
    """The envelope as text; of one that is larger than the service takes, what it is about."""
    whole = envelope_bytes(event)
    if len(whole) <= DATA_BYTES:
        return whole.decode()
    return orjson.dumps({**envelope(event), "data": {}, "truncated": True}).decode()
