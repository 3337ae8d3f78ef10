"""Which call a channel belongs to, and which tenant: what is known of the calls under way.

One call has one id over all its legs and transfers: the uuid of its first leg. A leg learns it,
in this order, from the variable that our dialplan exported, from the leg that it was originated
for, or it is the first leg itself. The tenant comes from our variables, from the dialplan lookup
that the channel made, from the domain that its directory entry named, or from another leg of the
call. Nothing is guessed: a call whose tenant none of them tells has none.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import attrs

from nizam.esl.event import SwitchEvent
from nizam.events.fields import channel_id, identifier, integer, moment, number_of
from nizam.events.legs import LINKS, Leg
from nizam.fsxml.originate import CALLER_NAME, CALLER_NUMBER, DIALLED
from nizam.model.events import Event

TenantOfDomain = Callable[[str], UUID | None]
Lookup = Callable[[str], tuple[UUID, UUID] | None]
"""From a channel's Unique-ID to (tenant id, call id), as its dialplan lookup recorded them."""

# Legs of an endless transfer chain, and finished calls that late events may still be about.
MAX_LEGS: Final = 200
FINISHED_KEPT: Final = 20_000
FINISHED_SECONDS: Final = 60.0

_LINKS: Final = tuple(f"variable_{name}" for name in LINKS)
_DOMAINS: Final = (
    "variable_domain_name",
    "variable_requested_domain_name",
    "variable_dialed_domain",
)


@attrs.define(kw_only=True, eq=False)
class Channel:
    """One leg that is there, or has just ended.

    `partner` is the leg that it was last connected with; `sent_on` says that it was told that
    whoever is at the other end has sent somebody on.
    """

    leg_id: UUID
    call_id: UUID
    core_id: str
    direction: str | None
    number: str | None
    caller_number: str | None
    caller_name: str | None
    context: str | None
    started_at: datetime
    extension_id: UUID | None = None
    originator_id: UUID | None = None
    gateway: str | None = None
    ringing: bool = False
    answered_at: datetime | None = None
    bridged: bool = False
    held: bool = False
    profile_index: int = 1
    partner: UUID | None = None
    sent_on: bool = False
    ended: bool = False
    dialled: str | None = None
    """What the API has rung the phone of this leg for."""

    @property
    def own_number(self) -> str | None:
        """The number of whoever is at the other end of the leg."""
        return self.caller_number if self.direction == "inbound" else self.number

    def parties(self) -> dict[str, Any]:
        """Who calls whom, as the data of an event about this leg says it."""
        return {
            "leg_direction": self.direction,
            "from": self.caller_number,
            "from_name": self.caller_name,
            "to": self.dialled or self.number,
            "extension_id": None if self.extension_id is None else str(self.extension_id),
        }


@attrs.define(kw_only=True, eq=False)
class Call:
    """A call under way: its legs, and the events that wait until its tenant is known.

    `part_of` is the call at another switch that sent this one here: as that it is told of, and what
    happens to both is told where it began, unless somebody here has `moved` it. `begun` says that
    its beginning was told.
    """

    call_id: UUID
    tenant_id: UUID | None = None
    channels: dict[UUID, Channel] = attrs.field(factory=dict)
    legs: dict[UUID, Leg] = attrs.field(factory=dict)
    waiting: list[Event] = attrs.field(factory=list)
    waiting_legs: list[Leg] = attrs.field(factory=list)
    waits_since: float | None = None
    recording: str | None = None
    part_of: UUID | None = None
    moved: bool = False
    begun: bool = False
    finished_at: float | None = None
    answered_by: UUID | None = None
    """Of a call that the API has placed on several phones, the leg of the one that was answered."""

    @property
    def told_id(self) -> UUID:
        """The id by which it is told of."""
        return self.part_of or self.call_id

    @property
    def first(self) -> Channel | None:
        """The leg that it began with, if that has been seen; of several that the API has rung at
        once the one that was answered."""
        return self.channels.get(self.answered_by or self.call_id)

    @property
    def live(self) -> list[Channel]:
        """The legs that have not ended."""
        return [channel for channel in self.channels.values() if not channel.ended]


