"""Calls from one switch of ours to another: to the phones that are registered there.

A switch cannot ring a phone that is registered at another: the phone expects to hear from that one,
often through the hole that its REGISTER has made. So the call is sent there, to a token that stands
for the extension, and the other switch rings the phones that it has. Only an address of a switch of
ours is answered; what is dialled gives no right beyond ringing one extension. To have its phones
answer by themselves, or to take a call that rings at them, the call has to be sealed as well: an
address can be forged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nizam.fsxml.values import is_address
from nizam.model.extension import Extension
from nizam.model.sip_address import host_and_port
from nizam.model.switch_node import SwitchNode
from nizam.routing.context import Routing
from nizam.routing.facts import Contact, Live
from nizam.routing.plan import Plan, Respond
from nizam.routing.request import CallRequest
from nizam.routing.rows import Entry
from nizam.routing.snapshot import Snapshot, TenantView
from nizam.routing.tokens import RingHere, read_token


def asked_by_node(
    snapshot: Snapshot, request: CallRequest
) -> tuple[RingHere, TenantView, Entry[Extension]] | None:
    """What another switch of ours asks for, the tenant and the extension; None if it does not."""
    token = read_token(request.destination)
    if not isinstance(token, RingHere) or request.network_ip not in node_hosts(snapshot):
        return None
    view = snapshot.tenant(token.tenant_id)
    entry = None if view is None else view.get(Extension, token.extension_id)
    return None if view is None or entry is None else (token, view, entry)


def refuses_new_calls(snapshot: Snapshot, request: CallRequest) -> str | None:
    """Why the switch that asks takes no new calls, in words; None if it takes this one.

    A call that is up already goes on: its later questions, and the calls that other switches send
    to the phones here, are answered as ever. FreeSWITCH itself is not paused (`fsctl pause
    inbound`): it would refuse the REGISTERs of its phones, too, and the calls of other switches to
    them (sofia_event_callback in sofia.c).
    """
    if request.call_id is not None or not request.node:
        return None
    node = snapshot.switch_node(request.node)
    if node is None or node.status == "in_service":
        return None
    return f"{request.node} is {node.status.replace('_', ' ')}"


UNAVAILABLE: Plan = (Respond(503, "Service Unavailable"),)
"""What makes a proxy, a carrier and many a phone try the next switch (RFC 3261, 21.5.4)."""


def elsewhere(
    routing: Routing, entry: Entry[Extension], known: Sequence[Contact]
) -> tuple[str, ...]:
    """The addresses of the other switches at which the extension has phones, of those that are
    `known`."""
    live, own = routing.facts.live, routing.request.node
    if not own or routing.from_node:
        return ()
    found = []
    for node, address in addresses(live, known, own):
        why = cannot_be_dialled(address)
        if address is None or why is not None:
            words = f"has a phone at {node}, of which {why}"
            routing.note("phones", "failed", f"{entry.body.number} {words}", entry)
            continue
        routing.note("phones", "matched", f"{entry.body.number} has a phone at {node}", entry)
        found.append(address)
    return tuple(found)


def cannot_be_dialled(address: str | None) -> str | None:
    """Why other switches do not reach one by this address, in words; None if they do."""
    if address is None:
        return "no SIP address is known"
    # One in brackets would have a meaning in the dial-string.
    return None if is_address(address) else f"{address} cannot be dialled"


def addresses(live: Live, known: Sequence[Contact], own: str) -> Iterator[tuple[str, str | None]]:
    """The other nodes at which phones are registered, and where each is reached by SIP."""
    for node in dict.fromkeys(it.node for it in known if it.node != own):
        yield node, live.node_address(node)


def node_hosts(snapshot: Snapshot) -> frozenset[str]:
    """Where calls of our own switches come from: addresses or names."""
    known = (it.body.sip_address for it in snapshot.platform(SwitchNode) if it.body.enabled)
    return frozenset(host_and_port(it)[0] for it in known if it is not None)
