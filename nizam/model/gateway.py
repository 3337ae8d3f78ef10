"""A gateway: a SIP trunk to a carrier, served to FreeSWITCH in sofia.conf."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.base import Body
from nizam.model.resource import Column, Resource, Secret, Unique
from nizam.model.tenant import CodecList
from nizam.model.values import Host, Label, Port, SipToken

Proxy = Annotated[str, StringConstraints(max_length=260, pattern=r"^[A-Za-z0-9.:\[\]-]+$")]
GatewayPassword = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!-~]+$")
]


class Gateway(Body):
    """The writable fields. Without `register` the carrier knows us by our address."""

    name: Label
    host: Host
    port: Port = 5060
    transport: Literal["udp", "tcp", "tls"] = "udp"
    register_: Annotated[bool, Field(alias="register")] = False
    username: SipToken | None = None
    password: GatewayPassword | None = None
    realm: Host | None = None
    from_user: SipToken | None = None
    from_domain: Host | None = None
    proxy: Proxy | None = None
    expire_seconds: Annotated[int, Field(ge=60, le=86400)] = 3600
    ping_seconds: Annotated[int, Field(ge=0, le=3600)] = 30
    codecs: CodecList | None = None
    caller_id_in: Literal["from", "pai", "rpid"] = "from"
    max_channels: Annotated[int, Field(ge=0, le=100_000)] = 0

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        if self.register_ and self.username is None:
            raise PydanticCustomError("username_missing", "register needs a username", {})
        return self


RESOURCE = Resource(
    name="gateway",
    path="gateways",
    body=Gateway,
    columns=(Column("name"), Column("host"), Column("enabled", "boolean")),
    unique=(Unique(("name",)),),
    secrets=(Secret("password"),),
    search=("name", "host"),
    example={"name": "Carrier One", "host": "sip.carrier.example", "username": "acme"},
)
