"""sofia.conf: the two SIP profiles, and every gateway of every tenant on the external one.

Settings as verified on FreeSWITCH 1.11. Gateways are named by their ids: all profiles and tenants
share one namespace of names.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from twisted.logger import Logger

from nizam.errors import InternalError
from nizam.fsxml.request import XmlRequest
from nizam.fsxml.reveal import Reveal
from nizam.fsxml.writer import NOT_FOUND, Element, child, document, pairs, to_bytes
from nizam.model.acl import Acl
from nizam.model.gateway import Gateway
from nizam.model.sip_profile import SipProfile
from nizam.routing.request import PUBLIC_CONTEXT
from nizam.routing.snapshot import Entry, Snapshot, TenantView
from nizam.settings.values import SipSettings

_log = Logger(namespace="nizam.xml")

_COMMON = (
    ("context", PUBLIC_CONTEXT),
    ("dialplan", "XML"),
    ("inbound-codec-negotiation", "generous"),
    ("inbound-late-negotiation", "true"),
    ("rtp-timer-name", "soft"),
    ("rfc2833-pt", "101"),
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
)

_EXTERNAL = (
    ("auth-calls", "false"),
    ("manage-presence", "false"),
    # A REFER from outside would otherwise be a call of the tenant's.
    ("disable-transfer", "true"),
)


def sofia_conf(snapshot: Snapshot, request: XmlRequest, sip: SipSettings, reveal: Reveal) -> bytes:
    """All profiles, or the one that `profile` names; not found for any other."""
    wanted = request.field("profile")
    if wanted not in {"", "internal", "external"}:
        return NOT_FOUND
    root, section = document("configuration")
    configuration = child(section, "configuration", name="sofia.conf", description="SIP")
    pairs(child(configuration, "global_settings"), "param", (("log-level", "0"),))
    profiles = child(configuration, "profiles")
    if wanted != "external":
        _internal(profiles, snapshot, sip)
    if wanted != "internal":
        _external(profiles, snapshot, sip, reveal)
    return to_bytes(root)


def _internal(profiles: Element, snapshot: Snapshot, sip: SipSettings) -> None:
    profile = child(profiles, "profile", name="internal")
    child(profile, "gateways")
    child(child(profile, "domains"), "domain", name="all", alias="true", parse="false")
    settings = child(profile, "settings")
    pairs(settings, "param", _COMMON)
    pairs(settings, "param", _of_profile(snapshot, internal_profile(snapshot, sip)))
    pairs(settings, "param", _INTERNAL)


def internal_profile(snapshot: Snapshot, sip: SipSettings) -> SipProfile:
    """The profile at which phones register: the one that is declared, else that of the settings."""
    return _declared(snapshot, "internal") or SipProfile.model_construct(
        name="internal", sip_ip=sip.internal_ip, sip_port=sip.internal_port, rtp_ip=sip.rtp_ip
    )


def _external(profiles: Element, snapshot: Snapshot, sip: SipSettings, reveal: Reveal) -> None:
    profile = child(profiles, "profile", name="external")
    gateways = child(profile, "gateways")
    for view in snapshot.tenants():
        if view.tenant.status != "terminated":
            for entry in view.all(Gateway):
                if entry.body.enabled:
                    try:
                        _gateway(gateways, view, entry, reveal)
                    except InternalError as error:
                        # The gateways of every tenant are in this document.
                        _log.error("no gateway {id}: {error}", id=str(entry.id), error=str(error))
    child(child(profile, "domains"), "domain", name="none", alias="false", parse="false")
    settings = child(profile, "settings")
    pairs(settings, "param", _COMMON)
    declared = _declared(snapshot, "external") or SipProfile.model_construct(
        name="external",
        sip_ip=sip.external_ip,
        sip_port=sip.external_port,
        rtp_ip=sip.rtp_ip,
        advertised_ip=sip.advertised_ip,
    )
    pairs(settings, "param", _of_profile(snapshot, declared))
    pairs(settings, "param", _EXTERNAL)


def _declared(snapshot: Snapshot, name: str) -> SipProfile | None:
    """The platform's profile of this name, if one is declared and enabled."""
    found = (it.body for it in snapshot.platform(SipProfile))
    return next((it for it in found if it.name == name and it.enabled), None)


def _of_profile(snapshot: Snapshot, profile: SipProfile) -> tuple[tuple[str, str | None], ...]:
    # Without an address FreeSWITCH guesses its own.
    acl = next((it for it in snapshot.platform(Acl) if it.id == profile.inbound_acl_id), None)
    timeout = profile.session_timeout_seconds
    return (
        ("sip-ip", profile.sip_ip),
        ("sip-port", str(profile.sip_port)),
        ("rtp-ip", profile.rtp_ip),
        ("ext-sip-ip", profile.advertised_ip),
        ("ext-rtp-ip", profile.advertised_ip),
        ("inbound-codec-prefs", profile.codecs_in),
        ("outbound-codec-prefs", profile.codecs_out),
        ("rtp-timeout-sec", str(profile.rtp_timeout_seconds)),
        ("tls", "true" if profile.tls else "false"),
        ("tls-sip-port", str(profile.tls_port) if profile.tls else None),
        # Written when they are off, too: a rescan keeps what it is not told of.
        ("session-timeout", str(timeout or 0)),
        ("nat-options-ping", "true" if profile.nat_ping else "false"),
        ("user-agent-string", profile.user_agent),
        ("apply-inbound-acl", None if acl is None else acl.body.name),
    )


def _gateway(parent: Element, view: TenantView, entry: Entry[Gateway], reveal: Reveal) -> None:
    gateway = entry.body
    encrypted = entry.secrets.get("password")
    password = None if encrypted is None else reveal(encrypted, "gateway", entry.id, "password")
    element = child(parent, "gateway", name=str(entry.id))
    ping = str(gateway.ping_seconds) if gateway.ping_seconds else None
    pairs(
        element,
        "param",
        (
            ("username", gateway.username or "not-used"),
            ("password", password or ""),
            ("realm", gateway.realm or gateway.host),
            ("from-user", gateway.from_user),
            ("from-domain", gateway.from_domain),
            ("proxy", gateway.proxy or _address(gateway)),
            ("register", "true" if gateway.register_ else "false"),
            ("register-transport", gateway.transport),
            ("expire-seconds", str(gateway.expire_seconds)),
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
    ]
    pairs(child(element, "variables"), "variable", variables)


def _address(gateway: Gateway) -> str:
    host = gateway.host
    try:
        if isinstance(ip_address(host), IPv6Address):
            host = f"[{host}]"
    except ValueError:
        pass
    transport = "" if gateway.transport == "udp" else f";transport={gateway.transport}"
    return f"{host}:{gateway.port}{transport}"
