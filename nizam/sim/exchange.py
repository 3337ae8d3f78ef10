"""What all calls of a switch share, and how a leg's end is reported."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.python.failure import Failure

from nizam.sim import legs, recording
from nizam.sim.cdr import CdrPoster, record
from nizam.sim.channel import Channel
from nizam.sim.core import Core
from nizam.sim.questions import Questions
from nizam.sim.truth import LegTruth, Truth, leg_truth


@attrs.define
class Exchange:
    """`pace` is how many real seconds a simulated one takes.

    With `api_expansion` a user's dial-string may call `${sofia_contact(...)}`, as FreeSWITCH
    allows unless it is switched off.
    """

    core: Core
    questions: Questions
    cdr: CdrPoster | None
    truth: Truth
    pace: float = 1.0
    api_expansion: bool = False
    _background: set[Deferred[Any]] = attrs.field(factory=set)

    def finish(self, channel: Channel) -> LegTruth:
        """Ends a hung-up leg for good: its last events and its CDR."""
        if channel.uuid in self.core.channels:
            recording.stop_all(channel)
            legs.complete(channel)
            if self.cdr is not None and channel.times.created:
                self.spawn(self.cdr.post(channel.uuid, record(channel)))
            legs.destroy(channel)
        return leg_truth(channel)

    def spawn(self, work: Coroutine[Deferred[Any], Any, Any]) -> Deferred[Any]:
        """Runs `work` beside everything else; a failure becomes a problem of the truth.

        The Deferred gives what `work` returns, None after a failure, and can be cancelled.
        """
        running = Deferred.fromCoroutine(work)
        self._background.add(running)

        def done(result: Any) -> Any:
            self._background.discard(running)
            return result

        def failed(failure: Failure) -> Failure | None:
            if isinstance(failure.value, CancelledError):
                return failure
            self.truth.problem(failure.getTraceback())
            return None

        running.addErrback(failed)
        running.addBoth(done)
        return running

    async def settle(self) -> None:
        """Waits until nothing runs in the background."""
        while self._background:
            await DeferredList([_watch(running) for running in self._background])


def _watch(running: Deferred[Any]) -> Deferred[None]:
    """A Deferred that fires with `running`, whose own chain goes on untouched."""
    watching: Deferred[None] = Deferred()

    def fired(result: Any) -> Any:
        watching.callback(None)
        return result

    running.addBoth(fired)
    return watching
