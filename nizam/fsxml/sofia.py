"""sofia.conf: the two SIP profiles, and every gateway of every tenant on the external one.

Settings as verified on FreeSWITCH 1.11. Gateways are named by their ids: all profiles and tenants
share one namespace of names.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import get_args
from uuid import UUID

from twisted.logger import Logger

from nizam.errors import InternalError
from nizam.fsxml.profiles import (
    PROFILES,
    served_gateways,
    sip_profile,
    srtp_variable,
    start_mark,
)
from nizam.fsxml.request import XmlRequest
from nizam.fsxml.reveal import Reveal
from nizam.fsxml.writer import NOT_FOUND, Element, child, document, pairs, to_bytes
from nizam.model.acl import SWITCH_NODES, Acl
from nizam.model.gateway import Gateway
from nizam.model.sip_profile import SipProfile, TlsVersion
from nizam.routing.request import PUBLIC_CONTEXT
from nizam.routing.rows import Entry
from nizam.routing.snapshot import Snapshot, TenantView
from nizam.settings.values import SipSettings

_log = Logger(namespace="nizam.xml")

_COMMON = (
    ("context", PUBLIC_CONTEXT),
    ("dialplan", "XML"),
    ("inbound-codec-negotiation", "generous"),
    ("inbound-late-negotiation", "true"),
    ("rtp-timer-name", "soft"),
    ("rfc2833-pt", "101"),
    # A proxy or carrier that asks sees it when the operator has paused the switch, or it is full.
    ("sip-options-respond-503-on-busy", "true"),
)

_INTERNAL = (
    ("auth-calls", "true"),
    ("auth-subscriptions", "true"),
    ("accept-blind-reg", "false"),
    ("accept-blind-auth", "false"),
    # The realm is the domain that the phone names, which keeps tenants apart.
    ("challenge-realm", "auto_from"),
    ("inbound-reg-force-matching-username", "true"),
    ("multiple-registrations", "contact"),
    ("log-auth-failures", "true"),
    ("nonce-ttl", "60"),
    ("liberal-dtmf", "true"),
    ("manage-presence", "true"),
    # Calls of our other switches to the phones here: they sign in by their address, and reach what
    # a caller from outside does (nizam.routing.nodes). Of several lists one that fits is enough.
    ("apply-inbound-acl", SWITCH_NODES),
)

_EXTERNAL = (
    ("auth-calls", "false"),
    ("manage-presence", "false"),
    # A REFER from outside would otherwise be a call of the tenant's.
    ("disable-transfer", "true"),
)


def sofia_conf(snapshot: Snapshot, request: XmlRequest, sip: SipSettings, reveal: Reveal) -> bytes:
    """All profiles, or the one that `profile` names; not found for any other.

    With `gateway` FreeSWITCH means to start that one alone, but it looks for it itself.
    """
    wanted = request.field("profile")
    if wanted not in {"", *PROFILES}:
        return NOT_FOUND
    root, section = document("configuration")
    configuration = child(section, "configuration", name="sofia.conf", description="SIP")
    pairs(child(configuration, "global_settings"), "param", (("log-level", "0"),))
    profiles = child(configuration, "profiles")
    for name in PROFILES:
        if wanted in {"", name}:
            profile = sip_profile(snapshot, sip, name)
            element = child(profiles, "profile", name=name)
            if name == "internal":
                _internal(element)
            else:
                _external(element, snapshot, profile, reveal)
            settings = child(element, "settings")
            pairs(settings, "param", _COMMON)
            pairs(settings, "param", _of_profile(snapshot, profile))
            pairs(settings, "param", _INTERNAL if name == "internal" else _EXTERNAL)
    return to_bytes(root)


def _internal(profile: Element) -> None:
    child(profile, "gateways")
    child(child(profile, "domains"), "domain", name="all", alias="true", parse="false")


def _external(profile: Element, snapshot: Snapshot, body: SipProfile, reveal: Reveal) -> None:
    gateways = child(profile, "gateways")
    for view, entry in served_gateways(snapshot, body):
        try:
            _gateway(gateways, view, entry, body, reveal)
        except InternalError as error:
            # The gateways of every tenant are in this document.
            _log.error("no gateway {id}: {error}", id=str(entry.id), error=str(error))
    child(child(profile, "domains"), "domain", name="none", alias="false", parse="false")


def _of_profile(snapshot: Snapshot, profile: SipProfile) -> tuple[tuple[str, str | None], ...]:
    # Without an address FreeSWITCH guesses its own.
    lists = {it.id: it.body.name for it in snapshot.platform(Acl)}
    timeout = profile.session_timeout_seconds
    return (
        ("sip-ip", profile.sip_ip),
        ("sip-port", str(profile.sip_port)),
        ("bind-params", f"transport=udp,tcp;nizam={start_mark(profile)}"),
        ("rtp-ip", profile.rtp_ip),
        ("ext-sip-ip", profile.advertised_ip),
        ("ext-rtp-ip", profile.advertised_ip),
        ("inbound-codec-prefs", profile.codecs_in),
        ("outbound-codec-prefs", profile.codecs_out),
        ("rtp-timeout-sec", str(profile.rtp_timeout_seconds)),
        # Written when they are off, too: a rescan keeps what it is not told of.
        ("session-timeout", str(timeout or 0)),
        ("nat-options-ping", "true" if profile.nat_ping else "false"),
        ("enable-rfc-5626", "true" if profile.rfc_5626 else "false"),
        ("user-agent-string", profile.user_agent),
        ("apply-inbound-acl", _list(lists, profile.inbound_acl_id)),
        ("apply-proxy-acl", _list(lists, profile.proxy_acl_id)),
        *_tls(profile),
    )


def _list(lists: Mapping[UUID, str], identifier: UUID | None) -> str | None:
    return None if identifier is None else lists.get(identifier)


def _tls(profile: SipProfile) -> tuple[tuple[str, str | None], ...]:
    if not profile.tls:
        return (("tls", "false"),)
    versions = get_args(TlsVersion)
    spoken = versions[versions.index(profile.tls_minimum_version) :]
    return (
        ("tls", "true"),
        ("tls-sip-port", str(profile.tls_port)),
        ("tls-only", "true" if profile.tls_only else "false"),
        ("tls-cert-dir", profile.tls_certificate_directory),
        ("tls-version", ",".join(f"tlsv{it}".removesuffix(".0") for it in spoken)),
        ("tls-ciphers", profile.tls_ciphers),
        ("tls-verify-policy", _VERIFY[profile.tls_verify]),
        ("tls-verify-date", "true"),
    )


def gateway_mark(view: TenantView, entry: Entry[Gateway], external: SipProfile) -> bytes:
    """What changes with whatever FreeSWITCH is told of the gateway, and with nothing else: that a
    gateway is made again only when it has to be. It holds no secret in the clear."""
    root, section = document("configuration")
    _gateway(section, view, entry, external, lambda sealed, *_: sealed)
    return to_bytes(root)


_VERIFY = {"none": "none", "inbound": "in", "outbound": "out", "all": "all"}


def _gateway(
    parent: Element,
    view: TenantView,
    entry: Entry[Gateway],
    external: SipProfile,
    reveal: Reveal,
) -> None:
    gateway = entry.body
    encrypted = entry.secrets.get("password")
    password = None if encrypted is None else reveal(encrypted, "gateway", entry.id, "password")
    proxy = None if gateway.proxy is None else _via(gateway.proxy, gateway.transport)
    srtp = srtp_variable(gateway.srtp or external.srtp)
    element = child(parent, "gateway", name=str(entry.id))
    ping = str(gateway.ping_seconds) if gateway.ping_seconds else None
    pairs(
        element,
        "param",
        (
            ("username", gateway.username or "not-used"),
            ("auth-username", gateway.auth_username),
            ("password", password or ""),
            ("realm", gateway.realm or gateway.host),
            ("from-user", gateway.from_user),
            ("from-domain", gateway.from_domain),
            ("proxy", _address(gateway.host, gateway.port, gateway.transport)),
            ("register-proxy", proxy),
            ("outbound-proxy", proxy),
            ("register", "true" if gateway.register_ else "false"),
            ("register-transport", gateway.transport),
            ("expire-seconds", str(gateway.expire_seconds)),
            ("retry-seconds", str(gateway.retry_seconds)),
            ("contact-host", gateway.contact_host),
            ("contact-params", gateway.contact_params),
            # Both are needed, or FreeSWITCH writes "(null)" into the Contact.
            ("rfc-5626", "true" if gateway.rfc_5626 else None),
            ("reg-id", "1" if gateway.rfc_5626 else None),
            ("caller-id-in-from", "true" if gateway.caller_id_in == "from" else "false"),
            # The number that was called, not the one that we registered with.
            ("extension", "auto_to_user"),
            ("context", PUBLIC_CONTEXT),
            ("ping", ping),
            ("ping-max", None if ping is None else "2"),
            ("ping-min", None if ping is None else "1"),
        ),
    )
    # Without `direction`: with it FreeSWITCH ignores them.
    variables: list[tuple[str, str | None]] = [
        ("nizam_gateway_id", str(entry.id)),
        ("nizam_tenant_id", str(view.id)),
        ("absolute_codec_string", gateway.codecs),
        ("rtp_secure_media", srtp),
    ]
    pairs(child(element, "variables"), "variable", variables)


def _address(host: str, port: int, transport: str) -> str:
    try:
        if isinstance(ip_address(host), IPv6Address):
            host = f"[{host}]"
    except ValueError:
        pass
    return _via(f"{host}:{port}", transport)


def _via(address: str, transport: str) -> str:
    return address if transport == "udp" else f"{address};transport={transport}"
