"""What all calls of a switch share, and how a leg's end is reported."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from nizam.sim import endings, recording
from nizam.sim.cdr import CdrPoster, record
from nizam.sim.channel import Channel
from nizam.sim.core import Core
from nizam.sim.legs import Target
from nizam.sim.people import Manner
from nizam.sim.questions import Questions
from nizam.sim.truth import LegTruth, Truth, leg_truth

if TYPE_CHECKING:
    from nizam.sim.answers import Action
    from nizam.sim.call import Call
    from nizam.sim.conference import Conference
    from nizam.sim.interruption import Joined, Transferred
    from nizam.sim.script import Script
    from nizam.sim.valet import Slot


SETTLE_SECONDS: Final = 20.0
"""Longer than questions and records are tried for."""


class Sessions(Protocol):
    """Who runs legs (calls.py)."""

    def adopt(self, channel: Channel, first: Joined | Transferred) -> None:
        """Lets a leg that another leg's dialplan ran go on by itself."""

    def call_on(self, channel: Channel) -> Call:
        """A call that runs applications on a leg without routing it."""

    async def originate(
        self, dial_string: str, script: Script, first: Action
    ) -> tuple[Channel | None, str]:
        """Rings a dial-string and lets the leg that answers do `first`: that leg, or the cause."""


@attrs.define
class Exchange:
    """`pace` is how many real seconds a simulated one takes.

    With `api_expansion` a user's dial-string may call `${sofia_contact(...)}`, as FreeSWITCH
    allows unless it is switched off. `sessions` are the calls by the uuid of the leg that runs
    the dialplan; `manners` say how single phones behave (see manner()).
    """

    core: Core
    questions: Questions
    cdr: CdrPoster | None
    truth: Truth
    pace: float = 1.0
    api_expansion: bool = False
    manners: dict[str, Manner] = attrs.field(factory=dict)
    sessions: dict[str, Call] = attrs.field(factory=dict)
    conferences: dict[str, Conference] = attrs.field(factory=dict)
    conference_members: int = 0
    lots: dict[str, dict[str, Slot]] = attrs.field(factory=dict)
    owner: Sessions | None = None
    _background: set[Deferred[Any]] = attrs.field(factory=set)

    def finish(self, channel: Channel) -> LegTruth:
        """Ends a hung-up leg for good: its last events and its CDR."""
        if channel.uuid in self.core.channels:
            recording.stop_all(channel)
            endings.complete(channel)
            if self.cdr is not None and channel.times.created:
                self.spawn(self.cdr.post(channel.uuid, record(channel)))
            endings.destroy(channel)
        self.sessions.pop(channel.uuid, None)
        return leg_truth(channel, self.truth.keeps_details)

    def manner(self, target: Target) -> Manner | None:
        """How whoever is at `target` treats calls; None if nothing special is known.

        Manners are kept under NUMBER@HOST:PORT for one phone, NUMBER@DOMAIN for all of a user's,
        or the number dialled through a gateway.
        """
        for name in (
            f"{target.destination}@{target.host}:{target.port}",
            f"{target.dialled_user or target.destination}@{target.domain}",
            target.destination,
        ):
            if name in self.manners:
                return self.manners[name]
        return None

    def redirect(self, channel: Channel, reason: Joined | Transferred) -> None:
        """Makes a leg leave what it is doing for `reason`, whoever runs its dialplan."""
        if channel.ended:
            return
        if channel.controlled_by is None:
            channel.waiter.interrupt(reason)
            return
        controller, channel.controlled_by = channel.controlled_by, None
        controller.poke()
        channel.part()
        if self.owner is not None:
            self.owner.adopt(channel, reason)

    def call_on(self, channel: Channel) -> Call:
        """What runs applications on a leg that another leg's dialplan made."""
        if self.owner is None:
            raise RuntimeError("this exchange places no calls")
        return self.owner.call_on(channel)

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

    async def settle(self, reactor: IReactorTime) -> None:
        """Waits until nothing runs in the background, for SETTLE_SECONDS at most."""
        over = reactor.seconds() + SETTLE_SECONDS
        while self._background and reactor.seconds() < over:
            running = DeferredList([_watch(it) for it in self._background], consumeErrors=True)
            with suppress(DeferredTimeoutError):
                await running.addTimeout(over - reactor.seconds(), reactor)


def _watch(running: Deferred[Any]) -> Deferred[None]:
    """A Deferred that fires with `running`, whose own chain goes on untouched."""
    watching: Deferred[None] = Deferred()

    def fired(result: Any) -> Any:
        watching.callback(None)
        return result

    running.addBoth(fired)
    return watching
