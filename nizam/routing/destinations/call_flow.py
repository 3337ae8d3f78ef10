"""To a call flow: through the nodes of the version that is published."""

from __future__ import annotations

from nizam.model.call_flow import CallFlow, PublishedFlow
from nizam.model.destination import Destination
from nizam.model.flow_nodes import BridgeNode, CollectNode, HttpNode
from nizam.routing.context import Routing
from nizam.routing.flow_state import FLOW_TO, MAX_HOPS
from nizam.routing.flow_walk import Walk
from nizam.routing.plan import Hangup, Plan, Set
from nizam.routing.rows import Entry
from nizam.routing.tokens import FlowStep, read_token


def plan(routing: Routing, destination: Destination) -> Plan:
    """Begin at the start of the published version."""
    entry = routing.object(CallFlow, destination.id)
    if entry is None:
        return routing.unreachable()
    routing.enter(entry, _words(entry))
    flow = entry.body.published
    if flow is None:
        routing.note("call_flow", "failed", "it was never published", entry)
        return routing.unreachable()
    routing.note("call_flow", "matched", f"version {flow.version} is published", entry)
    walk = _walk(routing, entry, flow)
    if not routing.request.flow.to and read_token(routing.request.destination) is None:
        walk.begin(Set(FLOW_TO, routing.request.destination))
    # Without it each re-entry would take one from Max-Forwards (RFC 3261, 8.1.1.6) of what is
    # rung later, and the 70th end the call.
    walk.begin(Set("max_session_transfers", str(2 * MAX_HOPS)))
    return walk.go(flow.start)


def go_on(routing: Routing, token: FlowStep) -> Plan:
    """What follows a node, for a call that the flow itself has sent to this token.

    When another version has been published since, the call goes on in that one at the node with
    the same id, or at its start when it has none of that kind.
    """
    if routing.request.flow.next != routing.request.destination:
        # Dialled by hand, or somebody's transfer: nobody's way through a flow begins in its middle.
        routing.note("call_flow", "denied", "no flow has sent this call here")
        routing.outcome = "not_found"
        return (Hangup("UNALLOCATED_NUMBER"),)
    entry = routing.object(CallFlow, token.flow_id)
    flow = None if entry is None else entry.body.published
    if entry is None or flow is None:
        return routing.unreachable()
    routing.route.append(f"{_words(entry)} {token.node}")
    if flow.version != token.version:
        words = f"version {flow.version} was published since the call came in"
        routing.note("call_flow", "matched", words, entry)
    walk = _walk(routing, entry, flow)
    node = walk.node(token.node)
    if token.kind == "at" and node is not None:
        return walk.go(node.id)
    if token.kind == "wait" and isinstance(node, HttpNode):
        return walk.wait(node, token.hop)
    if token.kind == "after" and isinstance(node, CollectNode):
        return walk.go(walk.collected(node))
    if token.kind == "after" and isinstance(node, BridgeNode):
        return walk.go(walk.bridged(node))
    routing.note("call_flow", "failed", f"it has no such node {token.node}: begins again", entry)
    return walk.go(flow.start)


def _walk(routing: Routing, entry: Entry[CallFlow], flow: PublishedFlow) -> Walk:
    return Walk(routing, entry, flow, dict(routing.request.flow.variables))


def _words(entry: Entry[CallFlow]) -> str:
    return f"call flow {entry.body.number or entry.body.name}"
