"""How the parts of the daemon stop: what makes work before what does it, whatever goes wrong."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail

from nizam.parts import Parts
from nizam.settings import load


class Part(Service):
    """Tells when it is stopped; `error` is how that fails."""

    def __init__(self, name: str, stopped: list[str], error: Exception | None = None) -> None:
        self.name = name
        self._stopped = stopped
        self._error = error

    def stopService(self) -> Deferred[None] | None:  # noqa: N802
        self._stopped.append(str(self.name))
        return None if self._error is None else fail(self._error)


async def test_a_part_that_cannot_stop_keeps_no_other_from_stopping() -> None:
    from twisted.internet import reactor

    clock: Any = reactor
    parts = Parts(load(None, {"APP_ENV": "testing"}).settings, clock)
    stopped: list[str] = []
    parts._services = [
        Part("worker", stopped),
        Part("intake", stopped, RuntimeError("cannot")),
        Part("nodes", stopped),
    ]
    await parts.stop()
    assert stopped == ["nodes", "intake", "worker"]