class Calls:
    """All calls of one FreeSWITCH process that are under way or have ended a moment ago.

    `tenant_of_domain` knows the tenants' SIP domains; `lookup` knows what dialplan lookups told.
    `dropped` are calls that turned out to be none, but legs of others: to be shown no more.
    """

    def __init__(self, tenant_of_domain: TenantOfDomain, lookup: Lookup) -> None:
        self._tenant_of_domain = tenant_of_domain
        self._lookup = lookup
        self._call_of: dict[UUID, Call] = {}
        self._calls: dict[UUID, Call] = {}
        self.dropped: list[Call] = []
        self._finished: OrderedDict[UUID, Call] = OrderedDict()

    def __len__(self) -> int:
        return len(self._calls) - len(self._finished)

    def __iter__(self) -> Iterator[Call]:
        """The calls under way."""
        return (call for call in list(self._calls.values()) if call.finished_at is None)

    def get(self, call_id: UUID) -> Call | None:
        """The call with this id, if it is known."""
        return self._calls.get(call_id)

    def of_leg(self, leg_id: UUID) -> Call | None:
        """The call that this leg belongs to, if it is known."""
        return self._call_of.get(leg_id)

    def find(self, event: SwitchEvent) -> tuple[Call, Channel] | None:
        """The call and the channel that `event` is about, made if they are new.

        None when the event names no channel.
        """
        unique_id = event.get("Unique-ID")
        if not unique_id:
            return None
        leg_id = channel_id(unique_id)
        call = self._call_of.get(leg_id)
        if call is not None and event.name == "CHANNEL_CREATE":
            call = self._whose_it_is(call, leg_id, event)
        if call is None:
            call = self._call(self._call_id(event, leg_id))
            self._call_of[leg_id] = call
        channel = call.channels.get(leg_id)
        if channel is None:
            channel = _channel(event, leg_id, call.call_id)
            if len(call.channels) >= MAX_LEGS:
                self._forget_ended_leg(call)
            call.channels[leg_id] = channel
        if call.part_of is None:
            self.learn_part(call, identifier(event.get("variable_nizam_part_of")))
        if call.tenant_id is None:
            call.tenant_id = self._tenant(event, unique_id, call)
        if channel.extension_id is None:
            channel.extension_id = identifier(event.get("variable_nizam_extension_id"))
        if channel.originator_id is None:
            channel.originator_id = next((it for it in self._links(event) if it != leg_id), None)
        if channel.number is None:
            channel.number = _number(event)
        if channel.gateway is None:
            channel.gateway = event.get("variable_sip_gateway_name")
        if channel.dialled is None:
            _learn_of_api(event, channel)
        return call, channel

    @staticmethod
    def learn_part(call: Call, of: UUID | None) -> None:
        """The call is a part of another one, if `of` is not its own id."""
        if of is not None and of != call.call_id:
            call.part_of = of

    def rename(self, old: UUID, new: UUID) -> None:
        """The channel `old` is called `new` from now on (CHANNEL_UUID)."""
        call = self._call_of.pop(old, None)
        if call is None:
            return
        self._call_of[new] = call
        channel = call.channels.pop(old, None)
        if channel is not None:
            channel.leg_id = new
            call.channels[new] = channel
        if call.call_id == old and not call.waiting and len(call.channels) == 1:
            self._calls.pop(old, None)
            call.call_id = new
            self._calls[new] = call

    def first_has_ended(self, call: Call, other: Channel) -> None:
        """The leg that the call began with is gone, unheard, while `other` goes on."""
        call.channels[call.call_id] = attrs.evolve(other, leg_id=call.call_id, ended=True)
        self._call_of[call.call_id] = call

    def finish(self, call: Call, now: float) -> None:
        """The call is over; late events about it are still understood for a while."""
        call.finished_at = now
        self._finished[call.call_id] = call
        self._finished.move_to_end(call.call_id)
        if len(self._finished) > FINISHED_KEPT:
            self._drop(next(iter(self._finished.values())))

    def forget_finished(self, now: float) -> None:
        """Drop the calls that ended long enough ago."""
        for call in list(self._finished.values()):
            if call.finished_at is None or now - call.finished_at < FINISHED_SECONDS:
                return
            self._drop(call)

    def _drop(self, call: Call) -> None:
        self._finished.pop(call.call_id, None)
        self._calls.pop(call.call_id, None)
        for leg_id in call.channels:
            self._call_of.pop(leg_id, None)

    def _forget_ended_leg(self, call: Call) -> None:
        for leg_id, channel in call.channels.items():
            if channel.ended and leg_id != call.call_id:
                del call.channels[leg_id]
                self._call_of.pop(leg_id, None)
                call.legs.pop(leg_id, None)
                return

    def _call(self, call_id: UUID) -> Call:
        call = self._calls.get(call_id)
        if call is None:
            call = self._calls[call_id] = Call(call_id=call_id)
        return call

    def _whose_it_is(self, call: Call, leg_id: UUID, created: SwitchEvent) -> Call | None:
        """The call of a leg that has its variables now, None for another than was thought:
        CHANNEL_OUTGOING comes before and has none, nor a link if a conference makes the leg."""
        ours = identifier(created.get("variable_nizam_call_id"))
        alone = call.call_id == leg_id and len(call.channels) == 1 and not call.waiting
        if ours is None or ours == leg_id or not alone:
            return call
        del self._calls[leg_id], self._call_of[leg_id]
        call.channels.clear()
        self.dropped.append(call)
        return None

    def _call_id(self, event: SwitchEvent, leg_id: UUID) -> UUID:
        ours = identifier(event.get("variable_nizam_call_id"))
        if ours is not None:
            return ours
        for link in self._links(event):
            if link != leg_id:
                other = self._call_of.get(link)
                return other.call_id if other else link
        return leg_id

    def _links(self, event: SwitchEvent) -> Iterator[UUID]:
        """The legs that this one was made for."""
        for name in _LINKS:
            link = identifier(event.get(name))
            if link is not None:
                yield link
        if event.get("Other-Type") == "originator":
            link = identifier(event.get("Other-Leg-Unique-ID"))
            if link is not None:
                yield link

    def _tenant(self, event: SwitchEvent, unique_id: str, call: Call) -> UUID | None:
        ours = identifier(event.get("variable_nizam_tenant_id"))
        if ours is not None:
            return ours
        first = self._lookup(str(call.call_id))
        if first is not None and call.part_of is None:
            # Of whatever leg the event is: CHANNEL_OUTGOING of one that rings here has no variables
            # and may be the first that is heard once the call is routed.
            self.learn_part(call, first[1])
        found = self._lookup(unique_id) or first
        if found is not None:
            return found[0]
        for name in _DOMAINS:
            domain = event.get(name)
            tenant_id = self._tenant_of_domain(domain) if domain else None
            if tenant_id is not None:
                return tenant_id
        return None


