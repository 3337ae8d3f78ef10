"""How this instance is: what load balancers, orchestrators and people ask.

`/api/health` tells healthy, degraded or unhealthy with one check for each thing NIZAM leans on;
503 only when this very instance cannot serve or is on its way out, because a load balancer takes
an instance away for it. A lost event socket, replica or gateway is degraded: calls still route.
`/livez` says that the process runs, `/readyz` that it may be sent traffic, `/startupz` that it
has been ready once.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
import orjson
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.web.http import Request
from twisted.web.resource import Resource

from nizam.metrics import CHECK_OK
from nizam.ops.deadline import within

PROBE_INTERVAL_SECONDS = 2.0
PROBE_DEADLINE_SECONDS = 1.0


class State(enum.StrEnum):
    """What one check found: `failed` keeps the instance from serving, `degraded` does not."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


@attrs.frozen
class Finding:
    """One check's result; `facts` are shown beside the status to everybody who asks."""

    state: State
    facts: Mapping[str, Any] = attrs.field(factory=dict)


Check = Callable[[], Finding]
Probe = Callable[[], Awaitable[object]]


class Health(Service):
    """Collects the checks; probes peers every two seconds so that asking costs nothing.

    `checks` are asked at once, in their order, and must not block. `probes` await an answer of a
    peer; one that fails or takes longer than a second makes its check degraded.
    """

    def __init__(
        self,
        clock: IReactorTime,
        checks: Mapping[str, Check],
        probes: Mapping[str, Probe],
    ) -> None:
        self._clock = clock
        self._checks = dict(checks)
        self._probes = dict(probes)
        self._seen: dict[str, Finding] = {}
        self._loops: list[LoopingCall] = []
        self.draining = False
        self.started_up = False

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Begin to probe."""
        super().startService()  # type: ignore[no-untyped-call]
        for name, probe in self._probes.items():
            loop = LoopingCall(
                lambda name=name, probe=probe: Deferred.fromCoroutine(self._probe_once(name, probe))
            )
            loop.clock = self._clock
            self._loops.append(loop)
            loop.start(PROBE_INTERVAL_SECONDS)

    def stopService(self) -> None:  # noqa: N802 - Twisted's name
        """Stop probing."""
        super().stopService()  # type: ignore[no-untyped-call]
        for loop in self._loops:
            loop.stop()
        self._loops.clear()

    def drain(self) -> None:
        """From now on this instance says that it wants no new work."""
        self.draining = True

    def findings(self) -> dict[str, Finding]:
        """Every check's present result, by name."""
        app = Finding(State.FAILED, {"draining": True}) if self.draining else Finding(State.OK)
        found = {"app": app}
        found |= {name: check() for name, check in self._checks.items()}
        found |= {
            name: self._seen.get(name, Finding(State.DEGRADED, {"reason": "not asked yet"}))
            for name in self._probes
        }
        return found

    @property
    def ready(self) -> bool:
        """Whether this instance may be sent traffic."""
        ready = all(it.state is not State.FAILED for it in self.findings().values())
        self.started_up = self.started_up or ready
        return ready

    def report(self) -> tuple[int, dict[str, Any]]:
        """The HTTP status and the document of `/api/health`."""
        findings = self.findings()
        states = {it.state for it in findings.values()}
        if State.FAILED in states:
            status = "unhealthy"
        else:
            status = "degraded" if State.DEGRADED in states else "healthy"
        checks = {name: {"status": it.state.value, **it.facts} for name, it in findings.items()}
        return (503 if status == "unhealthy" else 200), {"status": status, "checks": checks}

    def measure(self) -> None:
        """Set the metric of every check to what it finds now."""
        for name, it in self.findings().items():
            CHECK_OK.labels(name).set(it.state is State.OK)

    async def _probe_once(self, name: str, probe: Probe) -> None:
        async def ask() -> None:
            await probe()

        try:
            in_time = await within(self._clock, PROBE_DEADLINE_SECONDS, ask())
        except Exception as error:
            self._seen[name] = Finding(State.DEGRADED, {"reason": type(error).__name__})
            return
        late = Finding(State.DEGRADED, {"reason": "no answer in time"})
        self._seen[name] = Finding(State.OK) if in_time else late


def _answer(request: Request, status: int, document: Mapping[str, Any]) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")  # type: ignore[no-untyped-call]
    request.setHeader(b"cache-control", b"no-store")  # type: ignore[no-untyped-call]
    return orjson.dumps(document)


class HealthResource(Resource):
    """`GET /api/health`: no credentials needed, nothing secret told."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, health: Health) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._health = health

    def render_GET(self, request: Request) -> bytes:  # noqa: N802 - Twisted's name
        """The document with all checks."""
        return _answer(request, *self._health.report())


class FlagResource(Resource):
    """A probe that answers 200 or 503: `/livez`, `/readyz` and `/startupz`."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, holds: Callable[[], bool]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._holds = holds

    def render_GET(self, request: Request) -> bytes:  # noqa: N802 - Twisted's name
        """`{"status": "ok"}` or `{"status": "unavailable"}`."""
        if self._holds():
            return _answer(request, 200, {"status": "ok"})
        return _answer(request, 503, {"status": "unavailable"})


def probe_resources(health: Health) -> dict[bytes, Resource]:
    """`livez`, `readyz` and `startupz`, by their names in the tree."""

    def started_up() -> bool:
        return health.ready or health.started_up

    return {
        b"livez": FlagResource(lambda: True),
        b"readyz": FlagResource(lambda: health.ready),
        b"startupz": FlagResource(started_up),
    }
