"""A gateway: a SIP trunk to a carrier, served to FreeSWITCH in sofia.conf."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.base import Body
from nizam.model.extension import Network
from nizam.model.resource import Column, Resource, Secret, Unique
from nizam.model.sip_profile import Srtp
from nizam.model.tenant import CodecList
from nizam.model.values import (
    E164,
    CallerNumberFormat,
    Host,
    Label,
    NumberFormat,
    Port,
    SipToken,
)

Proxy = Annotated[str, StringConstraints(max_length=260, pattern=r"^[A-Za-z0-9.:\[\]-]+$")]
GatewayPassword = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!-~]+$")
]
_CONTACT_PARAMETERS = (
    r"^[A-Za-z0-9.!*_+~-]+(=[A-Za-z0-9.!*_+~:-]+)?"
    r"(;[A-Za-z0-9.!*_+~-]+(=[A-Za-z0-9.!*_+~:-]+)?)*$"
)


class Gateway(Body):
    """A SIP trunk to a carrier, which FreeSWITCH gets in sofia.conf. Without `register` the
    carrier knows us by our address."""

    name: Label
    """Its name; no other gateway of the tenant has it."""
    host: Host
    """The carrier's host or address."""
    port: Port = 5060
    """The carrier's port."""
    transport: Literal["udp", "tcp", "tls"] = "udp"
    """How SIP is carried."""
    register_: Annotated[bool, Field(alias="register")] = False
    """Whether to register there; otherwise the carrier knows us by our address."""
    username: SipToken | None = None
    """What to sign in with."""
    password: GatewayPassword | None = None
    """What to sign in with; never shown but by reveal."""
    auth_username: SipToken | None = None
    """What to sign in with, where that is not the username of the registration."""
    realm: Host | None = None
    """The realm of the credentials; the host without it."""
    from_user: SipToken | None = None
    """The user in From; the username without it."""
    from_domain: Host | None = None
    """The domain in From; the host without it."""
    proxy: Proxy | None = None
    """An outbound proxy."""
    expire_seconds: Annotated[int, Field(ge=60, le=86400)] = 3600
    """How long a registration holds."""
    retry_seconds: Annotated[int, Field(ge=5, le=3600)] = 30
    """How long after a failed registration it is tried again."""
    contact_host: Host | None = None
    """The host in Contact; the node's own without it."""
    contact_params: (
        Annotated[str, StringConstraints(max_length=200, pattern=_CONTACT_PARAMETERS)] | None
    ) = Field(default=None, examples=["tport=tcp;line=4711"])
    """Parameters of the Contact."""
    inbound_cidrs: Annotated[tuple[Network, ...], Field(max_length=50)] = ()
    """The networks that its calls come from, besides its host and proxy if those are addresses:
    they are in the access control list `gateways`."""
    rfc_5626: bool = False
    """Whether the connection of the registration is kept and used for calls that come in (SIP
    outbound); the SIP profile `external` needs it too."""
    srtp: Srtp | None = None
    """Whether audio is encrypted: `off` answers with SRTP and offers none, `optional` offers it,
    `required` refuses calls without it; as the SIP profile `external` says without it."""
    ping_seconds: Annotated[int, Field(ge=0, le=3600)] = 30
    """How often it is asked whether it is there; 0 is never."""
    codecs: CodecList | None = None
    """The codecs, by preference; those of the SIP profile without it."""
    number_format: NumberFormat = "as_routed"
    """How the carrier wants the number that is called: `e164_plus` +442079460000, `e164`
    442079460000, `international` 00442079460000, `national` 02079460000 and foreign ones as
    `international`, `as_dialled`, or `as_routed`: E.164 with its plus if the route's pattern
    starts with +, otherwise as dialled. `strip` and `prepend` of a route come after it for
    patterns that start with +, before it for others. Emergency numbers are sent as the plan
    says."""
    prefix: Annotated[str, StringConstraints(pattern=r"^\+?[0-9*#]{0,16}$")] = ""
    """What is put before every number, emergency numbers excepted."""
    caller_id_in: Literal["from", "pai", "rpid"] = "from"
    """Where the caller's number is: From, P-Asserted-Identity or Remote-Party-ID."""
    caller_id_format: CallerNumberFormat = "e164_plus"
    """How the carrier wants the caller's number."""
    caller_id: E164 | None = None
    """The number that is shown where neither the extension nor the route has one. It is shown if
    it is a DID of the tenant or one of its `dialling.caller_ids`."""
    privacy: Literal["anonymous", "header"] = "anonymous"
    """How a number is withheld: `anonymous` takes it out of From (RFC 3323) and asks for privacy,
    `header` only asks, by Privacy or Remote-Party-ID, for carriers that know their customers by
    From."""
    max_channels: Annotated[int, Field(ge=0, le=100_000)] = 0
    """How many calls at once; 0 is no limit."""

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
