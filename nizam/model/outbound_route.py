"""An outbound route: which gateways carry which numbers, in which order."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from nizam.model.base import Body, Value
from nizam.model.patterns import Pattern
from nizam.model.resource import Column, RefersTo, Resource, Unique
from nizam.model.values import E164, HangupCause, Label, Text

DEFAULT_FAILOVER_CAUSES: tuple[str, ...] = (
    "NORMAL_TEMPORARY_FAILURE",
    "SERVICE_UNAVAILABLE",
    "NETWORK_OUT_OF_ORDER",
    "RECOVERY_ON_TIMER_EXPIRE",
    "GATEWAY_DOWN",
    "INVALID_GATEWAY",
    "NO_ROUTE_DESTINATION",
    "DESTINATION_OUT_OF_ORDER",
    "PROGRESS_TIMEOUT",
)
"""Causes that say something about the carrier and nothing about the called party; a gateway that
is just being changed is INVALID_GATEWAY."""


class RouteGateway(Value):
    """One gateway of the route: lower `order` first; equal orders share by `weight`."""

    gateway_id: Annotated[UUID, RefersTo("gateway")]
    """The id of a gateway."""
    order: Annotated[int, Field(ge=0, le=1000)] = 0
    """Lower ones are tried first."""
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    """Its share among gateways of the same order."""


class OutboundRoute(Body):
    """Which gateways carry which numbers, in which order. `strip` digits go first, then `prepend`
    is put before the number."""

    name: Label
    """Its name; no other route of the tenant has it."""
    priority: Annotated[int, Field(ge=0, le=100_000)] = 100
    """Lower ones are asked first."""
    patterns: Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=100)]
    """Dial patterns of the numbers that it carries."""
    strip: Annotated[int, Field(ge=0, le=20)] = 0
    """How many digits are taken from the front."""
    prepend: Annotated[str, StringConstraints(pattern=r"^\+?[0-9*#]{0,16}$")] = ""
    """What is put before the rest."""
    gateways: Annotated[tuple[RouteGateway, ...], Field(min_length=1, max_length=20)]
    """The gateways that carry it."""
    failover_causes: Annotated[tuple[HangupCause, ...], Field(max_length=40)] = (
        DEFAULT_FAILOVER_CAUSES
    )
    """The hangup causes after which the next gateway is tried."""
    caller_id: E164 | None = None
    """The number that is shown, for extensions without one of their own. It is shown if it is a
    DID of the tenant or one of its `dialling.caller_ids`."""
    caller_name: Text | None = None
    """The name that is shown, for extensions without one of their own."""
    caller_id_rule: Literal["extension", "route", "original"] = "extension"
    """Whose number is shown: the extension's before the route's, always the route's, or, on a call
    from outside that is forwarded outside, that of the original caller, with a Diversion header
    (RFC 5806) that says who forwarded it. Not every carrier takes the last."""
    withhold_caller_id: bool = False
    """Whether the number is withheld on every call of the route."""
    toll_class: Literal["local", "national", "international"] = "national"
    """What an extension must be allowed to use it."""
    time_condition_id: Annotated[UUID, RefersTo("time_condition")] | None = None
    """When it can be used; always without it."""
    max_channels: Annotated[int, Field(ge=0, le=100_000)] = 0
    """How many calls at once; 0 is no limit."""


RESOURCE = Resource(
    name="outbound_route",
    path="outbound-routes",
    body=OutboundRoute,
    columns=(Column("name"), Column("priority", "integer"), Column("enabled", "boolean")),
    unique=(Unique(("name",)),),
    search=("name",),
    example={
        "name": "National",
        "priority": 10,
        "patterns": ["+49."],
        "gateways": [{"gateway_id": "01937a5e-0000-7000-8000-000000000003"}],
    },
)
