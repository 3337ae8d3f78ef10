"""To a call flow. This version of NIZAM keeps and checks call flows and does not run them."""

from __future__ import annotations

from nizam.model.call_flow import CallFlow
from nizam.model.destination import Destination
from nizam.routing.context import Routing
from nizam.routing.plan import Hangup, Plan


def plan(routing: Routing, destination: Destination) -> Plan:
    """Say in the trace why the call ends here."""
    entry = routing.object(CallFlow, destination.id)
    if entry is None:
        return routing.unreachable()
    routing.enter(entry, f"call flow {entry.body.number or entry.body.name}")
    why = "call flows are not run" if entry.body.published else "it was never published"
    routing.note("call_flow", "failed", why, entry)
    routing.outcome = "unreachable"
    return (Hangup("SERVICE_NOT_IMPLEMENTED"),)
