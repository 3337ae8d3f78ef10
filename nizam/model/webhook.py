"""A webhook endpoint: an address of the tenant's own that is told what happens."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.base import Body, Value
from nizam.model.event_types import is_subscription
from nizam.model.resource import Column, RefersTo, Resource, Secret
from nizam.model.values import LongText, safe_text

DEFAULT_RETRY_SCHEDULE: tuple[int, ...] = (5, 30, 120, 600, 3600, 14400, 43200, 86400)
"""Seconds to wait before each further attempt, after the one at once."""

_RESERVED_HEADERS = frozenset(
    {"host", "content-length", "content-type", "connection", "transfer-encoding", "user-agent"}
)
CREDENTIAL_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"}
)
"""Headers, in small letters, whose values are secret."""


def _web_address(value: str) -> str:
    safe_text(value)
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        # The reason would repeat a part of it, which can be a password.
        raise ValueError("is not a URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not an http or https URL")
    if parts.username or parts.password:
        raise ValueError("carries credentials; use a header instead")
    if parts.fragment or port == 0 or not value.isascii() or " " in value:
        raise ValueError("is not a URL that can be sent to")
    return value


def _subscription(value: str) -> str:
    if not is_subscription(value):
        raise ValueError("is neither an event type, nor a family such as call.*, nor *")
    return value


Url = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_web_address)]
Subscription = Annotated[str, StringConstraints(max_length=64), AfterValidator(_subscription)]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
HeaderValue = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[ -~]*$")]


class WebhookFilter(Value):
    """Only events that touch these objects; an empty filter lets everything through."""

    extension_id: Annotated[UUID, RefersTo("extension")] | None = None
    """Only events of this extension."""
    did: str | None = None
    """Only events of calls to this DID, in E.164."""


class WebhookAuthentication(Value):
    """A header field that proves to the endpoint who sends."""

    header: HeaderName = "Authorization"
    """Its name."""
    value: Annotated[
        Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[ -~]*$")]
        | None,
        Field(json_schema_extra={"writeOnly": True}),
    ] = None
    """Its value, such as Bearer and a token. It is stored encrypted and never shown; without one
    no such field is sent."""


class Webhook(Body):
    """An address of the tenant's own that is told what happens. The signing secret is generated
    and shown once."""

    url: Url
    """Where events are posted."""
    description: LongText = ""
    """What it is for, for people."""
    event_types: Annotated[tuple[Subscription, ...], Field(min_length=1, max_length=64)] = ("*",)
    """Which events: types, families such as call.*, or * for all."""
    secret: Annotated[str, StringConstraints(pattern=r"^whsec_[A-Za-z0-9+/=]{32,100}$")] | None = (
        None
    )
    """What deliveries are signed with; generated when it is left out."""
    headers: Annotated[dict[HeaderName, HeaderValue], Field(default_factory=dict)]
    """Header fields that are sent with every delivery; what is secret goes into authentication."""
    authentication: WebhookAuthentication = WebhookAuthentication()
    """A header field whose value nobody is shown."""
    filter: WebhookFilter = WebhookFilter()
    """Which of these events."""
    retry_schedule_seconds: Annotated[
        tuple[Annotated[int, Field(ge=1, le=604_800)], ...], Field(max_length=20)
    ] = DEFAULT_RETRY_SCHEDULE
    """How long to wait before each further attempt."""
    timeout_seconds: Annotated[int, Field(ge=1, le=30)] = 15
    """How long an answer is waited for."""
    max_in_flight: Annotated[int, Field(ge=1, le=100)] = 10
    """How many deliveries at once."""
    rate_per_second: Annotated[int, Field(ge=0, le=10_000)] = 0
    """How many deliveries a second; 0 is no limit."""
    ordered: bool = False
    """Whether events of one call come in order: each waits for the one before."""
    status: Literal["active", "paused", "disabled"] = "active"
    """Changed by pause and resume; disabled when it fails for too long."""

    @model_validator(mode="after")
    def _headers(self) -> Self:
        for name in (*self.headers, self.authentication.header):
            if name.lower() in _RESERVED_HEADERS or name.lower().startswith("webhook-"):
                raise PydanticCustomError(
                    "reserved_header", "the header {name} is set by NIZAM", {"name": name}
                )
        for name in self.headers:
            if name.lower() in {*CREDENTIAL_HEADERS, self.authentication.header.lower()}:
                raise PydanticCustomError(
                    "credential_header",
                    "the header {name} goes into authentication, where its value is encrypted",
                    {"name": name},
                )
        return self


RESOURCE = Resource(
    name="webhook",
    path="webhooks",
    body=Webhook,
    columns=(Column("url"), Column("status"), Column("enabled", "boolean")),
    secrets=(Secret("secret", "webhook_secret"), Secret("authentication.value")),
    search=("url", "description"),
    read_only=("status",),
    # Calls need its secret, to sign what servers are asked; its headers may be credentials.
    unrouted=("headers",),
    example={"url": "https://example.com/hooks/nizam", "event_types": ["call.*"]},
)
