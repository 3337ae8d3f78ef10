"""Legs rung together: who rings when, who answers first, and what becomes of the others."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from nizam.sim import endings, keypad, legs
from nizam.sim.causes import DIALSTATUS, is_true
from nizam.sim.channel import Channel
from nizam.sim.interruption import Interruption, Joined
from nizam.sim.legs import Target
from nizam.sim.people import Manner

if TYPE_CHECKING:
    from nizam.sim.dialling import Dialler

DEFAULT_TIMEOUT_SECONDS = 60.0
# A phone beside the first one of a group answers later, so that the race has one winner.
_LATER = 0.4
# When an INVITE that nothing answers is given up (RFC 3261, timer B).
_NO_RESPONSE_SECONDS = 32.0
# What a phone needs that answers by itself.
_BY_ITSELF_SECONDS = 0.1


@attrs.frozen
class Outcome:
    """`channel`, at `target`, answered; or nobody did, and `cause` says why.

    `sip_status` is what the last phone that refused said. With `early` the leg only plays to the
    caller so far, and `answers_after` says in how many simulated seconds it answers, if ever.
    """

    cause: str
    channel: Channel | None = None
    target: Target | None = None
    sip_status: int | None = None
    early: bool = False
    answers_after: float | None = None


@attrs.define(eq=False)
class Ringing:
    """One target, and its leg once it was started."""

    target: Target
    channel: Channel | None = None
    done: bool = False
    manner: Manner = attrs.field(factory=Manner)
    answers_at: float | None = None


class Race:
    """The legs of one attempt, rung together on a timeline of simulated seconds."""

    def __init__(
        self, dialler: Dialler, variables: Mapping[str, str], ringing: list[Ringing]
    ) -> None:
        self._dialler = dialler
        self._exchange = dialler.exchange
        self._core = dialler.exchange.core
        self._a = dialler.originator
        self._script = dialler.script
        self._variables = variables
        self._ringing = ringing
        self._cause = "NO_ANSWER"
        self._status: int | None = None
        self._started = self._core.clock.seconds()
        self._timeline: list[tuple[float, int, str, int]] = []
        for index, leg in enumerate(ringing):
            self._at(_number(leg.target.variables, "leg_delay_start", 0.0), "start", index)
        self._at(self._timeout(), "timeout", -1)

    async def run(self) -> Outcome:
        """Rings until one answers or none is left; raises Interruption like Dialler.dial."""
        if self._a is not None:
            self._a.set("originate_disposition", "failure")
            self._a.set("DIALSTATUS", "INVALIDARGS")
        try:
            while any(not leg.done for leg in self._ringing):
                when, _, what, index = self._timeline[0]
                wait = self._started + when * self._exchange.pace - self._core.clock.seconds()
                if wait > 0:
                    await self._dialler.waiter.sleep(wait)
                    self._collect_killed()
                    continue
                heapq.heappop(self._timeline)
                if index >= 0 and self._ringing[index].done:
                    continue
                if what == "timeout":
                    self._cancel("NO_ANSWER")
                elif what in ("answer", "confirm"):
                    won = self._on_answer(index, confirmed=what == "confirm")
                    if won is not None:
                        return won
                elif what == "early":
                    won = self._on_early(index)
                    if won is not None:
                        return won
                else:
                    getattr(self, f"_on_{what}")(index)
        except Interruption as reason:
            self._abandon("PICKED_OFF" if isinstance(reason, Joined) else "ORIGINATOR_CANCEL")
            raise
        return Outcome(self._cause, sip_status=self._status)

    def _on_start(self, index: int) -> None:
        leg = self._ringing[index]
        target = leg.target
        channel = legs.outbound_channel(self._core, target, self._a, self._variables)
        channel.controlled_by = self._dialler.waiter
        leg.channel = channel
        if self._a is not None:
            self._a.set("originate_signal_bond", channel.uuid)
            self._a.append("originated_legs", originated_leg(channel))
        begin = self._elapsed()
        manner = self._exchange.manner(target)
        after = 0.0
        if manner is None:
            manner, after = self._script.manner, _LATER * index
            if target.role == "gateway":
                manner = attrs.evolve(manner, does="answers")
        leg.manner = manner
        after += begin + manner.ring
        invited = channel.invite
        if invited is not None and invited.answers_itself and manner.answers_itself:
            manner, after = Manner(confirm=manner.confirm), begin + _BY_ITSELF_SECONDS
        if manner.does == "is dead":
            self._at(begin + _NO_RESPONSE_SECONDS, "no_response", index)
        elif manner.early_media:
            self._at(begin + 0.02, "early", index)
        elif manner.refusal is None:
            self._at(begin + 0.02, "ring", index)
        if manner.refusal is not None:
            if manner.does != "answers":
                self._at(begin + 0.02, "ring", index)
            self._at(after, "refuse", index)
        elif manner.does == "answers":
            leg.answers_at = after
            self._at(after, "answer", index)
        variables = {**self._variables, **target.variables}
        timeout = _number(variables, "leg_timeout", 0.0)
        if timeout:
            self._at(begin + timeout, "leg_timeout", index)
        timeout = _number(variables, "leg_progress_timeout", 0.0)
        if timeout:
            self._at(begin + timeout, "leg_progress_timeout", index)

    def _on_ring(self, index: int) -> None:
        leg = self._ringing[index]
        if leg.channel is None:
            return
        legs.ring(leg.channel)
        self._note_rang(leg)
        if self._a is None or self._a.ended:
            return
        ringback = self._a.get("transfer_ringback" if self._a.answered else "ringback")
        if ringback:
            legs.pre_answer(self._a)
            self._a.hear(ringback)
        elif not is_true(self._variables.get("ignore_early_media")):
            legs.ring_ready(self._a)
        self._a.profile.callee_id_name = legs.CALLEE_NAME
        self._a.profile.callee_id_number = leg.channel.profile.callee_id_number

    def _note_rang(self, leg: Ringing) -> None:
        self._dialler.rang.append(leg.target.dialled_user or leg.target.destination)

    def _on_refuse(self, index: int) -> None:
        leg = self._ringing[index]
        status = leg.manner.refusal
        if leg.channel is not None and status is not None:
            self._status = status
            self._cause = endings.refuse(leg.channel, status)
            self._finish(leg)

    def _on_no_response(self, index: int) -> None:
        self._status = 408
        self._end(self._ringing[index], "RECOVERY_ON_TIMER_EXPIRE")
        self._cause = "RECOVERY_ON_TIMER_EXPIRE"

    def _on_leg_timeout(self, index: int) -> None:
        self._end(self._ringing[index], "ALLOTTED_TIMEOUT")
        self._cause = "ALLOTTED_TIMEOUT"

    def _on_leg_progress_timeout(self, index: int) -> None:
        channel = self._ringing[index].channel
        if channel is None or channel.times.progress or channel.has_media:
            return
        self._end(self._ringing[index], "PROGRESS_TIMEOUT")
        self._cause = "PROGRESS_TIMEOUT"

    def _on_early(self, index: int) -> Outcome | None:
        """A phone plays something (183): without ignore_early_media that wins the race."""
        leg = self._ringing[index]
        channel = leg.channel
        if channel is None:
            return None
        legs.play_early(channel)
        self._note_rang(leg)
        variables = {**self._variables, **leg.target.variables}
        if self._a is None or self._a.ended or is_true(variables.get("ignore_early_media")):
            return None
        if variables.get("ignore_early_media") == "ring_ready":
            legs.ring_ready(self._a)
            return None
        legs.pre_answer(self._a)
        self._a.hear(leg.manner.early_media)
        wait = None if leg.answers_at is None else leg.answers_at - self._elapsed()
        won = self._won(leg)
        return attrs.evolve(won, early=True, answers_after=wait)

    def _on_answer(self, index: int, confirmed: bool) -> Outcome | None:
        """A phone answers; where a key must confirm it, the race goes on until it is pressed."""
        leg = self._ringing[index]
        channel = leg.channel
        if channel is None:
            return None
        if not confirmed:
            legs.answer_outbound(channel, leg.target.user)
            key = self._variable(leg, "group_confirm_key")
            if key:
                channel.hear(self._variable(leg, "group_confirm_file") or "silence")
                if leg.manner.confirm:
                    self._at(self._elapsed() + 1.0, "confirm", index)
                return None
        else:
            keypad.press(self._exchange, channel, leg.manner.confirm)
            channel.typed.clear()
            if leg.manner.confirm != self._variable(leg, "group_confirm_key"):
                return None
            channel.set("group_dial_status", "winner")
        return self._won(leg)

    def _won(self, winner: Ringing) -> Outcome:
        winner.done = True
        for leg in self._ringing:
            if not leg.done:
                self._end(leg, "LOSE_RACE")
        return Outcome("SUCCESS", winner.channel, winner.target)

    def _variable(self, leg: Ringing, name: str) -> str | None:
        return leg.target.variables.get(name, self._variables.get(name))

    def _abandon(self, reason: str) -> None:
        """The originator is gone: its legs are cancelled, and finished after it."""
        gone = self._a is not None and self._a.ended
        cause = self._a.hangup_cause if self._a and gone else reason
        for leg in self._ringing:
            if leg.done or leg.channel is None:
                continue
            leg.done = True
            endings.hang_up(leg.channel, cause, "send_cancel")
            self._dialler.unfinished.append(leg.channel)
            if self._a is not None:
                self._a.append("originate_causes", f"{leg.channel.uuid};{cause}")
        if self._a is not None:
            report_cause(self._a, cause)

    def _collect_killed(self) -> None:
        """Legs that a command hung up are over."""
        for leg in self._ringing:
            if leg.channel is not None and leg.channel.ended and not leg.done:
                self._cause = leg.channel.hangup_cause
                self._finish(leg)

    def _cancel(self, cause: str) -> None:
        self._cause = cause
        for leg in self._ringing:
            if not leg.done:
                self._end(leg, cause)

    def _end(self, leg: Ringing, cause: str) -> None:
        if leg.channel is None:
            leg.done = True
            return
        endings.hang_up(leg.channel, cause, "send_cancel")
        self._finish(leg)

    def _finish(self, leg: Ringing) -> None:
        leg.done = True
        if leg.channel is None:
            return
        if self._a is not None:
            self._a.append("originate_causes", f"{leg.channel.uuid};{leg.channel.hangup_cause}")
        self._dialler.finished.append(self._exchange.finish(leg.channel))

    def _timeout(self) -> float:
        for name in ("originate_timeout", "call_timeout"):
            if name in self._variables:
                return _number(self._variables, name, DEFAULT_TIMEOUT_SECONDS)
        if self._a is not None and self._a.get("call_timeout"):
            own = {"call_timeout": self._a.get("call_timeout") or ""}
            return _number(own, "call_timeout", DEFAULT_TIMEOUT_SECONDS)
        return DEFAULT_TIMEOUT_SECONDS

    def _elapsed(self) -> float:
        return (self._core.clock.seconds() - self._started) / self._exchange.pace

    def _at(self, when: float, what: str, index: int) -> None:
        heapq.heappush(self._timeline, (when, len(self._timeline), what, index))


def report_cause(a: Channel, cause: str) -> None:
    """The outcome of a failed bridge as variables of the bridging leg."""
    a.set("originate_disposition", cause)
    a.set("DIALSTATUS", DIALSTATUS.get(cause, "CHANUNAVAIL"))
    a.set("originate_failed_cause", cause)


def originated_leg(channel: Channel) -> str:
    """How a leg is listed in originated_legs."""
    return f"{channel.uuid};{legs.CALLEE_NAME};{channel.profile.callee_id_number}"


def _number(variables: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(variables.get(name, default))
    except ValueError:
        return default
