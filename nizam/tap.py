"""From the command line to a running daemon: the one place that puts the parts together."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Callable
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from nizam import __version__, metrics
from nizam.errors import NizamError
from nizam.http.port import close, listen
from nizam.http.server import MAX_CONNECTIONS, BoundedSite
from nizam.ops.deadline import within
from nizam.ops.notify import SystemdNotifier
from nizam.ops.prometheus import StallMeter
from nizam.options import Options
from nizam.parts import Parts
from nizam.settings import Role, Settings

__all__ = ["Options", "build_daemon", "makeService"]

KEY_RETRY_SECONDS = 1.0
READY_POLL_SECONDS = 0.1
REQUESTS_SECONDS = 5.0
"""How long a stop waits for the requests that are being answered."""

START_WAIT_SECONDS = 1.0
"""How long a request waits for an instance that is starting, if whoever sent it can ask another
one, as FreeSWITCH does with its questions and proxies do with all that is idempotent."""

ONCE_START_WAIT_SECONDS = 10.0
"""The same of one that proxies do not send twice once it was sent: POST and PATCH."""

STOP_SECONDS = 28.0
"""How long a stop may take in all; systemd and Kubernetes are told to wait 35 s."""

XML_BODY_BYTES = 4 * 1024 * 1024


def makeService(options: Options) -> IService:  # noqa: N802 - Twisted's name
    """The whole daemon as one service, from parsed options. Where it cannot start the process ends
    with 1, which twistd by itself would call a success."""
    from twisted.internet import reactor

    return build_daemon(options.loaded.settings, reactor, lambda: atexit.register(_end_with_1))


def build_daemon(
    settings: Settings, reactor: Any, cannot_start: Callable[[], object] = lambda: None
) -> IService:
    """The daemon with the roles that the settings name; it serves once it was started.

    When it cannot start for a reason that waiting does not mend, `cannot_start` is called and the
    reactor stops.
    """
    # Twisted would log two lines for each connection that is made.
    Factory.noisy = False
    daemon: IService = Daemon(settings, reactor, cannot_start)
    return daemon


def _end_with_1() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


class Daemon(Service):
    """Starts the parts in the order in which they need each other, and stops them in reverse.

    The HTTP port listens from the start: until the parts are put together it answers the probes,
    and everything else waits for a moment, then gets 503.
    """

    _log = Logger()

    def __init__(
        self, settings: Settings, reactor: Any, cannot_start: Callable[[], object]
    ) -> None:
        self.name = "nizam"
        self._cannot_start = cannot_start
        self._settings = settings
        self._reactor = reactor
        self._not_ready = NotReady(reactor)
        self._site = BoundedSite(
            self._not_ready,
            reactor,
            body_limits={b"/freeswitch/": XML_BODY_BYTES},
            max_connections=MAX_CONNECTIONS + _streams_in(settings),
            unlimited=(*settings.http.trusted_proxies, *settings.http.xml_allowed_networks),
        )
        self._ports: list[IListeningPort] = []
        self._parts: Parts | None = None
        self._starting: Deferred[None] | None = None
        self._notifier = SystemdNotifier(reactor, os.environ, self._well)
        self._stalls = StallMeter(reactor)

    def privilegedStartService(self) -> None:  # noqa: N802 - Twisted's name
        """Listen, while the process still may use the port."""
        http = self._settings.http
        try:
            self._ports = listen(self._reactor, self._site, http, os.environ)
        except CannotListenError as error:
            self._log.critical(
                "NIZAM_HTTP_HOST, NIZAM_HTTP_PORT: {host}:{port} cannot be listened on: {reason}",
                host=http.host,
                port=http.port,
                reason=getattr(error.socketError, "strerror", None) or str(error.socketError),
            )
            raise SystemExit(1) from None

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Start every part; what is away is waited for."""
        super().startService()  # type: ignore[no-untyped-call]
        metrics.BUILD_INFO.labels(__version__).set(1)
        self._stalls.startService()
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._failed)

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Take no more work, finish what is under way, give back the rest, within 28 s."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop_in_time())

    async def _stop_in_time(self) -> None:
        if not await within(self._reactor, STOP_SECONDS, self._stop()):
            self._log.warn("some parts did not stop in time; what they held is durable elsewhere")

    async def _start(self) -> None:
        parts = self._parts = Parts(self._settings, self._reactor)
        await parts.connect()
        while not await parts.unlock():
            await deferLater(self._reactor, KEY_RETRY_SECONDS)
            if not self.running:
                return
        root = parts.build()
        self._site.serve(root)
        self._not_ready.hand_over(root)
        parts.start()
        while self.running and not parts.health.ready:
            await deferLater(self._reactor, READY_POLL_SECONDS)
        if self.running:
            set_aside_what_stays()
            self._notifier.ready()
            self._log.info("ready: {roles}", roles=", ".join(sorted(self._settings.roles)))

    async def _stop(self) -> None:
        self._notifier.stopService()
        if self._starting is not None:
            await self._starting
        if self._parts is not None:
            self._parts.health.drain()
        await close(self._ports)
        if self._parts is not None and self._parts.streams is not None:
            await self._parts.streams.drain()
        await self._site.finish(REQUESTS_SECONDS)
        if self._parts is not None:
            await self._parts.stop()
        self._stalls.stopService()

    def _well(self) -> bool:
        return self._parts is None or self._parts.well

    def _failed(self, failure: Any) -> None:
        if failure.check(NizamError):
            self._log.critical("the daemon cannot start: {reason}", reason=failure.value.detail)
        else:
            self._log.failure("the daemon could not start", failure)
        self._cannot_start()
        if self._reactor.running:
            self._reactor.stop()


