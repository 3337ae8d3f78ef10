"""Where phones register, as the integrator who sets them up has to know it."""

from __future__ import annotations

from typing import Literal

import attrs

from nizam.fsxml.profiles import sip_profile
from nizam.model.sip_address import host_and_port
from nizam.model.switch_node import SwitchNode
from nizam.routing.snapshot import Snapshot
from nizam.settings.values import SipSettings

Transport = Literal["udp", "tcp", "tls"]


@attrs.frozen
class Registrar:
    """One address that takes REGISTERs."""

    host: str
    port: int
    transport: Transport


def registrars(snapshot: Snapshot, sip: SipSettings) -> list[Registrar]:
    """The addresses of the nodes in service, those with the greatest weight first; of nodes that
    say none, what the profile says of itself. Empty if nothing does: then the domain's own DNS has
    to lead to them."""
    profile = sip_profile(snapshot, sip, "internal")
    nodes = [it.body for it in snapshot.platform(SwitchNode)]
    there = [it for it in nodes if it.enabled and it.status == "in_service" and it.sip_address]
    ordered = sorted(there, key=lambda it: (-it.weight, it.name))
    own = profile.advertised_ip or profile.sip_ip
    hosts = [it.sip_address or "" for it in ordered] or ([own] if own else [])
    found: list[Registrar] = []
    for text in hosts:
        host, port = host_and_port(text)
        if not profile.tls_only:
            found += [Registrar(host, port or profile.sip_port, it) for it in ("udp", "tcp")]
        if profile.tls and profile.tls_port is not None:
            found.append(Registrar(host, profile.tls_port, "tls"))
    return found
