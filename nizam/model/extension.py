"""An extension: a person or place that can be called inside a tenant, with its phone's login."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from nizam.model.base import Body, Value
from nizam.model.destination import Destination
from nizam.model.resource import Column, Resource, Secret, Unique
from nizam.model.tenant import OutsideCaps
from nizam.model.values import (
    E164,
    DialString,
    InternalNumber,
    Label,
    SipPassword,
    Text,
    TimeZone,
)
from nizam.model.voicemail_files import MOST_GREETINGS

RecordingPolicy = Literal["never", "inbound", "outbound", "all", "on_demand"]
Email = Annotated[
    str,
    StringConstraints(
        max_length=254, pattern=r"^[A-Za-z0-9._%+][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9.-]{1,185}$"
    ),
]
"""An email address; a switch puts it into a mailer's command line, where a hyphen begins an
option."""


def _network(value: str) -> str:
    ip_network(value, strict=True)
    return value


Network = Annotated[str, StringConstraints(max_length=49), AfterValidator(_network)]
"""An IPv4 or IPv6 network in CIDR notation."""


class CallerId(Value):
    """What the called party sees: inside the tenant, outside, and in an emergency."""

    internal_name: Text | None = None
    """Inside the tenant; the display name without it."""
    internal_number: InternalNumber | None = None
    """Inside the tenant; the extension's number without it."""
    external_name: Text | None = None
    """Outside."""
    external_number: E164 | None = None
    """Outside, in E.164. It is shown if it is a DID of the tenant or one of its
    `dialling.caller_ids`; otherwise the next number that may be shown is."""
    withhold: bool = False
    """Whether the number is withheld outside, but for emergencies."""
    emergency_number: E164 | None = None
    """In an emergency, in E.164."""


class Voicemail(Value):
    """The voicemail box of the extension."""

    enabled: bool = True
    """Whether there is a mailbox."""
    pin: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[0-9]{4,10}$")] | None,
        Field(json_schema_extra={"writeOnly": True}),
    ] = None
    """What the mailbox is listened to with."""
    email: Email | None = None
    """Who is told of a new message."""
    attach_audio: bool = True
    """Whether the message comes with the email."""
    delete_after_email: bool = False
    """Whether it is deleted once it was sent."""
    greeting: Annotated[int, Field(ge=1, le=MOST_GREETINGS)] | None = None
    """Which of its greetings callers hear; the one that was chosen at the phone without it."""


class Forward(Value):
    """Where calls go instead of, or after, the phone."""

    always: Destination | None = None
    """Without ringing the phone."""
    busy: Destination | None = None
    """When all its calls are taken."""
    no_answer: Destination | None = None
    """When nobody answers in time."""
    not_registered: Destination | None = None
    """When no phone is registered."""


class FollowMe(Value):
    """A number that rings together with the phone, with a time of its own."""

    number: DialString
    """What is dialled."""
    delay_seconds: Annotated[int, Field(ge=0, le=120)] = 0
    """How long after the phone it starts to ring."""
    timeout_seconds: Annotated[int, Field(ge=3, le=120)] | None = None
    """How long it rings; as long as the phone without it."""
    confirm: bool = False
    """Whether whoever answers must press 1 to take the call, so that no mailbox takes it."""


class Extension(Body):
    """A person or place that can be called inside the tenant, with its phone's login.
    `sip_password` is generated when absent and shown once; it and the voicemail's `pin` can be
    read by reveal alone."""

    number: InternalNumber
    """The number to dial inside the tenant, and the SIP user."""
    display_name: Label
    """The name of the person or place."""
    sip_password: SipPassword | None = None
    """What the phone registers with; generated when it is left out."""
    caller_id: CallerId = CallerId()
    """What called parties see."""
    emergency_location: Text | None = None
    """Where the phone is, for emergency services."""
    voicemail: Voicemail = Voicemail()
    """The mailbox."""
    ring_seconds: Annotated[int, Field(ge=5, le=120)] = 25
    """How long it rings before a call goes on."""
    forward: Forward = Forward()
    """Where calls go instead of, or after, the phone."""
    do_not_disturb: bool = False
    """Whether it is busy to everybody."""
    follow_me: Annotated[tuple[DialString | FollowMe, ...], Field(max_length=10)] = ()
    """Numbers that ring together with the phone, each as it is dialled or with its own times."""
    call_waiting: bool = True
    """Whether a second call rings while one is under way."""
    max_calls: Annotated[int, Field(ge=0, le=1000)] = 0
    """How many calls it may have at once; 0 is no limit."""
    toll_class: Literal["internal", "local", "national", "international"] = "national"
    """The farthest it may call."""
    outside_caps: OutsideCaps = OutsideCaps()
    """How much of it may go outside; the caps of the tenant hold as well."""
    recording: RecordingPolicy = "never"
    """Which of its calls are recorded."""
    time_zone: TimeZone | None = None
    """The time zone of its mailbox, and of the calls that it makes for time conditions and policies
    that have none of their own; the tenant's without it."""
    hot_line: Destination | None = None
    """Where every call of the phone goes, whatever it dials; emergency numbers go out as ever."""
    pickup_group: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")] | None = None
    """Whose ringing phones it can pick up, and who can pick up its calls."""
    allowed_cidrs: Annotated[tuple[Network, ...], Field(max_length=20)] = ()
    """The networks that its phones may register from; anywhere when there are none."""


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
