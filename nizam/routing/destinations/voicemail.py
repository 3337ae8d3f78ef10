"""To the voicemail box of an extension."""

from __future__ import annotations

from nizam.model.destination import Destination
from nizam.model.extension import Extension
from nizam.routing.context import Routing
from nizam.routing.plan import Answer, Plan, Sleep, Voicemail


def plan(routing: Routing, destination: Destination) -> Plan:
    """Answer and take a message."""
    entry = routing.object(Extension, destination.id)
    if entry is None:
        return routing.unreachable()
    if not entry.body.voicemail.enabled:
        # mod_voicemail would return at once and the caller hear nothing.
        routing.note("voicemail", "failed", f"{entry.body.number} has no voicemail", entry)
        return routing.unreachable()
    routing.note("voicemail", "chosen", f"the voicemail of {entry.body.number}", entry)
    routing.route.append(f"voicemail {entry.body.number}")
    greeting = entry.body.voicemail.greeting
    return (Answer(), Sleep(500), Voicemail(routing.tenant.domain, entry.body.number, greeting))
