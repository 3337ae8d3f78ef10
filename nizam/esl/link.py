"""A connection to FreeSWITCH that comes back by itself.

`EslLink` is one connection as a service: it connects, authenticates, subscribes, says when it is
up and down, and reconnects until it is stopped. Its life is the declared machine below, in the
manner of Twisted's ClientService:

    Stopped -> Connecting -> Authenticating -> Up
                  ^  |             |            |
                  |  v             v            v
                  Waiting <--------+------------+        stop, from anywhere: Stopping -> Stopped

What was in flight when a connection ends is not sent again: it may have been carried out.
"""

from __future__ import annotations

import random as _random
import uuid
from collections.abc import Callable
from typing import Final, ParamSpec, cast
from typing import Protocol as Interface

import attrs
from automat import TypeMachine, TypeMachineBuilder
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from zope.interface import implementer

from nizam.errors import ConnectionGone
from nizam.esl import commands
from nizam.esl.commands import Command
from nizam.esl.event import SwitchEvent
from nizam.esl.interface import ISwitchLink
from nizam.esl.protocol import EslProtocol, Timing
from nizam.esl.retry import REFUSED, retry_delay
from nizam.esl.session import Refusal, Session
from nizam.esl.subscription import Subscription

# A connection that ends sooner than this was no success: the waits go on growing.
SETTLED_AFTER: Final = 5.0
_DEFAULT_TIMING: Final = Timing()

P = ParamSpec("P")


class _Machine(Interface):
    """The inputs of the machine."""

    def start(self) -> None:
        """Connect, and keep connected."""

    def stop(self) -> Deferred[None]:
        """End the connection or the attempt; fires when nothing is left of it."""

    def connected(self, protocol: EslProtocol) -> None:
        """TCP is there."""

    def failed(self, reason: str) -> None:
        """TCP did not come about."""

    def overdue(self) -> None:
        """The attempt takes too long."""

    def ready(self, protocol: EslProtocol) -> None:
        """FreeSWITCH accepted the password and the subscription."""

    def lost(self, reason: str) -> None:
        """The connection is over."""

    def retry(self) -> None:
        """The wait is over."""


