"""What really happened, kept by the simulation so that others can be compared with it."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from nizam.sim.channel import Channel
from nizam.sim.people import Invite


@attrs.frozen
class LegTruth:
    """One finished leg; times are microseconds since the epoch, 0 is never.

    `heard` is what was played to it, one after the other, `pressed` the keys pressed there,
    `invite` what a called phone was shown. `variables` are kept if the truth keeps details.
    """

    uuid: str
    direction: str
    role: str
    caller: str
    destination: str
    created: int
    answered: int
    ended: int
    cause: str
    heard: tuple[str, ...] = ()
    pressed: str = ""
    invite: Invite | None = None
    variables: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class CallTruth:
    """One finished call. `call_id` is the uuid of its first leg.

    `proofs` says how far the answers carried it, in order: `user accepted`, `dialplan NAME`,
    `rang NUMBER`, `bridged NUMBER`, `menu NAME`, `voicemail USER@DOMAIN`, `refused CAUSE`...
    `direction` is internal, inbound, outbound or originated.
    """

    call_id: str
    scenario: str
    direction: str
    domain: str
    caller: str
    dialled: str
    created: int
    answered: int
    ended: int
    cause: str
    legs: tuple[LegTruth, ...]
    proofs: tuple[str, ...]

    @property
    def connected_to(self) -> str | None:
        """Who or what the caller spoke to last: the bridged number, or the mailbox."""
        for proof in reversed(self.proofs):
            kind, _, what = proof.partition(" ")
            if kind in ("bridged", "voicemail"):
                return what
        return None


@attrs.define
class Truth:
    """All calls of a simulation that ended by themselves, and what went wrong in it.

    `lost` counts calls that a simulated restart of the switch cut off: they have no truth.
    `posted` and `spooled` are the uuids of the CDRs that were taken and refused.
    """

    calls: list[CallTruth] = attrs.field(factory=list)
    problems: list[str] = attrs.field(factory=list)
    lost: list[str] = attrs.field(factory=list)
    posted: list[str] = attrs.field(factory=list)
    spooled: list[str] = attrs.field(factory=list)
    registered: set[str] = attrs.field(factory=set)
    placed: int = 0
    unknown_applications: list[str] = attrs.field(factory=list)
    applications: dict[str, int] = attrs.field(factory=dict)
    keeps_details: bool = False

    def problem(self, text: str) -> None:
        """Notes something that a right answer would not have caused."""
        self.problems.append(text)

    def by_id(self) -> dict[str, CallTruth]:
        """The calls by call id."""
        return {call.call_id: call for call in self.calls}


def leg_truth(channel: Channel, details: bool = False) -> LegTruth:
    """What stays of a channel when it is gone; its variables too, with `details`."""
    return LegTruth(
        uuid=channel.uuid,
        direction=channel.profile.direction,
        role=channel.role,
        caller=channel.profile.caller_id_number,
        destination=channel.profile.destination,
        created=channel.times.created,
        answered=channel.times.answered,
        ended=channel.times.hangup,
        cause=channel.hangup_cause,
        heard=tuple(channel.heard),
        pressed=channel.pressed,
        invite=channel.invite,
        variables={it: channel.get(it) or "" for it in channel.variables} if details else {},
    )
