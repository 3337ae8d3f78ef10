"""One call: a leg that runs the dialplan it is answered, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from twisted.internet.interfaces import IDelayedCall

from nizam.sim import legs
from nizam.sim.answers import Action
from nizam.sim.applications import APPLICATIONS
from nizam.sim.channel import CallerProfile, Channel, Times
from nizam.sim.dialling import Dialler
from nizam.sim.exchange import Exchange
from nizam.sim.expansion import expand
from nizam.sim.interruption import Interruption, LegEnded, Transferred
from nizam.sim.script import Script
from nizam.sim.truth import CallTruth, LegTruth

RECORDINGS_FOLDER = "/var/lib/freeswitch/recordings"
_MAX_TRANSFERS = 20


@attrs.define(eq=False)
class Call:
    """Runs `channel` by the answers of xml_curl and by what the people of `script` do.

    `call_id` is the uuid of the call's first leg.
    """

    exchange: Exchange
    script: Script
    channel: Channel
    direction: str
    call_id: str = ""
    proofs: list[str] = attrs.field(factory=list)
    finished: list[LegTruth] = attrs.field(factory=list)
    _unfinished: list[Channel] = attrs.field(factory=list)
    _digits: list[str] = attrs.field(init=False)
    _timers: list[IDelayedCall] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self._digits = list(self.script.digits)
        self.call_id = self.call_id or self.channel.uuid

    async def run(self, first: Action | None = None) -> None:
        """Routes the leg until it ends; `first` runs before, or instead, of the dialplan.

        The truth has the call afterwards, unless a restart of the switch took it away.
        """
        if self.script.give_up is not None:
            self._later(self.script.give_up, self._give_up)
        try:
            if first is None:
                await self._route()
            else:
                await self._first(first)
        except LegEnded:
            pass
        finally:
            for timer in self._timers:
                if timer.active():
                    timer.cancel()
            self._end()

    async def perform(self, action: Action) -> None:
        """Runs one dialplan application, with CHANNEL_EXECUTE and its completion.

        Raises Interruption when the leg is hung up or transferred meanwhile.
        """
        channel = self.channel
        data = expand(action.data, self._variable)
        channel.app_log.append((action.application, data, channel.core.now()))
        channel.set("current_application_data", data or None)
        channel.set("current_application", action.application)
        execution = [
            ("Application", action.application),
            ("Application-Data", data),
            ("Application-UUID", channel.core.new_uuid()),
        ]
        channel.fire("CHANNEL_EXECUTE", [*execution])
        application = APPLICATIONS.get(action.application)
        if application is None:
            self.problem(f"invalid application {action.application!r}")
            self.end("DESTINATION_OUT_OF_ORDER")
            return
        await application(self, data)
        channel.fire("CHANNEL_EXECUTE_COMPLETE", [*execution])

    def check(self) -> None:
        """Raises LegEnded when the leg was hung up while something else was awaited."""
        if self.channel.ended or self.channel.uuid not in self.channel.core.channels:
            raise LegEnded

    def problem(self, text: str) -> None:
        """Notes in the truth what a right answer would have spared this call."""
        self.exchange.truth.problem(f"{self.script.scenario} {self.channel.uuid}: {text}")

    def end(self, cause: str) -> None:
        """Hangs up from our side and raises LegEnded."""
        how = "send_bye" if self.channel.answered else "send_refuse"
        legs.hang_up(self.channel, cause, how)
        raise LegEnded

    def caller_hangs_up(self) -> None:
        """The caller's BYE."""
        if legs.hang_up(self.channel, "NORMAL_CLEARING", "recv_bye"):
            self.channel.wake(LegEnded())

    def abandon(self) -> None:
        """The switch forgot this call: whatever it waits for ends, without an event."""
        self.channel.wake(LegEnded())

    def press(self) -> str:
        """The digits that the caller presses in the next menu, with a DTMF event for each."""
        digits = self._digits.pop(0) if self._digits else ""
        for digit in digits:
            self.channel.fire(
                "DTMF",
                [("DTMF-Digit", digit), ("DTMF-Duration", "1280"), ("DTMF-Source", "ENDPOINT")],
            )
        return digits

    async def until_caller_leaves(self, seconds: float) -> None:
        """Waits for the caller's BYE after simulated `seconds`; raises Interruption."""
        await self.channel.waiter.sleep(seconds * self.exchange.pace)
        self.caller_hangs_up()
        await self.channel.waiter.sleep(0)

    def _give_up(self) -> None:
        """The caller's CANCEL, if nobody answered so far."""
        if self.channel.answered:
            return
        if legs.hang_up(self.channel, "ORIGINATOR_CANCEL", "recv_cancel"):
            self.channel.wake(LegEnded())

    async def _first(self, first: Action) -> None:
        try:
            await self.perform(first)
        except Transferred as transfer:
            self._transfer(transfer)
            await self._route()
            return
        if not self.channel.ended:
            self.end("NORMAL_CLEARING")

    async def _route(self) -> None:
        channel = self.channel
        for _ in range(_MAX_TRANSFERS):
            channel.set("call_uuid", channel.call_uuid)
            if channel.call_state == "DOWN":
                channel.call_state = "RINGING"
            channel.state, channel.state_number = "CS_ROUTING", 2
            extension = await self.exchange.questions.dialplan(channel)
            self.check()
            if extension is None:
                self.proofs.append("not found")
                self.end("NO_ROUTE_DESTINATION")
                return
            channel.state, channel.state_number = "CS_EXECUTE", 4
            self.proofs.append(f"dialplan {extension.name}")
            pairs = tuple((action.application, action.data) for action in extension.actions)
            channel.extensions.append((extension.name, channel.profile.destination, pairs))
            try:
                await self._perform_all(extension.actions)
            except Transferred as transfer:
                self._transfer(transfer)
                continue
            self.end("NORMAL_CLEARING")
            return
        self.end("EXCHANGE_ROUTING_ERROR")

    async def _perform_all(self, actions: Sequence[Action]) -> None:
        for action in actions:
            self.check()
            await self.perform(action)
        self.check()

    def _transfer(self, transfer: Transferred) -> None:
        """A new caller profile for the new destination, as a blind transfer makes one."""
        channel = self.channel
        now = channel.core.now()
        old = channel.profile
        times = channel.times
        channel.earlier_profiles.append(
            (old, Times(times.created, times.profile_created, transfer=now))
        )
        source = (
            f"{now // 1_000_000}:{channel.core.new_uuid()}:bl_xfer:"
            f"{transfer.destination}/{transfer.context}/XML"
        )
        channel.profile = attrs.evolve(
            old,
            destination=transfer.destination,
            context=transfer.context,
            rdnis=old.destination if old.direction == "inbound" else old.rdnis,
            transfer_source=source,
            index=old.index + 1,
        )
        channel.append("transfer_history", source)
        channel.set("transfer_source", source)
        self.proofs.append(f"transferred {transfer.destination}")

    def _variable(self, name: str) -> str | None:
        profile: CallerProfile = self.channel.profile
        known = {
            "uuid": self.channel.uuid,
            "destination_number": profile.destination,
            "caller_id_number": profile.caller_id_number,
            "caller_id_name": profile.caller_id_name,
            "context": profile.context,
            "recordings_dir": RECORDINGS_FOLDER,
            "us-ring": "%(2000,4000,440,480)",
        }
        return self.channel.get(name) or known.get(name)

    def _later(self, seconds: float, action: Callable[[], object]) -> IDelayedCall:
        clock = self.exchange.core.clock
        timer = clock.callLater(seconds * self.exchange.pace, action)
        self._timers.append(timer)
        return timer

    def _end(self) -> None:
        channel = self.channel
        truth = self.exchange.truth
        if channel.uuid not in channel.core.channels:
            truth.lost.append(self.call_id)
            return
        if not channel.ended:  # a fault of the simulation itself must not leave a ghost
            legs.hang_up(channel, "NORMAL_TEMPORARY_FAILURE", "send_bye")
        self.finished.append(self.exchange.finish(channel))
        self.finished += [self.exchange.finish(leg) for leg in self._unfinished]
        first = next(leg for leg in self.finished if leg.uuid == channel.uuid)
        truth.calls.append(
            call_truth(self.call_id, self.script, self.direction, first, self.finished, self.proofs)
        )

    async def connect(self, data: str) -> None:
        """The `bridge` application: rings a dial-string and connects who answers."""
        a = self.channel
        dialler = Dialler(self.exchange, self.script, a)
        try:
            outcome = await dialler.dial(data)
        except Transferred:
            self.finished += [self.exchange.finish(leg) for leg in dialler.unfinished]
            dialler.unfinished.clear()
            raise
        finally:
            self.proofs += [f"rang {number}" for number in dialler.rang]
            self.finished += dialler.finished
            self._unfinished += dialler.unfinished
        b, target = outcome.channel, outcome.target
        if b is None or target is None:
            self.proofs.append(f"refused {outcome.cause}")
            if not _continues(a.get("continue_on_fail"), outcome.cause):
                self.end(outcome.cause)
            return
        answering = not a.answered
        legs.answer_inbound(a)
        dialler.connected(outcome)
        legs.bridge(a, b)
        self.proofs.append(f"bridged {target.dialled_user or target.destination}")
        if answering:
            await self.on_answer()
        await self._talk(a, b)

    async def on_answer(self) -> None:
        """Runs what `execute_on_answer` asks for."""
        command = self.channel.get("execute_on_answer")
        if command:
            application, _, data = command.partition(" ")
            await self.perform(Action(application, data))

    async def _talk(self, a: Channel, b: Channel) -> None:
        def callee_hangs_up() -> None:
            if legs.hang_up(b, "NORMAL_CLEARING", "recv_bye"):
                a.waiter.poke()

        by_caller = self.script.hang_up_by == "caller"
        timer = self._later(
            self.script.talk, self.caller_hangs_up if by_caller else callee_hangs_up
        )
        try:
            while not b.ended and b.controlled_by is a.waiter:
                await a.waiter.sleep(None)
        except Interruption:
            if b.controlled_by is a.waiter:
                legs.hang_up(b, a.hangup_cause or "NORMAL_CLEARING", "send_bye")
                legs.unbridge(a, b)
                self._release(b)
            raise
        finally:
            if timer.active():
                timer.cancel()
        if b.controlled_by is not a.waiter:  # the other leg was transferred away
            legs.unbridge(a, b)
            a.part()
            self.end("NORMAL_CLEARING")
        self._release(b)
        legs.unbridge(a, b)
        if a.get("hangup_after_bridge") == "true":
            self.end(b.hangup_cause)

    def _release(self, b: Channel) -> None:
        self.finished.append(self.exchange.finish(b))


def call_truth(
    call_id: str,
    script: Script,
    direction: str,
    first: LegTruth,
    finished: Sequence[LegTruth],
    proofs: Sequence[str],
) -> CallTruth:
    """What stays of a call whose own leg was `first`."""
    return CallTruth(
        call_id=call_id,
        scenario=script.scenario,
        direction=direction,
        domain=script.domain,
        caller=first.caller,
        dialled=script.dialled,
        created=first.created,
        answered=first.answered,
        ended=first.ended,
        cause=first.cause,
        legs=tuple(sorted(finished, key=lambda leg: leg.created)),
        proofs=tuple(proofs),
    )


def _continues(continue_on_fail: str | None, cause: str) -> bool:
    """Whether the dialplan goes on after a failed bridge (mod_dptools, audio_bridge_function)."""
    if continue_on_fail is None:
        return False
    return continue_on_fail.lower() == "true" or cause in continue_on_fail.upper().split(",")
