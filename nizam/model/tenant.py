"""A tenant: one customer of the platform with a SIP domain of its own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from nizam.model.audio import RecordingFolders
from nizam.model.base import Body, Value
from nizam.model.resource import Column, Resource, Unique
from nizam.model.time_condition import Rule
from nizam.model.values import E164, Country, Domain, Label, Language, Slug, TimeZone

TenantStatus = Literal["trial", "active", "suspended", "terminated"]

TRANSITIONS: dict[str, dict[str, TenantStatus]] = {
    "activate": {"trial": "active", "suspended": "active"},
    "suspend": {"active": "suspended"},
    "terminate": {"trial": "terminated", "active": "terminated", "suspended": "terminated"},
}
"""Command -> present status -> next status; whatever is not here is refused."""

Count = Annotated[int, Field(ge=0, le=10_000_000)]
Prefix = Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{1,15}$")]
CodecList = Annotated[
    str, StringConstraints(max_length=200, pattern=r"^[A-Za-z0-9@.:_-]+(,[A-Za-z0-9@.:_-]+)*$")
]


class Quotas(Value):
    """How much a tenant may have or do; 0 means no limit."""

    max_extensions: Count = 0
    """Extensions."""
    max_dids: Count = 0
    """DIDs."""
    max_ring_groups: Count = 0
    """Ring groups."""
    max_queues: Count = 0
    """Queues."""
    max_concurrent_calls: Count = 0
    """Calls at once."""
    max_calls_per_minute: Count = 0
    """New calls a minute."""
    max_call_minutes_per_day: Count = 0
    """Minutes of calls a day."""

    @property
    def limit_calls(self) -> bool:
        """Whether calls are counted."""
        return bool(
            self.max_concurrent_calls or self.max_calls_per_minute or self.max_call_minutes_per_day
        )


class OutsideCaps(Value):
    """How much may go outside; 0 means no limit. Costly numbers are those abroad and premium
    ones, satellites and international networks among them."""

    max_calls_per_minute: Count = 0
    """Calls to numbers outside in any 60 s."""
    max_concurrent_costly_calls: Count = 0
    """Calls at once to costly numbers."""
    max_costly_minutes_per_day: Count = 0
    """Minutes of the tenant's day with costly numbers; a call counts on the day it began."""


class AfterHours(Value):
    """What may be dialled in office hours only."""

    hours: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=50)]
    """When it may be dialled: one of these rules holds, in the time zone of the tenant."""
    deny: Annotated[
        tuple[Literal["international", "premium"], ...], Field(min_length=1, max_length=2)
    ] = ("international", "premium")
    """Which numbers may not be dialled outside those hours."""


class Velocity(Value):
    """The alarm for costly calls of an extension that come too fast; calls that the tenant itself
    sends outside are counted together. What goes over it is blocked, for `block_seconds` from the
    first one on."""

    window_seconds: Annotated[int, Field(ge=10, le=86_400)] = 600
    """How far back it looks."""
    max_calls: Count = 30
    """Calls to costly numbers; 0 means no limit."""
    max_numbers: Count = 20
    """Different costly numbers; 0 means no limit."""
    max_short_calls: Count = 10
    """Calls to costly numbers that ended within `short_seconds` after the answer; 0 means no
    limit."""
    short_seconds: Annotated[int, Field(ge=1, le=600)] = 10
    """What a short call is."""
    block_seconds: Annotated[int, Field(ge=1, le=604_800)] = 3600
    """How long costly calls are blocked then."""


class DiallingPolicy(Value):
    """Which numbers outside may be dialled; prefixes in E.164. The longest match decides."""

    allowed_prefixes: tuple[Prefix, ...] = ()
    """Prefixes that may be dialled."""
    blocked_prefixes: tuple[Prefix, ...] = ()
    """Prefixes that may not be dialled."""
    international: bool = False
    """Whether numbers of other countries may be dialled."""
    premium: bool = False
    """Whether premium-rate numbers may be dialled, and those of satellites and international
    networks, which cost as much."""
    caps: OutsideCaps = OutsideCaps()
    """How much of it, for all extensions together."""
    after_hours: AfterHours | None = None
    """What may be dialled in office hours only."""
    velocity: Velocity = Velocity()
    """When calls to costly numbers come too fast."""
    caller_id: E164 | None = None
    """The number that its calls show outside where no extension, route or gateway says another."""
    caller_ids: Annotated[tuple[E164, ...], Field(max_length=200)] = ()
    """Numbers that its calls may show outside besides its own DIDs."""


class Tenant(Body):
    """A customer of the platform with a SIP domain of its own. `status` changes only by activate,
    suspend and terminate."""

    name: Label
    """Its name, for people."""
    slug: Slug
    """Its short name; no other tenant has it."""
    domain: Domain
    """Its SIP domain; no other tenant has it."""
    time_zone: TimeZone = "UTC"
    """The time zone of its opening hours (IANA)."""
    country: Country = "US"
    """How numbers without a country code are read (ISO 3166-1 alpha-2)."""
    language: Language = "en"
    """The language of announcements."""
    quotas: Quotas = Quotas()
    """How much it may have."""
    dialling: DiallingPolicy = DiallingPolicy()
    """Which numbers it may dial."""
    codecs: CodecList | None = None
    """The codecs of its calls, by preference; those of the SIP profile without it."""
    recording_retention_days: Annotated[int, Field(ge=0, le=3650)] = 90
    """How long recordings are kept."""
    recording_folders: RecordingFolders = ""
    """The folders that recordings are put into, below the tenant's own: names, and `{year}`,
    `{month}`, `{day}` and `{hour}` of its time zone."""
    voicemail_retention_days: Annotated[int, Field(ge=0, le=3650)] = 0
    """For how many days messages in mailboxes are kept; 0 keeps them until somebody deletes
    them."""
    cdr_retention_days: Annotated[int, Field(ge=0, le=3650)] = 0
    """For how many days the records of its calls are kept; 0 keeps them as long as everybody's."""
    settings: Annotated[dict[str, Any], Field(default_factory=dict)]
    """Anything that the integrator wants to keep with it."""
    status: TenantStatus = "trial"
    """Changed by activate, suspend and terminate."""


RESOURCE = Resource(
    name="tenant",
    path="tenants",
    body=Tenant,
    scope="platform",
    columns=(Column("name"), Column("slug"), Column("domain"), Column("status")),
    unique=(Unique(("slug",), everywhere=True), Unique(("domain",), everywhere=True)),
    search=("name", "slug", "domain"),
    read_only=("status",),
    example={
        "name": "Acme Inc",
        "slug": "acme",
        "domain": "acme.example.test",
        "time_zone": "Europe/Berlin",
        "country": "DE",
    },
)
