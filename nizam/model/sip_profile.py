"""A SIP profile: on which addresses and how FreeSWITCH speaks SIP, to phones or to carriers."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.base import Body
from nizam.model.resource import Column, RefersTo, Resource, Unique
from nizam.model.tenant import CodecList
from nizam.model.values import Host, Port, stays_below

Srtp = Literal["off", "optional", "required"]
"""How audio is encrypted (SRTP, RFC 3711, with keys in SDP, RFC 4568)."""

TlsVersion = Literal["1.0", "1.1", "1.2", "1.3"]

Directory = Annotated[
    str,
    StringConstraints(max_length=255, pattern=r"^/[A-Za-z0-9/_.-]+$"),
    AfterValidator(stays_below),
    Field(examples=["/etc/freeswitch/tls"]),
]
"""The absolute path of a folder on the node."""

DEFAULT_CODECS = "OPUS,G722,PCMU,PCMA"


class SipProfile(Body):
    """On which addresses and how FreeSWITCH speaks SIP. There are two: phones register at
    `internal`, carriers are reached through `external`. One that is not declared here, or is
    disabled, has the addresses and ports of the settings."""

    name: Literal["internal", "external"]
    """internal for phones, external for carriers."""
    sip_ip: Host | None = None
    """The address that SIP listens on; the node's own without it."""
    sip_port: Port
    """The port that SIP listens on."""
    rtp_ip: Host | None = None
    """The address of audio; that of SIP without it."""
    advertised_ip: Host | None = None
    """The address that others are told, behind NAT."""
    tls: bool = False
    """Whether to listen for TLS too."""
    tls_port: Port | None = None
    """The port for TLS; 5061 is the usual one (RFC 3261, 19.1.2)."""
    tls_only: bool = False
    """Whether to listen for TLS alone, and neither for UDP nor for TCP."""
    tls_certificate_directory: Directory | None = None
    """The folder on the node with `agent.pem` (certificate and key) and `cafile.pem`; its own
    `tls` folder without it."""
    tls_minimum_version: TlsVersion = "1.2"
    """The oldest version of TLS that is spoken."""
    tls_ciphers: (
        Annotated[str, StringConstraints(max_length=255, pattern=r"^[A-Za-z0-9:!+@_=.-]+$")] | None
    ) = None
    """The ciphers up to TLS 1.2, as OpenSSL names them; FreeSWITCH's own without it."""
    tls_verify: Literal["none", "inbound", "outbound", "all"] = "none"
    """Whose certificates must be signed by an authority in `cafile.pem`: of those who connect, of
    those we connect to, or of both."""
    srtp: Srtp = "off"
    """Whether audio is encrypted: `off` answers with SRTP whoever offers it and offers none,
    `optional` offers it beside plain audio, `required` refuses calls without it. On `internal` it
    holds for phones, on `external` for gateways that do not say otherwise."""
    rfc_5626: bool = False
    """Whether connections that phones and gateways have opened are kept and used (SIP outbound)."""
    codecs_in: CodecList = DEFAULT_CODECS
    """Codecs of calls that come in, by preference."""
    codecs_out: CodecList = DEFAULT_CODECS
    """Codecs of calls that go out, by preference."""
    rtp_timeout_seconds: Annotated[int, Field(ge=0, le=86400)] = 300
    """How long without audio ends a call; 0 is never."""
    session_timeout_seconds: Annotated[int, Field(ge=90, le=86400)] | None = None
    """How often a session is refreshed; not at all without it."""
    nat_ping: bool = False
    """Whether phones behind NAT are kept reachable."""
    user_agent: Annotated[str, Field(pattern=r"^[A-Za-z0-9 ._/-]{1,60}$")] | None = None
    """What it calls itself."""
    inbound_acl_id: Annotated[UUID, RefersTo("acl")] | None = None
    """The access control list of who may call in without credentials."""
    proxy_acl_id: Annotated[UUID, RefersTo("acl")] | None = None
    """The access control list of the SIP proxies in front of it: what they say in X-AUTH-IP counts
    as the address of the phone, for `allowed_cidrs` of extensions and `inbound_acl_id`."""

    @model_validator(mode="after")
    def _tls_port(self) -> Self:
        if self.tls and self.tls_port is None:
            raise PydanticCustomError("tls_port_missing", "tls needs a tls_port", {})
        if self.tls and self.tls_port == self.sip_port:
            raise PydanticCustomError("same_port", "tls_port must differ from sip_port", {})
        if self.tls_only and not self.tls:
            raise PydanticCustomError("tls_missing", "tls_only needs tls", {})
        return self


RESOURCE = Resource(
    name="sip_profile",
    path="sip-profiles",
    body=SipProfile,
    scope="platform",
    columns=(Column("name"), Column("enabled", "boolean")),
    unique=(Unique(("name",), everywhere=True),),
    search=("name",),
    example={"name": "internal", "sip_port": 5060, "tls": True, "tls_port": 5061},
)
