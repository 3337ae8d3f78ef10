"""The circuit breaker of an endpoint: a value that each attempt replaces by the next.

Closed, requests flow. After five failures in a row it opens: nothing is sent for a while, so that
an endpoint that is down costs neither sockets nor anybody's turn. Then one probe is let through;
its success closes the breaker, its failure opens it for twice as long.
"""

from __future__ import annotations

import attrs

FAILURES_TO_OPEN = 5
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0


@attrs.frozen
class Breaker:
    """The state after some attempts. Moments are seconds on the caller's clock."""

    failures: int = 0
    pause: float = 0.0
    open_until: float | None = None
    probing: bool = False

    def wait(self, now: float) -> float:
        """Seconds until a request may be sent: 0 is now; while a probe is out, its pause again."""
        if self.open_until is None:
            return 0.0
        if self.probing:
            return self.pause
        return max(0.0, self.open_until - now)

    def started(self) -> Breaker:
        """After a request was sent: when open, it is the probe and holds back all others."""
        return self if self.open_until is None else attrs.evolve(self, probing=True)

    def succeeded(self) -> Breaker:
        """After a success: closed, with nothing remembered."""
        return Breaker()

    def failed(self, now: float) -> Breaker:
        """After a failure: one more, and open when they are too many."""
        failures = self.failures + 1
        if self.open_until is not None and not self.probing:
            # A request that was under way when it opened says nothing new.
            return attrs.evolve(self, failures=failures)
        if failures < FAILURES_TO_OPEN:
            return attrs.evolve(self, failures=failures)
        pause = min(LONGEST_PAUSE_SECONDS, self.pause * 2 if self.pause else FIRST_PAUSE_SECONDS)
        return Breaker(failures=failures, pause=pause, open_until=now + pause)
