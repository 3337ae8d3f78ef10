"""Which SIP profiles and gateways a node is given: those that are declared, else the settings'."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from nizam.model.gateway import Gateway
from nizam.model.sip_profile import SipProfile, Srtp
from nizam.routing.rows import Entry
from nizam.routing.snapshot import Snapshot, TenantView
from nizam.settings.values import SipSettings

PROFILES = ("internal", "external")

_READ_AT_START = (
    "sip_ip",
    "sip_port",
    "rtp_ip",
    "advertised_ip",
    "tls",
    "tls_port",
    "tls_only",
    "tls_certificate_directory",
    "tls_minimum_version",
    "tls_ciphers",
    "tls_verify",
)


def sip_profile(snapshot: Snapshot, sip: SipSettings, name: str) -> SipProfile:
    """The profile of this name: the one that is declared, else that of the settings."""
    declared = snapshot.sip_profile(name)
    if declared is not None:
        return declared
    if name == "internal":
        return SipProfile.model_construct(
            name="internal", sip_ip=sip.internal_ip, sip_port=sip.internal_port, rtp_ip=sip.rtp_ip
        )
    return SipProfile.model_construct(
        name="external",
        sip_ip=sip.external_ip,
        sip_port=sip.external_port,
        rtp_ip=sip.rtp_ip,
        advertised_ip=sip.advertised_ip,
    )


def start_mark(profile: SipProfile) -> str:
    """Eight hexadecimal digits that change with whatever FreeSWITCH reads only when it starts the
    profile.

    They are served in `bind-params`, which `sofia status profile NAME` shows, and which nothing
    reads as an address: that tells whether the node runs the profile as it is now.
    """
    facts = repr([getattr(profile, it) for it in _READ_AT_START])
    return hashlib.blake2b(facts.encode(), digest_size=4).hexdigest()


def start_marks(snapshot: Snapshot, sip: SipSettings) -> dict[str, str]:
    """The mark of each profile, by its name."""
    return {name: start_mark(sip_profile(snapshot, sip, name)) for name in PROFILES}


def served_gateways(
    snapshot: Snapshot, external: SipProfile
) -> Iterator[tuple[TenantView, Entry[Gateway]]]:
    """The gateways that FreeSWITCH can take.

    It ignores one that registers without a password, and one over TLS when the profile has none
    (parse_gateways, sofia.c).
    """
    for view in snapshot.tenants():
        if view.tenant.status != "terminated":
            for entry in view.all(Gateway):
                if entry.body.enabled and why_not(entry, external) is None:
                    yield view, entry


def why_not(entry: Entry[Gateway], external: SipProfile) -> str | None:
    """What keeps FreeSWITCH from taking the gateway, in words; None if nothing does."""
    if entry.body.register_ and "password" not in entry.secrets:
        return "it registers and has no password"
    if entry.body.transport == "tls" and not external.tls:
        return "it needs TLS, which the SIP profile external does not have"
    return None


def srtp_variable(srtp: Srtp) -> str | None:
    """The value of the channel variable `rtp_secure_media`; None leaves it to FreeSWITCH, which
    then answers SRTP with SRTP and offers none (switch_core_session_parse_crypto_prefs)."""
    return {"off": None, "optional": "optional", "required": "mandatory"}[srtp]