@attrs.define
class _Core:
    """What the states share."""

    name: str
    clock: IReactorTime
    connect: Callable[[], Deferred[EslProtocol]]
    timing: Timing
    random: Callable[[], float]
    on_up: Callable[[], None]
    on_down: Callable[[str], None]
    log: Logger

    failures: int = 0
    refusal: Refusal | None = None
    in_use: EslProtocol | None = None
    up_since: float = 0.0
    deadline: IDelayedCall | None = None
    stop_waiters: list[Deferred[None]] = attrs.Factory(list)

    def end_deadline(self) -> None:
        deadline, self.deadline = self.deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()

    def came_up(self, protocol: EslProtocol) -> None:
        self.end_deadline()
        self.in_use = protocol
        self.up_since = self.clock.seconds()
        self.tell(self.on_up)

    def went_down(self, reason: str) -> None:
        if self.in_use is not None:
            self.in_use = None
            if self.clock.seconds() - self.up_since >= SETTLED_AFTER:
                self.failures = 0
            self.tell(self.on_down, reason)

    def wait_for_stop(self) -> Deferred[None]:
        self.end_deadline()
        waiter: Deferred[None] = Deferred()
        self.stop_waiters.append(waiter)
        return waiter

    def stopped(self) -> None:
        waiters, self.stop_waiters = self.stop_waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def tell(self, callback: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call a listener; what it does wrong is logged and does not harm the link."""
        try:
            callback(*args, **kwargs)
        except Exception:
            self.log.failure("{name}: a listener failed", name=self.name)


def _build_machine() -> TypeMachine[_Machine, _Core]:
    builder = TypeMachineBuilder(_Machine, _Core)

    def attempt(machine: _Machine, core: _Core) -> Deferred[None]:
        core.refusal = None
        core.deadline = core.clock.callLater(core.timing.establish, machine.overdue)
        return core.connect().addCallbacks(
            machine.connected, lambda failure: machine.failed(failure.getErrorMessage())
        )

    def hold(_machine: _Machine, _core: _Core, protocol: EslProtocol) -> EslProtocol:
        return protocol

    def wait(machine: _Machine, core: _Core, reason: str) -> IDelayedCall:
        core.end_deadline()
        core.went_down(reason)
        core.failures += 1
        delay = REFUSED if core.refusal else retry_delay(core.failures, core.random())
        core.log.info(
            "{name}: {reason}; next attempt in {delay:.2f} s",
            name=core.name,
            reason=reason,
            delay=delay,
        )
        return core.clock.callLater(delay, machine.retry)

    stopped = builder.state("Stopped")
    connecting = builder.state("Connecting", attempt)
    authenticating = builder.state("Authenticating", hold)
    up = builder.state("Up", hold)
    waiting = builder.state("Waiting", wait)
    stopping = builder.state("Stopping")

    stopped.upon(_Machine.start).to(connecting).returns(None)
    connecting.upon(_Machine.connected, nodata=True).to(authenticating).returns(None)
    connecting.upon(_Machine.failed, nodata=True).to(waiting).returns(None)
    authenticating.upon(_Machine.lost, nodata=True).to(waiting).returns(None)
    up.upon(_Machine.lost, nodata=True).to(waiting).returns(None)
    waiting.upon(_Machine.retry, nodata=True).to(connecting).returns(None)
    stopping.upon(_Machine.ready).loop().returns(None)

    @authenticating.upon(_Machine.ready, nodata=True).to(up)
    def announce(_machine: _Machine, core: _Core, protocol: EslProtocol) -> None:
        core.came_up(protocol)

    @connecting.upon(_Machine.overdue).loop()
    def cancel(_machine: _Machine, _core: _Core, connecting: Deferred[None]) -> None:
        connecting.cancel()

    @authenticating.upon(_Machine.overdue).loop()
    def give_up(_machine: _Machine, core: _Core, protocol: EslProtocol) -> None:
        protocol.drop(f"not authenticated after {core.timing.establish:g} s")

    @stopped.upon(_Machine.stop).loop()
    def nothing_to_stop(_machine: _Machine, _core: _Core) -> Deferred[None]:
        return succeed(None)

    @waiting.upon(_Machine.stop).to(stopped)
    def stop_waiting(_machine: _Machine, _core: _Core, next_try: IDelayedCall) -> Deferred[None]:
        next_try.cancel()
        return succeed(None)

    @connecting.upon(_Machine.stop).to(stopping)
    def stop_connecting(
        _machine: _Machine, core: _Core, connecting: Deferred[None]
    ) -> Deferred[None]:
        waiter = core.wait_for_stop()
        connecting.cancel()
        return waiter

    @authenticating.upon(_Machine.stop).to(stopping)
    @up.upon(_Machine.stop).to(stopping)
    def leave(_machine: _Machine, core: _Core, protocol: EslProtocol) -> Deferred[None]:
        waiter = core.wait_for_stop()
        protocol.leave()
        return waiter

    @stopping.upon(_Machine.stop).loop()
    def stop_too(_machine: _Machine, core: _Core) -> Deferred[None]:
        return core.wait_for_stop()

    @stopping.upon(_Machine.connected).loop()
    def connected_too_late(_machine: _Machine, _core: _Core, protocol: EslProtocol) -> None:
        protocol.leave()

    @stopping.upon(_Machine.failed).to(stopped)
    @stopping.upon(_Machine.lost).to(stopped)
    def finish(_machine: _Machine, core: _Core, reason: str) -> None:
        core.went_down(reason)
        core.stopped()

    return builder.build()


_machine_of: Final = _build_machine()


@attrs.frozen
class _Owner:
    """Leads what happens on one connection to the machine and the listeners."""

    machine: _Machine
    core: _Core
    on_event: Callable[[SwitchEvent, float], None]
    on_refused: Callable[[Refusal, str], None]

    def protocol_ready(self, protocol: EslProtocol) -> None:
        self.machine.ready(protocol)

    def protocol_refused(self, refusal: Refusal, detail: str) -> None:
        self.core.refusal = refusal
        self.core.tell(self.on_refused, refusal, detail)

    def protocol_event(self, event: SwitchEvent, received_at: float) -> None:
        try:
            self.on_event(event, received_at)
        except Exception:
            self.core.log.failure(
                "{name}: the listener failed on {event}", name=self.core.name, event=event.name
            )

    def protocol_lost(self, reason: str) -> None:
        self.machine.lost(reason)


@implementer(ISwitchLink)
class EslLink(Service):
    """One connection to one FreeSWITCH node, kept up from startService to stopService.

    `clock` is the reactor; `endpoint` leads to the node's event socket; `password` is that
    socket's. `subscription` is what FreeSWITCH shall send; with HEARTBEAT in it, silence ends the
    connection. `name` is for the log.

    `on_event(event, received_at)` gets every event that no `bgapi` here waits for, in the order
    of the wire, with the clock's time of its arrival. `on_up()` is called when FreeSWITCH has
    accepted the subscription, `on_down(reason)` when that connection is over: what happened in
    between the two is not known. `on_refused(refusal, detail)` is called when only a person can
    help (wrong password, access list): it should raise an alarm. They may not block or
    stop the link; what they raise is logged.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        endpoint: IStreamClientEndpoint,
        password: str,
        *,
        subscription: Subscription | None = None,
        on_event: Callable[[SwitchEvent, float], None] = lambda _event, _received_at: None,
        on_up: Callable[[], None] = lambda: None,
        on_down: Callable[[str], None] = lambda _reason: None,
        on_refused: Callable[[Refusal, str], None] = lambda _refusal, _detail: None,
        timing: Timing = _DEFAULT_TIMING,
        random: Callable[[], float] = _random.random,
        name: str = "event socket",
    ) -> None:
        setup = [subscription.command()] if subscription else []

        def build_protocol() -> EslProtocol:
            return EslProtocol(
                Session(commands.auth(password), setup),
                clock,
                self._owner,
                timing,
                expect_heartbeat=subscription is not None and subscription.has_heartbeat,
            )

        def connect() -> Deferred[EslProtocol]:
            # Twisted types every endpoint's result as IProtocol, whatever the factory builds.
            connecting = endpoint.connect(Factory.forProtocol(build_protocol))
            return cast("Deferred[EslProtocol]", connecting)

        self._core = _Core(name, clock, connect, timing, random, on_up, on_down, self._log)
        self._machine = _machine_of(self._core)
        self._owner = _Owner(self._machine, self._core, on_event, on_refused)

    @property
    def connected(self) -> bool:
        """Whether a command would be sent now."""
        return self._core.in_use is not None and self._core.in_use.usable

    def startService(self) -> None:  # noqa: N802
        """Start to connect."""
        if not self.running:
            super().startService()  # type: ignore[no-untyped-call]
            self._machine.start()

    def stopService(self) -> Deferred[None]:  # noqa: N802
        """End the connection, after answers under way; fires when it is closed."""
        super().stopService()  # type: ignore[no-untyped-call]
        return self._machine.stop()

    async def api(self, command: str, timeout: float) -> str:
        """See ISwitchLink."""
        return await self.execute(commands.api(command), timeout)

    async def bgapi(self, command: str, timeout: float) -> str:
        """See ISwitchLink. The subscription has to have BACKGROUND_JOB."""
        return await self.execute(commands.bgapi(command, str(uuid.uuid4())), timeout)

    async def execute(self, command: Command, timeout: float) -> str:
        """The text of the answer to any command, sent now and once.

        `timeout` is in seconds. Raises errors.SwitchError when FreeSWITCH says -ERR,
        errors.ConnectionGone (`maybe_executed` says whether it was sent), errors.TimeoutExceeded.
        """
        protocol = self._core.in_use
        if protocol is None:
            raise ConnectionGone("FreeSWITCH is not connected", maybe_executed=False)
        return await protocol.request(command, timeout)
