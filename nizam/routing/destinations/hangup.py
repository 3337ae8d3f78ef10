"""The end of the call, with a cause."""

from __future__ import annotations

from nizam.model.destination import Destination
from nizam.routing.context import Routing
from nizam.routing.plan import Hangup, Plan


def plan(routing: Routing, destination: Destination) -> Plan:
    """Hang up."""
    cause = destination.cause or "NORMAL_CLEARING"
    routing.note("hangup", "chosen", f"ends with {cause}")
    routing.route.append("hangup")
    return (Hangup(cause),)
