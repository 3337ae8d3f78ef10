"""To a DID of the same tenant: to where that DID leads."""

from __future__ import annotations

from nizam.model.destination import Destination
from nizam.model.did import Did
from nizam.routing import numbers
from nizam.routing.context import Routing
from nizam.routing.hours import came_in_by
from nizam.routing.plan import Plan, Set
from nizam.routing.rows import Entry


def plan(routing: Routing, destination: Destination) -> Plan:
    """Follow the DID's destination."""
    entry = routing.object(Did, destination.id)
    return routing.unreachable() if entry is None else arrive(routing, entry)


def own_did(routing: Routing, dialled: str) -> Entry[Did] | None:
    """The tenant's own DID that a dialled number is, with a line in the trace."""
    if not numbers.is_dialled(dialled):
        return None
    e164 = numbers.to_e164(dialled, routing.tenant.country)
    entry = None if e164 is None else routing.view.did(e164)
    if entry is None or not entry.body.enabled:
        return None
    routing.note("did", "matched", f"{dialled} is the tenant's own {e164}", entry)
    return entry


def arrive(routing: Routing, entry: Entry[Did]) -> Plan:
    """What happens to a call for this DID, from outside or from inside."""
    did = entry.body
    routing.did = routing.did or entry
    routing.enter(entry, f"did {did.number}")
    came_in_by(routing, entry.id)
    if not did.caller_name_prefix:
        return routing.follow_configured(did.destination)
    routing.caller_name = f"{did.caller_name_prefix.strip()} {routing.caller_name}".strip()
    named = Set("effective_caller_id_name", routing.caller_name)
    return (named, *routing.follow_configured(did.destination))
