"""An extension: a person or place that can be called inside a tenant, with its phone's login."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from nizam.model.base import Body, Value
from nizam.model.destination import Destination
from nizam.model.resource import Column, Resource, Secret, Unique
from nizam.model.values import (
    E164,
    DialString,
    InternalNumber,
    Label,
    SipPassword,
    Text,
    TimeZone,
)

RecordingPolicy = Literal["never", "inbound", "outbound", "all", "on_demand"]
Email = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,185}$"),
]


def _network(value: str) -> str:
    ip_network(value, strict=True)
    return value


Network = Annotated[str, StringConstraints(max_length=49), AfterValidator(_network)]
"""An IPv4 or IPv6 network in CIDR notation."""


class CallerId(Value):
    """What the called party sees: inside the tenant, outside, and in an emergency."""

    internal_name: Text | None = None
    internal_number: InternalNumber | None = None
    external_name: Text | None = None
    external_number: E164 | None = None
    emergency_number: E164 | None = None


class Voicemail(Value):
    """The voicemail box of the extension."""

    enabled: bool = True
    pin: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[0-9]{4,10}$")] | None,
        Field(json_schema_extra={"writeOnly": True}),
    ] = None
    email: Email | None = None
    attach_audio: bool = True
    delete_after_email: bool = False


class Forward(Value):
    """Where calls go instead of, or after, the phone."""

    always: Destination | None = None
    busy: Destination | None = None
    no_answer: Destination | None = None
    not_registered: Destination | None = None


class Extension(Body):
    """The writable fields. `sip_password` is generated when absent and shown once; it and the
    voicemail's `pin` can be read by reveal alone."""

    number: InternalNumber
    display_name: Label
    sip_password: SipPassword | None = None
    caller_id: CallerId = CallerId()
    emergency_location: Text | None = None
    voicemail: Voicemail = Voicemail()
    ring_seconds: Annotated[int, Field(ge=5, le=120)] = 25
    forward: Forward = Forward()
    do_not_disturb: bool = False
    follow_me: Annotated[tuple[DialString, ...], Field(max_length=10)] = ()
    call_waiting: bool = True
    max_calls: Annotated[int, Field(ge=0, le=1000)] = 0
    toll_class: Literal["internal", "local", "national", "international"] = "national"
    recording: RecordingPolicy = "never"
    time_zone: TimeZone | None = None
    pickup_group: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")] | None = None
    allowed_cidrs: Annotated[tuple[Network, ...], Field(max_length=20)] = ()


RESOURCE = Resource(
    name="extension",
    path="extensions",
    body=Extension,
    columns=(Column("number"), Column("display_name"), Column("enabled", "boolean")),
    unique=(Unique(("number",)),),
    secrets=(Secret("sip_password", "password"), Secret("voicemail.pin")),
    search=("number", "display_name"),
    dialable=True,
    destination=True,
    passes=lambda _body, path: path.startswith("/forward/always/"),
    quota="max_extensions",
    example={"number": "1001", "display_name": "Ada Lovelace", "ring_seconds": 20},
)
