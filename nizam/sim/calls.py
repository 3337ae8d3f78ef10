"""Placing calls: an INVITE with its authentication, at a steady rate or one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from nizam.sim import endings, legs
from nizam.sim.answers import Action
from nizam.sim.call import Call, call_truth
from nizam.sim.channel import CallerProfile, Channel, Times
from nizam.sim.dialling import Dialler
from nizam.sim.exchange import Exchange
from nizam.sim.interruption import Joined, Transferred
from nizam.sim.phones import Phones
from nizam.sim.questions import SipRequest
from nizam.sim.script import Script, ScriptWriter
from nizam.sim.truth import LegTruth

_CARRIER_PORT = 7324


class Calls:
    """Places calls by scripts. Arrivals keep to the schedule whatever the answers take."""

    def __init__(self, exchange: Exchange, phones: Phones, writer: ScriptWriter) -> None:
        self._exchange = exchange
        self._phones = phones
        self._writer = writer
        self._next: IDelayedCall | None = None
        self._due = 0.0
        self._rate = 0.0
        exchange.owner = self
        self._running = exchange.sessions
        self._idle: list[Deferred[None]] = []
        self._pending = 0

    @property
    def running(self) -> int:
        """Calls that have begun and not ended."""
        return self._pending

    @property
    def placing(self) -> bool:
        """Whether calls are being placed at a rate."""
        return self._next is not None

    def start(self, calls_per_second: float) -> None:
        """Places calls at this rate until stop(); does nothing at a rate of 0."""
        self.stop()
        self._rate = calls_per_second
        if calls_per_second > 0 and self._writer.can_write:
            self._due = self._exchange.core.clock.seconds()
            self._schedule()

    def stop(self) -> None:
        """Places no more calls; those running go on."""
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None

    async def drained(self) -> None:
        """Waits until no call is running."""
        if self._pending:
            idle: Deferred[None] = Deferred()
            self._idle.append(idle)
            await idle

    def place(self, kind: str | None = None, script: Script | None = None) -> Deferred[str]:
        """Begins one call; the Deferred gives its call id when it has ended."""
        script = script or self._writer.write(kind)
        self._exchange.truth.placed += 1
        self._pending += 1
        running = self._exchange.spawn(self._place(script))
        running.addBoth(self._ended)
        return running

    def call_of(self, channel_id: str) -> Call | None:
        """The running call whose own leg is `channel_id`."""
        return self._running.get(channel_id)

    def adopt(self, channel: Channel, first: Joined | Transferred) -> None:
        """Runs a leg that another leg's dialplan made and that goes on by itself."""
        channel.controlled_by = None
        self._take(channel, self._transferred(channel), "transferred", first)

    def call_on(self, channel: Channel) -> Call:
        """What runs applications on a leg whose dialplan another leg runs."""
        return Call(self._exchange, self._transferred(channel), channel, "transferred")

    def _transferred(self, channel: Channel) -> Script:
        domain = channel.fields.get("domain", "")
        return Script("transferred", domain, channel.profile.destination, talk=None)

    def _take(
        self,
        channel: Channel,
        script: Script,
        direction: str,
        first: Action | Joined | Transferred,
        finished: Sequence[LegTruth] = (),
    ) -> None:
        """Runs a leg that exists already; `finished` are legs of its call that have ended."""
        call = Call(self._exchange, script, channel, direction, finished=list(finished))
        self._pending += 1
        running = self._exchange.spawn(self._run(call, first))
        running.addBoth(self._ended)

    async def originate(
        self, dial_string: str, script: Script, first: Action
    ) -> tuple[Channel | None, str]:
        """Rings a dial-string and lets the leg that answers do `first`: that leg, or the cause."""
        dialler = Dialler(self._exchange, script, None)
        outcome = await dialler.dial(dial_string)
        channel, legs_before = outcome.channel, dialler.finished
        if channel is None:
            if legs_before:
                one = legs_before[0]
                self._exchange.truth.calls.append(
                    call_truth(one.uuid, script, "originated", one, legs_before, ())
                )
            return None, outcome.cause
        channel.controlled_by = None
        channel.part()
        self._take(channel, script, "originated", first, legs_before)
        return channel, ""

    def forget(self) -> None:
        """After a restart of the switch: every running call is over without a word."""
        for call in list(self._running.values()):
            call.channel.hangup_cause = call.channel.hangup_cause or "SYSTEM_SHUTDOWN"
            call.abandon()

    async def _place(self, script: Script) -> str:
        channel = await (
            self._from_outside(script) if script.caller is None else self._inside(script)
        )
        if channel is None:
            return ""
        direction = _direction(script)
        call = Call(self._exchange, script, channel, direction)
        if direction != "inbound":
            call.proofs.append("user accepted")
        return await self._run(call, None)

    async def _run(self, call: Call, first: Action | Joined | Transferred | None) -> str:
        self._running[call.channel.uuid] = call
        try:
            await call.run(first)
        finally:
            self._running.pop(call.channel.uuid, None)
        return call.call_id

    async def _from_outside(self, script: Script) -> Channel:
        return legs.inbound_channel(
            self._exchange.core,
            role="external",
            caller=script.outside_caller,
            caller_name=f"User {script.outside_caller}",
            domain=script.domain,
            destination=script.dialled,
            context="public",
            port=_CARRIER_PORT,
        )

    async def _inside(self, script: Script) -> Channel | None:
        user = script.caller
        if user is None:
            return None
        request = self._phones.invite(user, script.dialled)
        found = await self._exchange.questions.authenticate(request)
        if found is None or not found.accepts(user.password):
            self._exchange.truth.problem(f"INVITE of {user.number}@{user.domain} was refused")
            self._refused(request)
            return None
        return legs.inbound_channel(
            self._exchange.core,
            role="internal",
            caller=user.number,
            caller_name=user.name or f"User {user.number}",
            domain=user.domain,
            destination=script.dialled,
            context=found.variables.get("user_context", "public"),
            port=self._phones.port(user),
            user=found,
        )

    def _refused(self, request: SipRequest) -> None:
        """A wrong password: the leg ends CALL_REJECTED before there was a CHANNEL_CREATE."""
        core = self._exchange.core
        unique_id = core.new_uuid()
        name = f"sofia/{request.profile}/{request.user}@{request.domain}"
        profile = CallerProfile("inbound", "", "", "", "", name, unique_id, dialplan="", source="")
        channel = Channel(core, unique_id, "internal", name, profile, {})
        channel.state, channel.state_number = "CS_NEW", 0
        channel.times = Times()
        core.add_channel(channel)
        endings.hang_up(channel, "CALL_REJECTED", "send_refuse")
        self._exchange.finish(channel)

    def _schedule(self) -> None:
        now = self._exchange.core.clock.seconds()
        self._due += 1 / self._rate
        self._next = self._exchange.core.clock.callLater(max(0.0, self._due - now), self._tick)

    def _tick(self) -> None:
        self.place()
        self._schedule()

    def _ended(self, result: Any) -> Any:
        self._pending -= 1
        if not self._pending:
            waiting, self._idle = self._idle, []
            for idle in waiting:
                idle.callback(None)
        return result


def _direction(script: Script) -> str:
    if script.caller is None:
        return "inbound"
    return "outbound" if script.scenario == "outbound" else "internal"