def _learn_of_api(event: SwitchEvent, channel: Channel) -> None:
    """Of a call that the API has placed, who calls whom: the phone that is rung sees the number
    that it is rung for as its caller. The first event of a leg has no variables."""
    channel.dialled = event.get(f"variable_{DIALLED}")
    if channel.dialled is not None:
        channel.caller_number = event.get(f"variable_{CALLER_NUMBER}") or channel.caller_number
        channel.caller_name = event.get(f"variable_{CALLER_NAME}") or channel.caller_name


def _number(event: SwitchEvent) -> str | None:
    get = event.get
    asked = get("variable_sip_req_user") if get("Call-Direction") == "inbound" else None
    return number_of(asked or get("Caller-Destination-Number"), get("Caller-Callee-ID-Number"))


def _channel(event: SwitchEvent, leg_id: UUID, call_id: UUID) -> Channel:
    get = event.get
    started = moment(get("Caller-Channel-Created-Time")) or moment(get("Event-Date-Timestamp"))
    direction = get("Call-Direction")
    return Channel(
        leg_id=leg_id,
        call_id=call_id,
        core_id=get("Core-UUID") or "",
        direction=direction,
        number=_number(event),
        caller_number=get("Caller-Caller-ID-Number") or get("Caller-ANI"),
        caller_name=get("Caller-Caller-ID-Name"),
        context=get("Caller-Context"),
        started_at=started or datetime.fromtimestamp(0).astimezone(),
        answered_at=moment(get("Caller-Channel-Answered-Time")),
        profile_index=integer(get("Caller-Profile-Index")) or 1,
    )
