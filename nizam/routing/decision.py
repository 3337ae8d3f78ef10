"""What a call is to do, complete: the steps of its destination, and what every call is told before
them."""

from __future__ import annotations

from uuid import UUID

import attrs

from nizam.model.extension import Extension
from nizam.routing import recording
from nizam.routing.context import Routing
from nizam.routing.facts import Command, Fetch, Limit, Notice
from nizam.routing.flow_state import HOPS
from nizam.routing.plan import (
    Bridge,
    Export,
    GatewayLeg,
    HoldMusic,
    Intercept,
    Park,
    ParkInSlot,
    Plan,
    Set,
    Step,
    UserLeg,
)
from nizam.routing.request import PART_OF, ZONE_DID, is_uuid
from nizam.routing.rows import Entry
from nizam.routing.sounds import hold_music
from nizam.routing.trace import TraceStep


@attrs.frozen
class Decision:
    """What the call is to do, and why.

    `outcome` is routed, not_found, denied, suspended, unreachable, loop or gone; `route` is the
    way taken in words. An empty plan means that we know nothing of this call: FreeSWITCH goes on
    with its next source, or answers 404. `revision` is that of the tenant's data, `caller` the
    extension whose call it is.

    `limits` are the counters that the call takes, `commands` what has to be changed before it is
    answered, `fetch` the HTTP request without which it cannot go on: whoever asked sees to them,
    and decides again with what came of it. `notices` are the events that follow.
    """

    plan: Plan
    trace: tuple[TraceStep, ...]
    outcome: str
    call_id: str
    tenant_id: UUID | None = None
    route: str = ""
    revision: int | None = None
    caller: Entry[Extension] | None = None
    limits: tuple[Limit, ...] = ()
    commands: tuple[Command, ...] = ()
    notices: tuple[Notice, ...] = ()
    fetch: Fetch | None = None

    @property
    def is_complete(self) -> bool:
        """Whether nothing has to be seen to before it is answered."""
        return not (self.limits or self.commands or self.fetch)


_HOLDING = frozenset({Bridge, Park, ParkInSlot})
"""Steps in which somebody can be put on hold."""


def decided(routing: Routing, call_id: str, plan: Plan, *, inbound: bool) -> Decision:
    """The decision for a call that does this: with what every call is told before it, and why."""
    plan = _offered(routing, plan)
    kinds = set(map(type, plan))
    bridges = Bridge in kinds
    if not kinds.isdisjoint(_HOLDING):
        plan = (*_music(routing), *plan)
    # A menu, too, can lead on to somebody: what the DID says would be forgotten then.
    if bridges or (routing.did is not None and routing.outcome == "routed" and plan):
        plan = (*recording.of_call(routing), *plan)
    route = " to ".join(routing.route) or routing.outcome
    steps = (*_preamble(routing, call_id, route, inbound, plan), *plan) if plan else ()
    return Decision(
        plan=steps,
        trace=tuple(routing.trace),
        outcome=routing.outcome,
        call_id=call_id,
        tenant_id=routing.view.id,
        route=route,
        revision=routing.view.revision,
        caller=routing.caller,
        limits=() if _ends(routing, plan) else tuple(routing.limits),
        commands=tuple(routing.commands),
        notices=tuple(routing.notices),
        fetch=routing.fetch,
    )


def _offered(routing: Routing, plan: Plan) -> Plan:
    """The plan with the tenant's codecs for its phones."""
    codecs = routing.tenant.codecs
    if codecs is None:
        return plan
    steps: list[Step] = []
    found = False
    for step in plan:
        if isinstance(step, Bridge) and any(isinstance(it, UserLeg) for it in step.legs):
            found = True
            legs = (
                attrs.evolve(it, codecs=codecs) if isinstance(it, UserLeg) else it
                for it in step.legs
            )
            step = attrs.evolve(step, legs=tuple(legs))
        steps.append(step)
    if found:
        routing.note("codecs", "chosen", f"offers {codecs} to phones, of the tenant")
    return tuple(steps)


def _ends(routing: Routing, plan: Plan) -> bool:
    """Whether the call is refused, and takes nothing."""
    return routing.outcome == "denied" and not any(isinstance(step, Bridge) for step in plan)


def _music(routing: Routing) -> tuple[Step, ...]:
    """What is heard on hold, where the tenant has music of its own."""
    found = hold_music(routing.view)
    if found is None:
        return ()
    entry, files = found
    routing.note("hold_music", "matched", f"{entry.body.name} is heard on hold", entry)
    return (HoldMusic(files),)


def _preamble(
    routing: Routing, call_id: str, route: str, inbound: bool, plan: Plan
) -> tuple[Step, ...]:
    domain = routing.tenant.domain
    view = routing.view
    steps: list[Step] = [Export("nizam_tenant_id", str(view.id))]
    if call_id:
        # The id itself: an expression would be a new id after a transfer.
        steps.append(Export("nizam_call_id", call_id))
    if routing.request.part_of is not None and is_uuid(routing.request.part_of):
        steps.append(Export(PART_OF, routing.request.part_of))
    steps += (Set("nizam_route", route), Set("nizam_revision", str(view.revision)))
    if routing.did is not None:
        steps.append(Set("nizam_did", routing.did.body.number))
    if routing.destination is not None:
        steps.append(Set("nizam_destination", routing.destination))
    if routing.zone_did is not None:
        # What the call asks for next has to know it, too.
        steps.append(Set(ZONE_DID, str(routing.zone_did.id)))
    if routing.hops != routing.request.hops:
        steps.append(Set(HOPS, str(routing.hops)))
    if inbound:
        steps.append(Set("domain_name", domain))
        steps.append(Set("user_context", domain))
        # Set, not exported: on the carrier's leg it would let a REFER into our context.
        steps.append(Set("force_transfer_context", domain))
    bridges = [step for step in plan if isinstance(step, Bridge)]
    outside = any(isinstance(leg, GatewayLeg) for bridge in bridges for leg in bridge.legs)
    if outside or routing.from_node:
        # Otherwise X- and P- headers that the caller's phone writes would reach the carrier, and
        # those between our switches a phone.
        steps.append(Set("sip_copy_custom_headers", "false"))
    if bridges or any(isinstance(step, Intercept) for step in plan):
        # Otherwise the callee's hanging up would fall into voicemail, and somebody who has taken a
        # call would hear at its end that he came too late.
        steps.append(Set("hangup_after_bridge", "true"))
    return tuple(steps)
