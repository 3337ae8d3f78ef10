"""Ringing the legs of a dial-string: who is found, who rings, who answers, who loses the race."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

import attrs

from nizam.sim import legs
from nizam.sim.answers import DirectoryUser
from nizam.sim.causes import DIALSTATUS, PHRASE_OF_SIP_STATUS
from nizam.sim.channel import Channel, Times
from nizam.sim.dialstring import DialLeg, DialString, DialStringError, parse_dial_string
from nizam.sim.exchange import Exchange
from nizam.sim.expansion import REFUSED, expand
from nizam.sim.interruption import Interruption, Waiter
from nizam.sim.legs import Target
from nizam.sim.script import Script
from nizam.sim.truth import LegTruth

DEFAULT_TIMEOUT_SECONDS = 60.0
# A phone beside the first one of a group answers later, so that the race has one winner.
_LATER = 0.4


@attrs.frozen
class Outcome:
    """`channel`, at `target`, answered; or nobody did, and `cause` says why.

    `sip_status` is what the last phone that refused said.
    """

    cause: str
    channel: Channel | None = None
    target: Target | None = None
    sip_status: int | None = None


@attrs.define(eq=False)
class _Ringing:
    target: Target
    channel: Channel | None = None
    done: bool = False


@attrs.define(eq=False)
class Dialler:
    """Rings on behalf of `originator`, or for an originate command when that is None.

    `rang` collects the numbers that rang, `finished` the legs that ended meanwhile, `unfinished`
    those that were hung up because the originator was, and must be finished after it.
    """

    exchange: Exchange
    script: Script
    originator: Channel | None
    rang: list[str] = attrs.field(factory=list)
    finished: list[LegTruth] = attrs.field(factory=list)
    unfinished: list[Channel] = attrs.field(factory=list)

    async def dial(self, text: str) -> Outcome:
        """Tries the dial-string's attempts in turn until a leg answers.

        Raises Interruption when the originator is hung up or transferred; the legs that rang are
        then cancelled.
        """
        try:
            branches = parse_dial_string(text)
        except DialStringError as error:
            self.exchange.truth.problem(str(error))
            return Outcome("DESTINATION_OUT_OF_ORDER")
        outcome = Outcome("DESTINATION_OUT_OF_ORDER")
        for variables, attempt in _attempts(branches):
            outcome = await self._attempt(variables, attempt)
            if outcome.channel is not None:
                break
        if outcome.channel is None:
            self._failed(outcome)
        return outcome

    def connected(self, outcome: Outcome) -> None:
        """What the bridging leg shows once it is answered, just before CHANNEL_BRIDGE.

        Behind a user/ endpoint everything is there twice: it originates in turn.
        """
        a, b = self.originator, outcome.channel
        if a is None or b is None:
            return
        if outcome.target is not None and outcome.target.dialled_user:
            b.join(a, "originator", Times())
            b.fire("CHANNEL_OUTGOING")
            b.set("originator_codec", "PCMU@8000h@20i")
            b.set("originate_endpoint", "user")
            b.touch("max_forwards", "originator_codec", "originator", "export_vars")
            b.touch(*(b.get("export_vars") or "").split(","))
            b.touch("originate_early_media", "originating_leg_uuid", "originate_endpoint")
            b.touch("call_uuid")
            if len(self.rang) == 1:
                a.append("originated_legs", _originated(b))
                a.append("originate_causes", f"{b.uuid};NONE")
        a.append("originate_causes", f"{b.uuid};NONE")
        a.set("originate_disposition", "SUCCESS")
        a.set("DIALSTATUS", DIALSTATUS["SUCCESS"])

    async def _attempt(self, variables: Mapping[str, str], attempt: tuple[DialLeg, ...]) -> Outcome:
        ringing: list[_Ringing] = []
        cause = "DESTINATION_OUT_OF_ORDER"
        for leg in attempt:
            found = await self._resolve(leg, variables)
            if self.originator is not None and self.originator.ended:
                await self._waiter.sleep(0)  # raises what ended it
            if isinstance(found, str):
                cause = found
            else:
                ringing += map(_Ringing, found)
        if not ringing:
            return Outcome(cause)
        return await _Race(self, variables, ringing).run()

    async def _resolve(self, leg: DialLeg, variables: Mapping[str, str]) -> list[Target] | str:
        """The places that a leg of a dial-string stands for, or the cause why there are none."""
        if leg.technology == "user":
            return await self._user(leg, variables)
        if leg.technology == "sofia":
            return self._sofia(leg, None)
        if leg.technology == "error":
            return leg.address.upper()
        return "CHAN_NOT_IMPLEMENTED"

    async def _user(self, leg: DialLeg, variables: Mapping[str, str]) -> list[Target] | str:
        number, _, domain = leg.address.partition("@")
        if not domain and self.originator is not None:
            domain = self.originator.get("domain_name") or ""
        asked = {**dict(legs.exported(self.originator)), **variables, **leg.variables}
        user = await self.exchange.questions.user_call(number, domain, asked)
        if user is None:
            return "SUBSCRIBER_ABSENT"
        if "dial-string" not in user.params:
            return "MANDATORY_IE_MISSING"
        known = {"dialed_user": number, "dialed_domain": domain}
        text = expand(user.params["dial-string"], known.get, self._api)
        if self.originator is not None:
            self.originator.set("dialed_user", number)
            self.originator.set("dialed_domain", domain)
        try:
            branch = parse_dial_string(text)[0]
        except DialStringError:
            return "CHAN_NOT_IMPLEMENTED"
        targets: list[Target] = []
        cause = "USER_NOT_REGISTERED"
        for inner in branch.attempts[0]:
            merged = {**branch.variables, **inner.variables, **leg.variables}
            found = self._contact(attrs.evolve(inner, variables=merged), user, number)
            if isinstance(found, str):
                cause = found
            else:
                targets += found
        return targets or cause

    def _api(self, command: str) -> str:
        """What an API call inside a dial-string gives; only sofia_contact is known."""
        name, _, argument = command.partition(" ")
        if not self.exchange.api_expansion or name != "sofia_contact":
            return REFUSED
        number, _, domain = argument.rpartition("/")[2].partition("@")
        found = self.exchange.core.registrations.get((number, domain))
        return f"sofia/internal/{found.contact}" if found else "error/user_not_registered"

    def _contact(self, leg: DialLeg, user: DirectoryUser, number: str) -> list[Target] | str:
        if leg.technology == "error":
            return leg.address.upper()
        if leg.technology != "sofia":
            return "CHAN_NOT_IMPLEMENTED"
        found = self._sofia(leg, user)
        if isinstance(found, str):
            return found
        return [attrs.evolve(target, dialled_user=number) for target in found]

    def _sofia(self, leg: DialLeg, user: DirectoryUser | None) -> list[Target] | str:
        profile, _, address = leg.address.partition("/")
        if profile == "gateway":
            return self._gateway(leg, address)
        number, percent, domain = address.partition("%")
        if percent:
            registration = self.exchange.core.registrations.get((number, domain))
            if registration is None:
                return "USER_NOT_REGISTERED"
            host, port = registration.host, registration.port
        else:
            number, _, place = address.removeprefix("sip:").partition("@")
            host, _, port_text = place.partition(";")[0].partition(":")
            port = int(port_text) if port_text.isdigit() else 5060
            domain = host
        contact = f"{number}@{host}:{port}"
        return [
            Target(
                role="user",
                destination=address if percent else number,
                host=host,
                port=port,
                domain=user.domain if user else domain,
                channel_name=f"sofia/{profile}/{contact}",
                variables=leg.variables,
                user=user,
                dialled_user=number if user else "",
            )
        ]

    def _gateway(self, leg: DialLeg, address: str) -> list[Target] | str:
        name, _, number = address.partition("/")
        gateway = self.exchange.core.gateways.get(name)
        if gateway is None:
            return "INVALID_GATEWAY"
        if not gateway.up:
            return "GATEWAY_DOWN"
        host, _, port = gateway.proxy.partition(":")
        return [
            Target(
                role="gateway",
                destination=number,
                host=host,
                port=int(port) if port.isdigit() else 5060,
                domain=host,
                channel_name=f"sofia/{gateway.profile}/{number}",
                variables={**dict(gateway.variables), **leg.variables},
                gateway=name,
            )
        ]

    def _failed(self, outcome: Outcome) -> None:
        """What the bridging leg shows of a failed attempt (originate_disposition and friends)."""
        a = self.originator
        if a is None or a.ended:
            return
        if outcome.sip_status is not None:
            phrase = PHRASE_OF_SIP_STATUS.get(outcome.sip_status, "")
            a.set("sip_invite_failure_status", str(outcome.sip_status))
            a.set("sip_invite_failure_phrase", phrase)
            a.set("sip_hangup_phrase", phrase)
        if self.rang:
            a.set("last_bridge_hangup_cause", outcome.cause)
        if outcome.sip_status is not None:
            a.set("last_bridge_proto_specific_hangup_cause", f"sip:{outcome.sip_status}")
        a.touch("originate_causes")
        report_cause(a, outcome.cause)

    @property
    def _waiter(self) -> Waiter:
        if self.originator is not None:
            return self.originator.waiter
        return self._own_waiter

    _own_waiter: Waiter = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._own_waiter = Waiter(self.exchange.core.clock)


class _Race:
    """The legs of one attempt, rung together on a timeline of simulated seconds."""

    def __init__(
        self, dialler: Dialler, variables: Mapping[str, str], ringing: list[_Ringing]
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
        if self._a is not None:
            self._a.set("originate_disposition", "failure")
            self._a.set("DIALSTATUS", "INVALIDARGS")
        try:
            while any(not leg.done for leg in self._ringing):
                when, _, what, index = self._timeline[0]
                wait = self._started + when * self._exchange.pace - self._core.clock.seconds()
                if wait > 0:
                    await self._dialler._waiter.sleep(wait)
                    self._collect_killed()
                    continue
                heapq.heappop(self._timeline)
                if index >= 0 and self._ringing[index].done:
                    continue
                if what == "timeout":
                    self._cancel("NO_ANSWER")
                elif what == "answer":
                    return self._answered(index)
                else:
                    getattr(self, f"_on_{what}")(index)
        except Interruption:
            self._abandon()
            raise
        return Outcome(self._cause, sip_status=self._status)

    def _on_start(self, index: int) -> None:
        leg = self._ringing[index]
        target = leg.target
        channel = legs.outbound_channel(self._core, target, self._a, self._variables)
        channel.controlled_by = self._dialler._waiter
        leg.channel = channel
        if self._a is not None:
            self._a.set("originate_signal_bond", channel.uuid)
            self._a.append("originated_legs", _originated(channel))
        begin = self._elapsed()
        self._at(begin + 0.02, "ring", index)
        after = self._script.ring + _LATER * index
        if self._script.refusal is not None and target.role == "user":
            self._at(begin + after, "refuse", index)
        elif self._script.callee == "answers" or target.role == "gateway":
            self._at(begin + after, "answer", index)
        timeout = _number(target.variables, "leg_timeout", 0.0)
        if timeout:
            self._at(begin + timeout, "leg_timeout", index)

    def _on_ring(self, index: int) -> None:
        leg = self._ringing[index]
        if leg.channel is None:
            return
        legs.ring(leg.channel)
        self._dialler.rang.append(leg.target.dialled_user or leg.target.destination)
        if self._a is None or self._a.ended:
            return
        if self._a.get("ringback"):
            legs.pre_answer(self._a)
        elif self._variables.get("ignore_early_media") != "true":
            legs.ring_ready(self._a)
        self._a.profile.callee_id_name = legs.CALLEE_NAME
        self._a.profile.callee_id_number = leg.channel.profile.callee_id_number

    def _on_refuse(self, index: int) -> None:
        leg = self._ringing[index]
        if leg.channel is not None and self._script.refusal is not None:
            self._status = self._script.refusal
            self._cause = legs.refuse(leg.channel, self._script.refusal)
            self._finish(leg)

    def _on_leg_timeout(self, index: int) -> None:
        self._end(self._ringing[index], "ALLOTTED_TIMEOUT")
        self._cause = "ALLOTTED_TIMEOUT"

    def _answered(self, index: int) -> Outcome:
        winner = self._ringing[index]
        channel = winner.channel
        if channel is None:
            return Outcome(self._cause)
        winner.done = True
        legs.answer_outbound(channel, winner.target.user)
        for leg in self._ringing:
            if not leg.done:
                self._end(leg, "LOSE_RACE")
        return Outcome("SUCCESS", channel, winner.target)

    def _abandon(self) -> None:
        """The originator is gone: its legs are cancelled, and finished after it."""
        gone = self._a is not None and self._a.ended
        cause = self._a.hangup_cause if self._a and gone else "ORIGINATOR_CANCEL"
        for leg in self._ringing:
            if leg.done or leg.channel is None:
                continue
            leg.done = True
            legs.hang_up(leg.channel, cause, "send_cancel")
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

    def _end(self, leg: _Ringing, cause: str) -> None:
        if leg.channel is None:
            leg.done = True
            return
        legs.hang_up(leg.channel, cause, "send_cancel")
        self._finish(leg)

    def _finish(self, leg: _Ringing) -> None:
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


def _originated(channel: Channel) -> str:
    return f"{channel.uuid};{legs.CALLEE_NAME};{channel.profile.callee_id_number}"


def _attempts(
    branches: tuple[DialString, ...],
) -> list[tuple[Mapping[str, str], tuple[DialLeg, ...]]]:
    """What is tried in turn; independent branches ring at once, each with its own variables."""
    if len(branches) == 1:
        return [(branches[0].variables, attempt) for attempt in branches[0].attempts]
    together = tuple(
        attrs.evolve(leg, variables={**branch.variables, **leg.variables})
        for branch in branches
        for leg in branch.attempts[0]
    )
    return [({}, together)]


def _number(variables: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(variables.get(name, default))
    except ValueError:
        return default
