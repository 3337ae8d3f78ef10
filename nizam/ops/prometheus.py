"""`GET /metrics`: open on loopback, elsewhere with a bearer token; refused when there is none."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.web.http import Request
from twisted.web.resource import Resource

from nizam.metrics import REACTOR_STALL_SECONDS, REGISTRY

STALL_INTERVAL_SECONDS = 0.1
_BY_PROXIES = (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"x-forwarded-host", b"via")


class MetricsResource(Resource):
    """All metrics as text. `refresh` functions set gauges whose truth lies elsewhere."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, token: str | None, refresh: Sequence[Callable[[], None]] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._token = None if token is None else f"Bearer {token}".encode()
        self._refresh = tuple(refresh)

    def render_GET(self, request: Request) -> bytes:  # noqa: N802 - Twisted's name
        """The text format of Prometheus, or 401."""
        if not self._allowed(request):
            request.setResponseCode(401)
            request.setHeader(b"www-authenticate", b'Bearer realm="metrics"')  # type: ignore[no-untyped-call]
            request.setHeader(b"content-type", b"text/plain; charset=utf-8")  # type: ignore[no-untyped-call]
            return b"a metrics token is needed\n"
        for refresh in self._refresh:
            refresh()
        request.setHeader(b"content-type", CONTENT_TYPE_LATEST.encode())  # type: ignore[no-untyped-call]
        return generate_latest(REGISTRY)

    def _allowed(self, request: Request) -> bool:
        given = request.getHeader(b"authorization") or b""
        if self._token is not None and hmac.compare_digest(given, self._token):
            return True
        if self._token is not None or any(map(request.getHeader, _BY_PROXIES)):
            # A proxy on this machine makes everybody look local.
            return False
        try:
            return ip_address(request.getClientAddress().host).is_loopback  # type: ignore[no-untyped-call]
        except (AttributeError, ValueError):
            return False


class StallMeter(Service):
    """Measures how long the reactor is held: how late a timer that asks for 100 ms fires."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._due = 0.0
        self._loop = LoopingCall(self._measure)
        self._loop.clock = clock

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Begin to measure."""
        super().startService()  # type: ignore[no-untyped-call]
        self._due = self._clock.seconds() + STALL_INTERVAL_SECONDS
        self._loop.start(STALL_INTERVAL_SECONDS, now=False)

    def stopService(self) -> None:  # noqa: N802 - Twisted's name
        """Stop measuring."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._loop.stop()

    def _measure(self) -> None:
        now = self._clock.seconds()
        REACTOR_STALL_SECONDS.observe(max(0.0, now - self._due))
        self._due = now + STALL_INTERVAL_SECONDS
