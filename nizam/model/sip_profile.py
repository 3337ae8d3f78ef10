"""A SIP profile: on which addresses and how FreeSWITCH speaks SIP, to phones or to carriers."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.base import Body
from nizam.model.resource import Column, RefersTo, Resource, Unique
from nizam.model.tenant import CodecList
from nizam.model.values import Host, Port

DEFAULT_CODECS = "OPUS,G722,PCMU,PCMA"


class SipProfile(Body):
    """The writable fields. There are two profiles: phones register at `internal`, carriers are
    reached through `external`. One that is not declared here, or is disabled, has the addresses and
    ports of the settings. Without an address FreeSWITCH takes the node's own."""

    name: Literal["internal", "external"]
    sip_ip: Host | None = None
    sip_port: Port
    rtp_ip: Host | None = None
    advertised_ip: Host | None = None
    tls: bool = False
    tls_port: Port | None = None
    codecs_in: CodecList = DEFAULT_CODECS
    codecs_out: CodecList = DEFAULT_CODECS
    rtp_timeout_seconds: Annotated[int, Field(ge=0, le=86400)] = 300
    session_timeout_seconds: Annotated[int, Field(ge=90, le=86400)] | None = None
    nat_ping: bool = False
    user_agent: Annotated[str, Field(pattern=r"^[A-Za-z0-9 ._/-]{1,60}$")] | None = None
    inbound_acl_id: Annotated[UUID, RefersTo("acl")] | None = None

    @model_validator(mode="after")
    def _tls_port(self) -> Self:
        if self.tls and self.tls_port is None:
            raise PydanticCustomError("tls_port_missing", "tls needs a tls_port", {})
        if self.tls and self.tls_port == self.sip_port:
            raise PydanticCustomError("same_port", "tls_port must differ from sip_port", {})
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
