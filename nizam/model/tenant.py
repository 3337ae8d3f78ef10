"""A tenant: one customer of the platform with a SIP domain of its own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from nizam.model.base import Body, Value
from nizam.model.resource import Column, Resource, Unique
from nizam.model.values import Country, Domain, Label, Language, Slug, TimeZone

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
    max_dids: Count = 0
    max_ring_groups: Count = 0
    max_queues: Count = 0
    max_concurrent_calls: Count = 0
    max_calls_per_minute: Count = 0
    max_call_minutes_per_day: Count = 0


class DiallingPolicy(Value):
    """Which numbers outside may be dialled; prefixes in E.164. The longest match decides."""

    allowed_prefixes: tuple[Prefix, ...] = ()
    blocked_prefixes: tuple[Prefix, ...] = ()
    international: bool = False
    premium: bool = False


class Tenant(Body):
    """The writable fields; `status` changes only by activate, suspend and terminate."""

    name: Label
    slug: Slug
    domain: Domain
    time_zone: TimeZone = "UTC"
    country: Country = "US"
    language: Language = "en"
    quotas: Quotas = Quotas()
    dialling: DiallingPolicy = DiallingPolicy()
    codecs: CodecList | None = None
    recording_retention_days: Annotated[int, Field(ge=0, le=3650)] = 90
    settings: Annotated[dict[str, Any], Field(default_factory=dict)]
    status: TenantStatus = "trial"


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
