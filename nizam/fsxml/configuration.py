"""Configuration files that are served: each has its name here and its file in this room."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import attrs

from nizam.fsxml.conference import conference_conf
from nizam.fsxml.ivr import ivr_conf
from nizam.fsxml.request import XmlRequest
from nizam.fsxml.reveal import Reveal
from nizam.fsxml.sofia import sofia_conf
from nizam.fsxml.voicemail import voicemail_conf
from nizam.fsxml.writer import NOT_FOUND, child, document, pairs, to_bytes
from nizam.model.acl import GATEWAYS, Acl
from nizam.model.gateway import Gateway
from nizam.routing.snapshot import Snapshot
from nizam.settings.values import SipSettings


@attrs.frozen
class Configuration:
    """Answers configuration questions; whatever is not served comes from the switch's disk."""

    snapshot: Snapshot
    sip: SipSettings
    reveal: Reveal

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
                return conference_conf(self.snapshot, request, self.reveal)
            case "voicemail.conf":
                return voicemail_conf()
            case "post_load_switch.conf":
                return post_load_switch_conf(self.sip)
            case _:
                return NOT_FOUND


def acl_conf(snapshot: Snapshot) -> bytes:
    """The declared lists, and `gateways`: the addresses of all carriers that are given as such."""
    networks = set()
    for view in snapshot.tenants():
        for entry in view.all(Gateway):
            if entry.body.enabled:
                try:
                    networks.add(ip_network(ip_address(entry.body.host)))
                except ValueError:
                    continue  # a host name: FreeSWITCH's lists hold addresses only
    root, section = document("configuration")
    configuration = child(section, "configuration", name="acl.conf", description="Network lists")
    lists = child(configuration, "network-lists")
    gateways = child(lists, "list", name=GATEWAYS, default="deny")
    for network in sorted(networks, key=lambda it: (it.version, it.network_address.packed)):
        child(gateways, "node", type="allow", cidr=str(network))
    for declared in sorted(snapshot.platform(Acl), key=lambda it: it.body.name):
        if declared.body.enabled:
            listed = child(lists, "list", name=declared.body.name, default=declared.body.default)
            for node in declared.body.nodes:
                child(listed, "node", type=node.action, cidr=node.cidr)
    return to_bytes(root)


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
