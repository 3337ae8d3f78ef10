"""Calls told as stories: who picks up a phone, dials, answers, presses keys, and what is heard.

    stage = Stage(switch)
    anna, ben = stage.phone(ANNA), stage.phone(BEN)
    ben.will(Manner(ring=2.0, confirm="1"))
    call = anna.dials("2000", answering_prompts=("1",))
    await call.reaches("bridged 1002")
    anna.presses("*1")
    anna.hangs_up()
    leg = await call.ended()
    assert anna.heard == ["ringing"]

All seconds are simulated ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from twisted.internet.task import deferLater

from nizam.sim import endings, keypad, legs, moving
from nizam.sim.channel import Channel
from nizam.sim.interruption import LegEnded
from nizam.sim.people import Invite, Manner
from nizam.sim.script import Script
from nizam.sim.settings import User
from nizam.sim.switch import SimulatedSwitch
from nizam.sim.truth import CallTruth, LegTruth

_PATIENCE_SECONDS = 120.0
_GLANCE_SECONDS = 0.05
OUTSIDE_DOMAIN = "carrier.example.test"


class StoryError(AssertionError):
    """The story took another course than was told."""


class Stage:
    """Tells stories on a started switch, of which it keeps every detail from now on."""

    def __init__(self, switch: SimulatedSwitch) -> None:
        self.switch = switch
        self.exchange = switch.exchange
        self.exchange.truth.keeps_details = True

    def phone(self, user: User) -> Phone:
        """A phone of the scenery."""
        return Phone(self, user.number, user.domain, user)

    def outside(self, number: str) -> Phone:
        """A phone outside: it calls through a carrier, and is called through a gateway."""
        return Phone(self, number, OUTSIDE_DOMAIN)

    def everybody_will(self, manner: Manner, *numbers: str) -> None:
        """How phones treat calls: those with these addresses (Exchange.manner)."""
        for number in numbers:
            self.exchange.manners[number] = manner

    async def passes(self, seconds: float) -> None:
        """Time passes."""
        await deferLater(self.exchange.core.clock, seconds * self.exchange.pace)

    async def until(
        self, condition: Callable[[], bool], seconds: float = _PATIENCE_SECONDS
    ) -> None:
        """Waits until `condition` holds. Raises StoryError when it does not in time."""
        if not await _until(self, condition, seconds):
            raise StoryError("it did not come to that")

    async def hung_up(self) -> None:
        """Everybody still on the phone hangs up."""
        for channel in list(self.exchange.core.channels.values()):
            if endings.hang_up(channel, "NORMAL_CLEARING", "recv_bye"):
                channel.wake(LegEnded())
        await self.switch.calls.drained()

    async def drained(self) -> None:
        """Everybody still on the phone hangs up, and all CDRs are dealt with."""
        await self.hung_up()
        await self.switch.drain()


@attrs.define(eq=False)
class Phone:
    """One phone, and what it perceives: `number`@`domain`, of `user` if it registers here."""

    stage: Stage
    number: str
    domain: str
    user: User | None = None

    def will(self, manner: Manner) -> Phone:
        """How this phone treats calls from now on; the phone itself, to be named at once."""
        self.stage.exchange.manners[self._address] = manner
        return self

    def dials(
        self,
        dialled: str,
        answering_prompts: Sequence[str] = (),
        message: float = 5.0,
    ) -> PlacedCall:
        """Places a call that lasts until somebody hangs up.

        At each prompt for digits the next of `answering_prompts` is pressed; a message that is
        left lasts `message` seconds.
        """
        inside = self.user is not None
        script = Script(
            scenario="story",
            domain=self.domain,
            dialled=dialled,
            caller=self.user,
            outside_caller="" if inside else self.number,
            talk=None,
            message=message,
            digits=tuple(answering_prompts),
        )
        return PlacedCall(self.stage, self, script)

    @property
    def legs(self) -> list[Channel]:
        """The legs of this phone that live, the oldest first."""
        return [it for it in self.stage.exchange.core.channels.values() if self._is_mine(it)]

    @property
    def leg(self) -> Channel:
        """The leg that the phone's holder uses: the newest. Raises StoryError if there is none."""
        alive = [it for it in self.legs if not it.ended]
        if not alive:
            raise StoryError(f"{self.number} is not on the phone")
        return alive[-1]

    @property
    def heard(self) -> list[str]:
        """What the newest leg, alive or ended, was played; `ringing` is a ringing tone."""
        alive = [it for it in self.legs if not it.ended]
        if alive:
            return list(alive[-1].heard)
        return list(self.past_leg.heard) if self.past_legs else []

    @property
    def shown(self) -> Invite:
        """What the INVITE of the newest call to this phone showed."""
        ringing = [it for it in self.legs if it.invite is not None]
        invite = ringing[-1].invite if ringing else self.past_leg.invite
        if invite is None:
            raise StoryError(f"{self.number} was not called")
        return invite

    @property
    def past_legs(self) -> list[LegTruth]:
        """The ended legs of this phone, in the order of their ends."""
        number = self.number
        exchange = self.stage.exchange
        ended = [leg for call in exchange.truth.calls for leg in call.legs]
        running = [leg for call in exchange.sessions.values() for leg in call.finished]
        return [
            leg
            for leg in [*ended, *running]
            if number == (_called(leg) if leg.direction == "outbound" else leg.caller)
        ]

    @property
    def past_leg(self) -> LegTruth:
        """The leg that ended last. Raises StoryError if there was none."""
        if not self.past_legs:
            raise StoryError(f"{self.number} was not on the phone")
        return max(self.past_legs, key=lambda leg: leg.created)

    def presses(self, keys: str) -> None:
        """Presses keys in the call."""
        keypad.press(self.stage.exchange, self.leg, keys)

    def hangs_up(self) -> None:
        """Ends the call, answered or not."""
        channel = self.leg
        if channel.answered:
            ended = endings.hang_up(channel, "NORMAL_CLEARING", "recv_bye")
        elif channel.profile.direction == "inbound":
            ended = endings.hang_up(channel, "ORIGINATOR_CANCEL", "recv_cancel")
        else:
            endings.refuse(channel, 486)
            ended = True
        if ended:
            channel.wake(LegEnded())

    def holds(self, on: bool = True) -> None:
        """Puts the other side on hold, or takes the call back."""
        channel = self.leg
        legs.hold(channel, on)
        if on and channel.other is not None:
            channel.other.hear(channel.get("hold_music") or "local_stream://moh")

    def refers_to(self, number: str) -> None:
        """Transfers the other side without a word (REFER)."""
        if not moving.refer(self.stage.exchange, self.leg, number):
            raise StoryError(f"{self.number} talks to nobody")

    def connects_both(self) -> None:
        """Transfers after asking: connects the two that the phone talks to (REFER, Replaces)."""
        alive = [it for it in self.legs if not it.ended]
        if len(alive) < 2 or not moving.refer_replacing(self.stage.exchange, *alive[-2:]):
            raise StoryError(f"{self.number} does not talk to two others")

    async def hears(self, sound: str, seconds: float = _PATIENCE_SECONDS) -> None:
        """Waits until the phone is played `sound`. Raises StoryError with what it heard instead."""
        if not await _until(self.stage, lambda: sound in self.heard, seconds):
            raise StoryError(f"{self.number} heard {self.heard}")

    async def rings(self, seconds: float = _PATIENCE_SECONDS) -> Channel:
        """Waits until the phone rings; its leg."""

        def called() -> list[Channel]:
            alive = [it for it in self.legs if not it.ended]
            return [it for it in alive if it.profile.direction == "outbound"]

        if not await _until(self.stage, lambda: bool(called()), seconds):
            raise StoryError(f"{self.number} does not ring")
        return called()[-1]

    @property
    def _address(self) -> str:
        if self.user is None:
            return self.number
        if self.user.device:
            port = self.stage.switch.phones.port(self.user)
            return f"{self.number}@127.0.0.1:{port}"
        return f"{self.number}@{self.domain}"

    def _is_mine(self, channel: Channel) -> bool:
        profile = channel.profile
        if channel.role == "originate" or profile.direction == "outbound":
            if self.user is None:
                return profile.destination == self.number
            port = self.stage.switch.phones.port(self.user)
            return channel.name.endswith(f"/{self.number}@127.0.0.1:{port}")
        domain = channel.fields.get("domain")
        return profile.username == self.number and domain == self.domain


