"""Calls from one switch of ours to another: to the phones that are registered there.

A switch cannot ring a phone that is registered at another: the phone expects to hear from that one,
often through the hole that its REGISTER has made. So the call is sent there, to a token that stands
for the extension, and the other switch rings the phones that it has. Only an address of a switch of
ours is answered; what is dialled gives no right beyond ringing one extension.
"""

from __future__ import annotations

from nizam.fsxml.values import is_address
from nizam.model.extension import Extension
from nizam.model.sip_address import host_and_port
from nizam.model.switch_node import SwitchNode
from nizam.routing.context import Routing
from nizam.routing.request import CallRequest
from nizam.routing.rows import Entry
from nizam.routing.snapshot import Snapshot, TenantView
from nizam.routing.tokens import RingHere, read_token


def asked_by_node(
    snapshot: Snapshot, request: CallRequest
) -> tuple[TenantView, Entry[Extension]] | None:
    """The tenant and the extension that another switch of ours wants rung; None if it is not
    that."""
    token = read_token(request.destination)
    if not isinstance(token, RingHere) or not _is_node(snapshot, request.network_ip):
        return None
    view = snapshot.tenant(token.tenant_id)
    entry = None if view is None else view.get(Extension, token.extension_id)
    return None if view is None or entry is None else (view, entry)


def elsewhere(routing: Routing, entry: Entry[Extension]) -> tuple[str, ...]:
    """The addresses of the other switches at which the extension has phones."""
    live, own = routing.facts.live, routing.request.node
    if not own or routing.from_node:
        return ()
    known = live.contacts(routing.view.id, entry.body.number)
    nodes = dict.fromkeys(it.node for it in known if it.node != own)
    found = []
    for node in nodes:
        address = live.node_address(node)
        if address is None or not is_address(address):
            # One in brackets would have a meaning in the dial-string.
            why = "no SIP address is known" if address is None else f"{address} cannot be dialled"
            words = f"has a phone at {node}, of which {why}"
            routing.note("phones", "failed", f"{entry.body.number} {words}", entry)
            continue
        routing.note("phones", "matched", f"{entry.body.number} has a phone at {node}", entry)
        found.append(address)
    return tuple(found)


def _is_node(snapshot: Snapshot, address: str) -> bool:
    nodes = snapshot.platform(SwitchNode) if address else []
    known = (it.body.sip_address for it in nodes if it.body.enabled)
    return any(it is not None and host_and_port(it)[0] == address for it in known)
