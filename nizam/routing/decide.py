"""Where a call goes. A function of the snapshot, the request, the moment and randomness."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import attrs

from nizam.model.did import Did
from nizam.model.extension import Extension
from nizam.model.registry import resource
from nizam.routing import limits, numbers
from nizam.routing.blocked import blocked
from nizam.routing.context import OUTSIDER, Random, Rights, Routing, destination_to
from nizam.routing.decision import Decision, decided
from nizam.routing.destinations import call_flow as flow_destination
from nizam.routing.destinations import did as did_destination
from nizam.routing.destinations import extension as extension_destination
from nizam.routing.destinations import ivr as ivr_destination
from nizam.routing.destinations import parking as parking_destination
from nizam.routing.emergency import emergency
from nizam.routing.facts import NO_FACTS, Facts
from nizam.routing.features import feature
from nizam.routing.features.pickup import taken_here
from nizam.routing.flow_state import MAX_HOPS
from nizam.routing.hours import came_in_by
from nizam.routing.nodes import UNAVAILABLE, asked_by_node, refuses_new_calls
from nizam.routing.one_call import take_wishes
from nizam.routing.outbound import dial_out
from nizam.routing.peer_calls import opened
from nizam.routing.phones import only_phone, phone_leg
from nizam.routing.plan import (
    Bridge,
    Hangup,
    Plan,
    Respond,
)
from nizam.routing.policies import apply_policies
from nizam.routing.request import PUBLIC_CONTEXT, CallRequest, is_uuid
from nizam.routing.rows import Entry
from nizam.routing.snapshot import Snapshot, TenantView
from nizam.routing.tokens import FlowStep, IvrChoice, ParkedTooLong, RingHere, read_token
from nizam.routing.trace import TraceStep


def decide(
    snapshot: Snapshot,
    request: CallRequest,
    now: datetime,
    random: Random,
    facts: Facts = NO_FACTS,
) -> Decision:
    """Route one call, or what another switch of ours has sent here as a part of one.

    `now` is aware; `random` shuffles members and weighs gateways.

    The order is that of the product: emergency numbers, blocked numbers, tenant status, routing
    policies, feature codes, the tenant's own numbers, its own DIDs, outbound routes, not found.
    """
    decision = _decide(snapshot, request, now, random, facts)
    if request.part_of is not None and is_uuid(request.part_of):
        return attrs.evolve(decision, call_id=request.part_of)
    return decision


def _decide(
    snapshot: Snapshot, request: CallRequest, now: datetime, random: Random, facts: Facts
) -> Decision:
    call_id = request.known_id
    if request.context == PUBLIC_CONTEXT:
        return _from_outside(snapshot, request, now, random, facts, call_id)
    view = snapshot.tenant_by_domain(request.context)
    if view is None:
        trace = TraceStep("tenant", "failed", f"no tenant has the domain {request.context}")
        return Decision((), (trace,), "not_found", call_id)
    routing = _routing(view, request, now, random, facts)
    if request.own_domain and request.own_domain.lower() != view.tenant.domain:
        other = snapshot.tenant_by_domain(request.own_domain)
        if other is not None:
            routing.note("tenant", "denied", "the call belongs to another tenant")
            routing.outcome = "denied"
            return decided(routing, call_id, (Hangup("CALL_REJECTED"),), inbound=False)
    take_wishes(routing)
    if request.shown_caller is not None:
        routing.policy_caller = (request.shown_caller, None)
    dialled = routing.request.destination
    plan = emergency(routing, dialled)
    if plan is None:
        plan = _draining(snapshot, routing)
    if plan is None:
        plan = blocked(routing, inbound=False)
    if plan is None:
        plan = _refused(routing, inbound=False)
    if plan is None:
        plan = limits.refused(routing, inbound=False)
    if plan is None:
        plan = _dialled(routing, dialled)
    return decided(routing, call_id, plan, inbound=False)


def _from_outside(
    snapshot: Snapshot,
    request: CallRequest,
    now: datetime,
    random: Random,
    facts: Facts,
    call_id: str,
) -> Decision:
    asked = asked_by_node(snapshot, request)
    if asked is not None:
        return _from_node(request, now, random, facts, *asked)
    draining = refuses_new_calls(snapshot, request)
    if draining is not None:
        trace = TraceStep("node", "denied", f"{draining}, and takes no new calls")
        return Decision(UNAVAILABLE, (trace,), "denied", call_id)
    found = find_did(snapshot, request.destination)
    if found is None:
        trace = TraceStep("did", "failed", f"nobody has the number {request.destination}")
        return Decision((Hangup("UNALLOCATED_NUMBER"),), (trace,), "not_found", call_id)
    view, entry = found
    routing = _routing(view, attrs.evolve(request, caller_extension=None), now, random, facts)
    routing.note("did", "matched", f"{request.destination} is {entry.body.number}", entry)
    came_in_by(routing, entry.id)
    plan = blocked(routing, inbound=True)
    if plan is None:
        plan = _refused(routing, inbound=True)
    if plan is None:
        plan = limits.refused(routing, inbound=True)
    if plan is None and not entry.body.enabled:
        routing.note("did", "failed", f"{entry.body.number} is disabled", entry)
        plan = _not_found(routing)
    if plan is None:
        first, plan = apply_policies(routing, entry)
        if plan is None:
            plan = (*first, *did_destination.arrive(routing, entry))
        else:
            plan = (*first, *plan)
    return decided(routing, call_id, plan, inbound=True)


def _from_node(
    request: CallRequest,
    now: datetime,
    random: Random,
    facts: Facts,
    token: RingHere,
    view: TenantView,
    entry: Entry[Extension],
) -> Decision:
    """Ring the phones that are here, have them answer by themselves, or take the call that rings
    at them; what follows when nobody answers, the other switch knows."""
    part_of = opened(view.peer_keys, request.peer_call_id, token)
    call_id = part_of or request.unique_id
    request = attrs.evolve(
        request, caller_extension=None, caller_extension_id=None, call_id=call_id, part_of=part_of
    )
    routing = _routing(view, request, now, random, facts)
    routing.from_node = True
    routing.note("node", "matched", f"another switch calls {entry.body.number}", entry)
    plan = _refused(routing, inbound=True)
    if plan is None and not entry.body.enabled:
        plan = routing.unreachable()
    if plan is None and token.what != "ring" and part_of is None:
        routing.note("node", "denied", "it does not prove to be one of ours")
        plan = routing.unreachable()
    if plan is None and token.what == "take":
        plan = taken_here(routing, entry)
    if plan is None:
        routing.enter(entry, f"extension {entry.body.number}")
        leg = phone_leg(routing, entry, auto_answer=token.what == "speak")
        if token.phone and (phones := only_phone(routing, entry, token.phone)) is not None:
            leg = attrs.evolve(leg, phones=phones)
        plan = (Bridge((attrs.evolve(leg, record=None),)),)
    # Here it has an id of its own, by which the events of this switch are sorted, and says which
    # call it is a part of: as that it is told of, counted and explained.
    decision = decided(routing, request.unique_id, plan, inbound=True)
    return attrs.evolve(decision, call_id=call_id)


def find_did(snapshot: Snapshot, received: str) -> tuple[TenantView, Entry[Did]] | None:
    """The tenant and the DID that a number sent by a carrier stands for.

    A number without its country code counts only if exactly one tenant reads it as its own.
    """
    for candidate in numbers.did_candidates(received):
        found = snapshot.did(candidate)
        if found is not None:
            return found
    national = []
    for candidate in numbers.national_candidates(received):
        found = snapshot.did(candidate)
        if found is not None and numbers.to_e164(received, found[0].tenant.country) == candidate:
            national.append(found)
    return national[0] if len(national) == 1 else None


def _routing(
    view: TenantView, request: CallRequest, now: datetime, random: Random, facts: Facts
) -> Routing:
    caller = None if request.context == PUBLIC_CONTEXT else _caller(view, request)
    rights = OUTSIDER if caller is None else Rights.of(caller)
    name = request.caller_name or request.caller_number
    routing = Routing(
        view,
        view.tenant,
        request,
        now,
        random,
        rights,
        name,
        caller=caller,
        facts=facts,
        hops=request.hops,
    )
    came_in_by(routing, request.zone_did_id)
    routing.note("tenant", "matched", f"{routing.tenant.domain}, revision {view.revision}")
    routing.note("caller", "matched", f"the call is made by {rights.words}", caller)
    return routing


def _caller(view: TenantView, request: CallRequest) -> Entry[Extension] | None:
    """The extension whose call this is, by what the switch vouches for."""
    found: Entry[Extension] | None = None
    if request.caller_extension is not None:
        by_number = view.by_number(request.caller_extension)
        if by_number is not None and by_number.resource == "extension":
            found = by_number
    elif request.caller_extension_id is not None and is_uuid(request.caller_extension_id):
        found = view.get(Extension, UUID(request.caller_extension_id))
    return found if found is not None and found.body.enabled else None


def _draining(snapshot: Snapshot, routing: Routing) -> Plan | None:
    """The plan at a switch that takes no new calls; None at one that does."""
    why = refuses_new_calls(snapshot, routing.request)
    if why is None:
        return None
    routing.note("node", "denied", f"{why}, and takes no new calls")
    routing.outcome = "denied"
    return UNAVAILABLE


def _refused(routing: Routing, *, inbound: bool) -> Plan | None:
    """The plan for a tenant that may not call; None if it may."""
    tenant = routing.tenant
    if tenant.status == "terminated":
        routing.note("status", "denied", "the tenant is terminated")
        routing.outcome = "gone"
        return ()
    if tenant.status == "suspended" or not tenant.enabled:
        routing.note("status", "denied", "the tenant is suspended")
        routing.outcome = "suspended"
        if inbound:
            return (Respond(480, "Temporarily Unavailable"),)
        return (Hangup("OUTGOING_CALL_BARRED"),)
    return None


def _dialled(routing: Routing, dialled: str) -> Plan:
    token = read_token(dialled)
    if isinstance(token, RingHere):
        # Between switches of ours alone.
        return _not_found(routing)
    if token is not None:
        routing.hops += 1
        if routing.hops > MAX_HOPS:
            routing.outcome = "loop"
            routing.note("loop", "failed", f"the call has come back {MAX_HOPS} times")
            return (Hangup("EXCHANGE_ROUTING_ERROR"),)
        if isinstance(token, IvrChoice):
            return ivr_destination.chosen(routing, token)
        if isinstance(token, ParkedTooLong):
            return parking_destination.too_long(routing, token)
        if isinstance(token, FlowStep):
            return flow_destination.go_on(routing, token)
        return extension_destination.after_ringing(routing, token)
    caller = routing.caller
    # Who was transferred, or comes back, has dialled nothing.
    if caller is not None and caller.body.hot_line is not None and routing.request.call_id is None:
        routing.note("hot_line", "matched", "whatever it dials goes to its hot line", caller)
        return routing.follow_configured(caller.body.hot_line)
    first, plan = apply_policies(routing, None)
    return (*first, *(plan if plan is not None else _looked_up(routing, dialled)))


def _looked_up(routing: Routing, dialled: str) -> Plan:
    """Feature code, number of the tenant, its own DID, or a number outside."""
    plan = feature(routing, dialled)
    if plan is not None:
        return plan
    entry = routing.view.by_number(dialled)
    kind = None if entry is None else resource(entry.resource).destination_type
    if entry is not None and kind is not None:
        routing.note("number", "matched", f"{dialled} is a number of the tenant", entry)
        if entry.resource == "parking_lot" and entry.body.number != dialled:
            return parking_destination.slot(routing, entry, dialled)
        return routing.follow(destination_to(kind, entry.id))
    routing.note("number", "passed", f"{dialled} is no number of the tenant")
    own = did_destination.own_did(routing, dialled)
    if own is not None:
        return did_destination.arrive(routing, own)
    return dial_out(routing, dialled) or _not_found(routing)


def _not_found(routing: Routing) -> Plan:
    routing.note("not_found", "failed", "nothing has this number")
    routing.outcome = "not_found"
    return (Hangup("UNALLOCATED_NUMBER"),)