class PlacedCall:
    """A call on its way, or ended."""

    def __init__(self, stage: Stage, caller: Phone, script: Script) -> None:
        self._stage = stage
        self._caller = caller
        self._script = script
        self._call_id: str | None = None
        stage.switch.place_call(script=script).addCallback(self._over)

    async def reaches(self, proof: str, seconds: float = _PATIENCE_SECONDS) -> None:
        """Waits for a proof, such as `bridged 1002` (CallTruth.proofs), or its beginning.

        Raises StoryError with the proofs there are when the call ends or the time is over before.
        """

        def reached() -> bool:
            if any(it.startswith(proof) for it in self.proofs):
                return True
            if self._call_id is not None:
                raise StoryError(f"ended without {proof!r}: {self.proofs}")
            return False

        if not await _until(self._stage, reached, seconds):
            raise StoryError(f"no {proof!r} in {self.proofs}")

    @property
    def proofs(self) -> list[str]:
        """How far the call was carried so far."""
        truth = self._truth
        if truth is not None:
            return list(truth.proofs)
        sessions = self._stage.exchange.sessions.values()
        return [it for call in sessions if call.script is self._script for it in call.proofs]

    async def ended(self, seconds: float = _PATIENCE_SECONDS) -> CallTruth:
        """Waits until the caller's leg has ended; what is true of the call."""
        if not await _until(self._stage, lambda: self._call_id is not None, seconds):
            raise StoryError(f"the call goes on: {self.proofs}")
        truth = self._truth
        if truth is None:
            raise StoryError(f"the call of {self._caller.number} never began")
        return truth

    @property
    def _truth(self) -> CallTruth | None:
        if not self._call_id:
            return None
        return self._stage.exchange.truth.by_id()[self._call_id]

    def _over(self, call_id: str) -> None:
        self._call_id = call_id


def _called(leg: LegTruth) -> str:
    """The number of the phone that a leg called; a contact is written NUMBER%DOMAIN."""
    return leg.destination.partition("%")[0].removeprefix("sip:").partition("@")[0]


async def _until(stage: Stage, condition: Callable[[], bool], seconds: float) -> bool:
    """Waits until `condition` holds; False when that takes longer than simulated `seconds`."""
    clock = stage.exchange.core.clock
    end = clock.seconds() + seconds * stage.exchange.pace + _GLANCE_SECONDS
    while not condition():
        if clock.seconds() >= end:
            return False
        await deferLater(clock, min(_GLANCE_SECONDS, stage.exchange.pace / 2))
    return True
