"""Feature codes that take a call which rings at somebody else's phone."""

from __future__ import annotations

from collections.abc import Iterable

from nizam.model.extension import Extension
from nizam.model.feature_code import FeatureCode
from nizam.routing.context import Routing
from nizam.routing.facts import RingingLeg
from nizam.routing.features.results import failed
from nizam.routing.nodes import cannot_be_dialled
from nizam.routing.phones import pickup_leg
from nizam.routing.plan import Bridge, Hangup, Intercept, Plan, Playback, Respond
from nizam.routing.rows import Entry
from nizam.routing.tones import TONES

ACROSS_SECONDS = 5
"""How long another switch may take to hand over a call that rings there."""
GONE: Plan = (Respond(480, "Temporarily Unavailable"),)


def directed(routing: Routing, entry: Entry[FeatureCode], argument: str) -> Plan:
    """Take the call that rings at the extension `argument`."""
    own = routing.caller
    if own is None:
        return failed(routing, "only an extension can pick up calls")
    found = routing.view.by_number(argument)
    if found is None or found.resource != "extension":
        return failed(routing, f"{argument or 'nothing'} is no extension", outcome="unreachable")
    if not _may(own.body, found.body):
        words = f"{own.body.number} is not in the pickup group {found.body.pickup_group}"
        return failed(routing, f"{words} of {found.body.number}")
    return _taken(routing, [found])


def of_group(routing: Routing, entry: Entry[FeatureCode], argument: str) -> Plan:
    """Take the call that has been ringing longest in the caller's pickup group."""
    own = routing.caller
    if own is None:
        return failed(routing, "only an extension can pick up calls")
    group = own.body.pickup_group
    if group is None:
        return failed(routing, f"{own.body.number} is in no pickup group")
    members = [it for it in routing.view.all(Extension) if it.body.pickup_group == group]
    return _taken(routing, members)


def _may(own: Extension, other: Extension) -> bool:
    """Whoever is in a pickup group is picked up by that group alone, others by anybody."""
    return other.pickup_group is None or other.pickup_group == own.pickup_group


def _taken(routing: Routing, members: Iterable[Entry[Extension]]) -> Plan:
    named = {it.id: it for it in members}
    live, view = routing.facts.live, routing.view
    ringing = [it for member in named for it in live.ringing(view.id, member)]
    if not ringing:
        return failed(routing, "no call is ringing there", outcome="unreachable")
    here = [it for it in ringing if not routing.request.node or it.node == routing.request.node]
    leg = min(here or ringing, key=_since)
    extension = named[leg.extension_id]
    address = None if here else live.node_address(leg.node)
    why = None if here else cannot_be_dialled(address)
    if why is not None:
        words = f"the call rings on the switch {leg.node}, of which {why}"
        return failed(routing, words, outcome="unreachable")
    words = f"takes the call that rings at {extension.body.number}"
    routing.note("pickup", "chosen", words if here else f"{words} on {leg.node}", extension)
    routing.route.append(f"pickup {extension.body.number}")
    # Only who comes too late hears the tone: the call was answered or is gone.
    too_late = (Playback(TONES["failed"]), Hangup("NORMAL_CLEARING"))
    if address is None:
        return (Intercept(leg.caller_leg), *too_late)
    across = pickup_leg(routing, extension, address)
    return (Bridge((across,), ring_seconds=ACROSS_SECONDS, continue_on="always"), *too_late)


def taken_here(routing: Routing, entry: Entry[Extension]) -> Plan:
    """Take the call that rings at the extension here: another switch of ours asks for it, which
    knows that its caller may."""
    ringing = routing.facts.live.ringing(routing.view.id, entry.id)
    here = [it for it in ringing if it.node == routing.request.node]
    if not here:
        routing.note("pickup", "failed", "no call is ringing there", entry)
        routing.outcome = "unreachable"
        return GONE
    routing.note("pickup", "chosen", f"takes the call that rings at {entry.body.number}", entry)
    return (Intercept(min(here, key=_since).caller_leg), *GONE)


def _since(leg: RingingLeg) -> str:
    return leg.started_at
