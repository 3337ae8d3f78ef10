"""An API key: what a program signs in with. Only its hash is kept."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from nizam.model.base import Body
from nizam.model.extension import Network
from nizam.model.permissions import is_scope
from nizam.model.resource import Column, Resource
from nizam.model.values import Label


def _scope(value: str) -> str:
    if not is_scope(value):
        raise ValueError("is not a scope such as extensions:read, extensions:* or *")
    return value


ScopeName = Annotated[str, StringConstraints(max_length=80), AfterValidator(_scope)]


class KeyTerms(Body):
    """What a key may do, and how: everything but whose it is."""

    name: Label
    """What it is for, for people."""
    scopes: Annotated[tuple[ScopeName, ...], Field(min_length=1, max_length=200)]
    """What it may do: permissions such as extensions:read, all of one area (extensions:*), or
    everything (*)."""
    rate_limit_per_minute: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Requests a minute; without it, what whoever makes the key has."""
    expires_at: AwareDatetime | None = None
    """When it stops working; never without it."""
    allowed_cidrs: Annotated[tuple[Network, ...], Field(max_length=50)] = ()
    """The networks that it may be used from; from anywhere when there are none."""


class ApiKey(KeyTerms):
    """What a program signs in with. A key with a tenant sees only that tenant; without, the
    platform. Only a hash of its text is kept."""

    tenant_id: UUID | None = None
    """The tenant that it belongs to; without one, the platform."""


RESOURCE = Resource(
    name="api_key",
    path="api-keys",
    body=ApiKey,
    scope="platform",
    columns=(Column("name"), Column("tenant_id", "uuid"), Column("enabled", "boolean")),
    search=("name",),
    routed=False,
    example={"name": "CRM", "scopes": ["extensions:read", "calls:read"]},
)
