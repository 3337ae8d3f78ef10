"""One call: a leg that runs the dialplan it is answered, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from twisted.internet.interfaces import IDelayedCall

from nizam.sim import bridging, endings
from nizam.sim.answers import Action
from nizam.sim.applications import APPLICATIONS
from nizam.sim.channel import CallerProfile, Channel, Times
from nizam.sim.exchange import Exchange
from nizam.sim.expansion import expand
from nizam.sim.interruption import Joined, LegEnded, Transferred
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
    unfinished: list[Channel] = attrs.field(factory=list)
    on_key: Callable[[str], None] | None = None
    parting_cause: str = "NORMAL_CLEARING"
    _digits: list[str] = attrs.field(init=False)
    _timers: list[IDelayedCall] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self._digits = list(self.script.digits)
        self.call_id = self.call_id or self.channel.uuid

    async def run(self, first: Action | Joined | Transferred | None = None) -> None:
        """Routes the leg until it ends; `first` comes before, or instead, of the dialplan.

        The truth has the call afterwards, unless a restart of the switch took it away.
        """
        if self.script.give_up is not None:
            self.later(self.script.give_up, self._give_up)
        try:
            if isinstance(first, Joined):
                await self._converse(first)
            elif isinstance(first, Transferred):
                self.show_transfer(first)
                await self._route(first.inline)
            elif first is not None:
                await self._first(first)
            else:
                await self._route()
        except LegEnded:
            pass
        finally:
            for timer in self._timers:
                if timer.active():
                    timer.cancel()
            self._end()

    async def perform(self, action: Action) -> None:
        """Runs one dialplan application, with CHANNEL_EXECUTE and its completion.

        An unknown one ends the leg at once, as seen. Raises Interruption when the leg is hung up,
        transferred or connected elsewhere meanwhile.
        """
        channel, truth = self.channel, self.exchange.truth
        application = APPLICATIONS.get(action.application)
        if application is None:
            truth.unknown_applications.append(action.application)
            self.problem(f"invalid application {action.application!r}")
            self.end("DESTINATION_OUT_OF_ORDER")
            return
        truth.applications[action.application] = truth.applications.get(action.application, 0) + 1
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
        await application(self, data)
        channel.fire("CHANNEL_EXECUTE_COMPLETE", [*execution])

    async def perform_named(self, application: str, data: str) -> None:
        """perform(), for an application that a variable, a key or a menu names."""
        await self.perform(Action(application, data))

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
        endings.hang_up(self.channel, cause, how)
        raise LegEnded

    def caller_hangs_up(self) -> None:
        """The caller's BYE."""
        if endings.hang_up(self.channel, "NORMAL_CLEARING", "recv_bye"):
            self.channel.wake(LegEnded())

    def abandon(self) -> None:
        """The switch forgot this call: whatever it waits for ends, without an event."""
        self.channel.wake(LegEnded())

    def next_answer(self) -> str:
        """What the caller presses at the next prompt, by the script."""
        return self._digits.pop(0) if self._digits else ""

    async def until_caller_leaves(self, seconds: float | None) -> None:
        """Waits for the caller's BYE after simulated `seconds`; raises Interruption."""
        await self.channel.waiter.sleep(None if seconds is None else seconds * self.exchange.pace)
        self.caller_hangs_up()
        await self.channel.waiter.sleep(0)

    def _give_up(self) -> None:
        """The caller's CANCEL, if nobody answered so far."""
        if self.channel.answered:
            return
        if endings.hang_up(self.channel, "ORIGINATOR_CANCEL", "recv_cancel"):
            self.channel.wake(LegEnded())

    async def _first(self, first: Action) -> None:
        try:
            await self.perform(first)
        except Transferred as transfer:
            self.show_transfer(transfer)
            await self._route(transfer.inline)
            return
        except Joined as joined:
            await self._converse(joined)
            return
        if not self.channel.ended:
            self.end("NORMAL_CLEARING")

    async def _converse(self, joined: Joined) -> None:
        """Is connected with another leg, and then with others, until the leg is routed again."""
        while True:
            try:
                await bridging.converse(self, joined)
            except Joined as again:
                joined = again
            except Transferred as transfer:
                self.show_transfer(transfer)
                await self._route(transfer.inline)
                return

    async def _route(self, inline: Action | None = None) -> None:
        channel = self.channel
        if inline is not None:
            await self._first(inline)
            return
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
                self.show_transfer(transfer)
                if transfer.inline is not None:
                    await self._first(transfer.inline)
                    return
                continue
            except Joined as joined:
                await self._converse(joined)
                return
            self.end("NORMAL_CLEARING")
            return
        self.end("EXCHANGE_ROUTING_ERROR")

    async def _perform_all(self, actions: Sequence[Action]) -> None:
        for action in actions:
            self.check()
            await self.perform(action)
        self.check()

    def show_transfer(self, transfer: Transferred) -> None:
        """A new caller profile for the new destination, as a blind transfer makes one."""
        if transfer.shown or transfer.inline is not None:
            return
        transfer.shown = True
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
        if old.direction == "outbound" and channel.role == "originate" and old.index == 1:
            # Whoever is rung next sees the phone that was rung first (switch_channel_flip_cid).
            old = attrs.evolve(
                old,
                caller_id_name=old.callee_id_name,
                caller_id_number=old.callee_id_number,
                callee_id_name=old.caller_id_name,
                callee_id_number=old.caller_id_number,
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

    def later(self, seconds: float, action: Callable[[], object]) -> IDelayedCall:
        """Does something after so many simulated seconds, unless the call has ended before."""
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
            endings.hang_up(channel, "NORMAL_TEMPORARY_FAILURE", "send_bye")
        self.finished.append(self.exchange.finish(channel))
        self.finished += [self.exchange.finish(leg) for leg in self.unfinished]
        first = next(leg for leg in self.finished if leg.uuid == channel.uuid)
        truth.calls.append(
            call_truth(self.call_id, self.script, self.direction, first, self.finished, self.proofs)
        )

    async def on_answer(self) -> None:
        """Runs what `execute_on_answer`, and variables whose names begin so, ask for."""
        for name in [it for it in self.channel.variables if it.startswith("execute_on_answer")]:
            command = self.channel.get(name) or ""
            application, colons, data = command.partition("::")
            if not colons:
                application, _, data = command.partition(" ")
            await self.perform_named(application, data)

    def release(self, b: Channel) -> None:
        """A leg that was bridged to this one is over."""
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
