"""Calls for help: before everything else, blocked by nothing."""

from __future__ import annotations

import attrs

from nizam.model.emergency_plan import EmergencyPlan
from nizam.model.gateway import Gateway
from nizam.routing.context import Routing
from nizam.routing.outbound import PROGRESS_SECONDS, gateway_leg
from nizam.routing.plan import Bridge, Plan, Set, Step


def emergency(routing: Routing, dialled: str) -> Plan | None:
    """The plan of a call to one of the tenant's emergency numbers; None if it is none, or if no
    gateway of the plan is in use."""
    entry = routing.view.by_number(dialled)
    if entry is None or not isinstance(entry.body, EmergencyPlan) or not entry.body.enabled:
        return None
    if routing.tenant.status == "terminated":
        return None
    plan = entry.body
    routing.note("emergency", "matched", f"{dialled} is an emergency number", entry)
    ordered = sorted(plan.gateways, key=lambda it: it.order)
    found = [routing.object(Gateway, it.gateway_id) for it in ordered]
    gateways = [it for it in found if it is not None]
    if not gateways:
        routing.note("emergency", "failed", "no gateway of the plan is in use", entry)
        return None
    routing.enter(entry, f"emergency plan {plan.name}")
    extension = routing.rights.extension
    own = None if extension is None else extension.body
    location = (own.emergency_location if own else None) or plan.location
    if location:
        routing.note("emergency", "matched", f"the caller is at {location}", entry)
    number = (own.caller_id.emergency_number if own else None) or plan.caller_id_number
    steps: list[Step] = []
    if number:
        routing.note("caller_id", "chosen", f"shows {number}")
        steps.append(Set("effective_caller_id_number", number))
    for position, gateway in enumerate(gateways):
        leg, is_last = gateway_leg(gateway, dialled), position == len(gateways) - 1
        if not is_last:
            leg = attrs.evolve(leg, progress_timeout_seconds=PROGRESS_SECONDS)
        steps.append(Bridge((leg,), continue_on="never" if is_last else "always"))
    return tuple(steps)
