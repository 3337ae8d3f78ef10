"""To a routing policy: where it sends the call, or on to its `otherwise`."""

from __future__ import annotations

from nizam.model.destination import Destination
from nizam.model.routing_policy import RoutingPolicy
from nizam.routing.context import Routing
from nizam.routing.plan import Plan
from nizam.routing.policies import act, holds


def plan(routing: Routing, destination: Destination) -> Plan:
    """Ask the condition now."""
    entry = routing.object(RoutingPolicy, destination.id)
    if entry is None:
        return routing.unreachable()
    routing.enter(entry, f"routing policy {entry.body.name}")
    before: Plan = ()
    if holds(routing, entry.body.condition, None):
        before, ending = act(routing, entry)
        if ending is not None:
            return ending
    else:
        routing.note("routing_policy", "passed", "its condition does not hold", entry)
    if entry.body.otherwise is None:
        return routing.unreachable()
    return (*before, *routing.follow_configured(entry.body.otherwise))
