"""Waiting that can be broken off: a leg's dialplan sleeps, and a hang-up or a transfer wakes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

if TYPE_CHECKING:
    from nizam.sim.answers import Action
    from nizam.sim.channel import Channel


class Interruption(Exception):
    """What the leg was doing is over."""


class LegEnded(Interruption):
    """The leg was hung up."""


@attrs.define
class Joined(Interruption):
    """The leg is connected with `peer`, another leg that runs by itself (uuid_bridge).

    `leads` says that this leg's events tell of the bridge; `cause` is for the leg it leaves.
    """

    peer: Channel
    leads: bool
    cause: str = "NORMAL_CLEARING"


@attrs.define
class Perform(Interruption):
    """The leg is to run an application and then to go on (a bound key, a broadcast)."""

    application: str
    data: str


@attrs.define
class Transferred(Interruption):
    """The leg goes on at another destination; `shown` when its caller profile says so already.

    With `inline` it does that one thing, and asks nobody (uuid_park).
    """

    destination: str
    context: str
    shown: bool = False
    inline: Action | None = None


class Waiter:
    """One sleeper at a time, on `clock`."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._sleeping: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._pending: Interruption | None = None

    async def sleep(self, seconds: float | None) -> None:
        """Waits `seconds`, or until poke(); None waits without end.

        Raises what interrupt() was given, even if that happened before.
        """
        if self._pending is not None:
            pending, self._pending = self._pending, None
            raise pending
        sleeping: Deferred[None] = Deferred()
        self._sleeping = sleeping
        if seconds is not None:
            self._timer = self._clock.callLater(max(0.0, seconds), self._wake)
        await sleeping

    def poke(self) -> None:
        """Ends the sleep early, if there is one."""
        self._wake()

    def interrupt(self, reason: Interruption) -> None:
        """Makes the sleep, or else the next one, raise `reason`."""
        if self._sleeping is None:
            self._pending = reason
        else:
            self._wake(reason)

    def _wake(self, reason: Interruption | None = None) -> None:
        sleeping, self._sleeping = self._sleeping, None
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if sleeping is not None:
            if reason is None:
                sleeping.callback(None)
            else:
                sleeping.errback(reason)
