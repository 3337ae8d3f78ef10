"""Configuration files that are served: each has its name here and its file in this room."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import attrs

from nizam.fsxml.conference import conference_conf
from nizam.fsxml.ivr import ivr_conf
from nizam.fsxml.request import XmlRequest
from nizam.fsxml.reveal import Reveal
from nizam.fsxml.sofia import sofia_conf
from nizam.fsxml.voicemail import voicemail_conf
from nizam.fsxml.writer import NOT_FOUND, child, document, pairs, to_bytes
from nizam.model.acl import GATEWAYS, SWITCH_NODES, TENANTS, Acl
from nizam.model.extension import Extension
from nizam.model.gateway import Gateway
from nizam.model.sip_address import host_and_port
from nizam.routing.nodes import node_hosts
from nizam.routing.snapshot import Snapshot
from nizam.settings.values import SipSettings

Network = IPv4Network | IPv6Network

_ANYWHERE = (b'"allowed_cidrs":[]', b'"allowed_cidrs": []')
"""Nearly all extensions, of which there may be a hundred thousand."""


@attrs.frozen
class Configuration:
    """Answers configuration questions; whatever is not served comes from the switch's disk."""

    snapshot: Snapshot
    sip: SipSettings
    reveal: Reveal
    now: Callable[[], datetime]

    def answer(self, request: XmlRequest) -> bytes:
        """The document for one question."""
        match request.field("key_value"):
            case "ivr.conf":
                return ivr_conf(self.snapshot, request)
            case "sofia.conf":
                return sofia_conf(self.snapshot, request, self.sip, self.reveal)
            case "acl.conf":
                return acl_conf(self.snapshot)
            case "conference.conf":
                return conference_conf(self.snapshot, request, self.reveal, self.now())
            case "voicemail.conf":
                return voicemail_conf()
            case "post_load_switch.conf":
                return post_load_switch_conf(self.sip)
            case _:
                return NOT_FOUND


def acl_conf(snapshot: Snapshot) -> bytes:
    """The declared lists; `gateways`: the addresses of all carriers that are given as such;
    `tenants`: the networks that extensions are limited to; `switch_nodes`: the nodes."""
    gateways, tenants, nodes = set[Network](), set[Network](), set[Network]()
    for view in snapshot.tenants():
        if view.tenant.status != "terminated":
            for gateway in view.all(Gateway):
                if gateway.body.enabled:
                    gateways |= _networks_of(gateway.body)
            for extension in view.all_but(Extension, *_ANYWHERE):
                if extension.body.enabled:
                    tenants |= {ip_network(it) for it in extension.body.allowed_cidrs}
    for host in node_hosts(snapshot):
        nodes |= _network_of(host)
    root, section = document("configuration")
    configuration = child(section, "configuration", name="acl.conf", description="Network lists")
    lists = child(configuration, "network-lists")
    made = ((GATEWAYS, gateways), (TENANTS, tenants), (SWITCH_NODES, nodes))
    for name, networks in made:
        listed = child(lists, "list", name=name, default="deny")
        for network in sorted(networks, key=lambda it: (it.version, it.network_address.packed)):
            child(listed, "node", type="allow", cidr=str(network))
    for declared in sorted(snapshot.platform(Acl), key=lambda it: it.body.name):
        if declared.body.enabled:
            listed = child(lists, "list", name=declared.body.name, default=declared.body.default)
            for node in declared.body.nodes:
                child(listed, "node", type=node.action, cidr=node.cidr)
    return to_bytes(root)


def _networks_of(gateway: Gateway) -> set[Network]:
    found = {ip_network(it) for it in gateway.inbound_cidrs}
    for host in (gateway.host, host_and_port(gateway.proxy or "")[0]):
        found |= _network_of(host)
    return found


def _network_of(host: str) -> set[Network]:
    # FreeSWITCH's lists hold addresses only, and no names.
    with suppress(ValueError):
        return {ip_network(ip_address(host))}
    return set()


def post_load_switch_conf(sip: SipSettings) -> bytes:
    """Core settings after the modules are loaded: dialplan data must run no API commands, and the
    ports of audio are those of the settings."""
    root, section = document("configuration")
    configuration = child(
        section, "configuration", name="post_load_switch.conf", description="Core settings"
    )
    pairs(
        child(configuration, "settings"),
        "param",
        (
            ("api-expansion", "false"),
            ("max-sessions", "4000"),
            ("sessions-per-second", "500"),
            ("rtp-start-port", str(sip.rtp_port_first)),
            ("rtp-end-port", str(sip.rtp_port_last)),
        ),
    )
    return to_bytes(root)
