"""Ringing the legs of a dial-string: who is found, who rings, who answers, who loses the race."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from nizam.sim import legs
from nizam.sim.answers import DirectoryUser
from nizam.sim.causes import DIALSTATUS, PHRASE_OF_SIP_STATUS
from nizam.sim.channel import Channel, Times
from nizam.sim.dialstring import DialLeg, DialString, DialStringError, parse_dial_string
from nizam.sim.exchange import Exchange
from nizam.sim.expansion import REFUSED, expand
from nizam.sim.interruption import Waiter
from nizam.sim.legs import Target
from nizam.sim.race import Outcome, Race, Ringing, originated_leg, report_cause
from nizam.sim.script import Script
from nizam.sim.truth import LegTruth


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
                a.append("originated_legs", originated_leg(b))
                a.append("originate_causes", f"{b.uuid};NONE")
        a.append("originate_causes", f"{b.uuid};NONE")
        a.set("originate_disposition", "SUCCESS")
        a.set("DIALSTATUS", DIALSTATUS["SUCCESS"])

    async def _attempt(self, variables: Mapping[str, str], attempt: tuple[DialLeg, ...]) -> Outcome:
        ringing: list[Ringing] = []
        cause = "DESTINATION_OUT_OF_ORDER"
        for leg in attempt:
            found = await self._resolve(leg, variables)
            if self.originator is not None and self.originator.ended:
                await self.waiter.sleep(0)  # raises what ended it
            if isinstance(found, str):
                cause = found
            else:
                ringing += map(Ringing, found)
        if not ringing:
            return Outcome(cause)
        return await Race(self, variables, ringing).run()

    async def _resolve(self, leg: DialLeg, variables: Mapping[str, str]) -> list[Target] | str:
        """The places that a leg of a dial-string stands for, or the cause why there are none."""
        if leg.technology == "user":
            return await self._user(leg, variables)
        if leg.technology == "sofia":
            return self._sofia(leg, None)
        if leg.technology == "error":
            return leg.address.upper()
        if leg.technology == "group":
            return await self._group(leg, variables)
        return "CHAN_NOT_IMPLEMENTED"

    async def _group(self, leg: DialLeg, variables: Mapping[str, str]) -> list[Target] | str:
        """All users of a directory group, rung together."""
        group, _, domain = leg.address.partition("@")
        targets: list[Target] = []
        cause = "SUBSCRIBER_ABSENT"
        for number, _ in await self.exchange.questions.group_call(group, domain):
            found = await self._user(attrs.evolve(leg, address=f"{number}@{domain}"), variables)
            if isinstance(found, str):
                cause = found
            else:
                targets += found
        return targets or cause

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
        found = self.exchange.core.contacts(number, domain)
        contacts = ",".join(f"sofia/internal/{it.contact}" for it in found)
        return contacts or "error/user_not_registered"

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
            contacts = self.exchange.core.contacts(number, domain)
            if not contacts:
                return "USER_NOT_REGISTERED"
            host, port = contacts[-1].host, contacts[-1].port
        else:
            number, _, place = address.removeprefix("sip:").partition("@")
            host, _, port_text = place.partition(";")[0].partition(":")
            port = int(port_text) if port_text.isdigit() else 5060
            registered = self.exchange.core.contact_at(host, port)
            domain = registered.domain if registered else host
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
    def waiter(self) -> Waiter:
        """Where the wait for the phones happens, and can be broken off."""
        if self.originator is not None:
            return self.originator.waiter
        return self._own_waiter

    _own_waiter: Waiter = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._own_waiter = Waiter(self.exchange.core.clock)


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