def _streams_in(settings: Settings) -> int:
    """How many connections streams may take beside those of requests."""
    return settings.realtime.max_streams if Role.REALTIME in settings.roles else 0


def set_aside_what_stays() -> None:
    """Spare full collections of garbage the modules and tenants that were loaded by now: going
    through them takes a tenth of a second, in which no call is answered."""
    gc.collect()
    gc.freeze()


class NotReady(Resource):
    """What the port answers before the parts are put together.

    Whoever asks for more than whether the process lives or is ready waits for it for a moment: a
    load balancer without health checks of its own sends requests here as soon as the port is open,
    and a request that has been refused may not be one that it can send to another instance.
    """

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, reactor: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._waiting: dict[Any, IDelayedCall] = {}

    def render(self, request: Any) -> bytes | int:
        """200 for the question whether the process lives, 503 for whether it is ready; anything
        else waits."""
        if request.path == b"/livez":
            return _say(request, 200, b'{"status": "ok"}')
        if request.path == b"/readyz" or getattr(request, "too_large", False):
            return self._unavailable(request)
        timer = self._reactor.callLater(_start_wait(request), self._refuse, request)
        self._waiting[request] = timer
        request.notifyFinish().addErrback(lambda _: self._forget(request))
        return NOT_DONE_YET

    def hand_over(self, root: Resource) -> None:
        """Have `root` answer whoever waits."""
        for request in list(self._waiting):
            self._forget(request)
            request.render(root)

    def _refuse(self, request: Any) -> None:
        self._forget(request)
        request.write(self._unavailable(request))
        request.finish()

    def _forget(self, request: Any) -> None:
        timer = self._waiting.pop(request, None)
        if timer is not None and timer.active():
            timer.cancel()

    @staticmethod
    def _unavailable(request: Any) -> bytes:
        request.setHeader(b"retry-after", b"1")
        return _say(request, 503, b'{"status": "unavailable"}')


def _start_wait(request: Any) -> float:
    if request.method in (b"POST", b"PATCH") and not request.path.startswith(b"/freeswitch/"):
        return ONCE_START_WAIT_SECONDS
    return START_WAIT_SECONDS


def _say(request: Any, status: int, body: bytes) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"content-length", b"%d" % len(body))
    return body
