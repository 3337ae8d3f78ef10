"""To a number outside, through the tenant's outbound routes."""

from __future__ import annotations

from nizam.model.destination import Destination
from nizam.routing.context import Routing
from nizam.routing.destinations.did import arrive, own_did
from nizam.routing.outbound import dial_out
from nizam.routing.plan import Hangup, Plan


def plan(routing: Routing, destination: Destination) -> Plan:
    """Dial the number as whoever sends the call there may."""
    number = destination.number or ""
    own = own_did(routing, number)
    if own is not None:
        # Through a carrier it would come back, and go round without anybody seeing the loop.
        return arrive(routing, own)
    steps = dial_out(routing, number)
    if steps is not None:
        return steps
    routing.outcome = "unreachable"
    return (Hangup("NO_ROUTE_DESTINATION"),)
