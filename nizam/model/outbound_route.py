"""An outbound route: which gateways carry which numbers, in which order."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from nizam.model.base import Body, Value
from nizam.model.patterns import Pattern
from nizam.model.resource import Column, RefersTo, Resource, Unique
from nizam.model.values import E164, HangupCause, Label

DEFAULT_FAILOVER_CAUSES: tuple[str, ...] = (
    "NORMAL_TEMPORARY_FAILURE",
    "SERVICE_UNAVAILABLE",
    "NETWORK_OUT_OF_ORDER",
    "RECOVERY_ON_TIMER_EXPIRE",
    "GATEWAY_DOWN",
    "NO_ROUTE_DESTINATION",
    "DESTINATION_OUT_OF_ORDER",
    "PROGRESS_TIMEOUT",
)
"""Causes that say something about the carrier and nothing about the called party."""


class RouteGateway(Value):
    """One gateway of the route: lower `order` first; equal orders share by `weight`."""

    gateway_id: Annotated[UUID, RefersTo("gateway")]
    order: Annotated[int, Field(ge=0, le=1000)] = 0
    weight: Annotated[int, Field(ge=1, le=1000)] = 1


class OutboundRoute(Body):
    """The writable fields. `strip` digits go first, then `prepend` is put before the number."""

    name: Label
    priority: Annotated[int, Field(ge=0, le=100_000)] = 100
    patterns: Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=100)]
    strip: Annotated[int, Field(ge=0, le=20)] = 0
    prepend: Annotated[str, StringConstraints(pattern=r"^\+?[0-9*#]{0,16}$")] = ""
    gateways: Annotated[tuple[RouteGateway, ...], Field(min_length=1, max_length=20)]
    failover_causes: Annotated[tuple[HangupCause, ...], Field(max_length=40)] = (
        DEFAULT_FAILOVER_CAUSES
    )
    caller_id: E164 | None = None
    toll_class: Literal["local", "national", "international"] = "national"
    time_condition_id: Annotated[UUID, RefersTo("time_condition")] | None = None
    max_channels: Annotated[int, Field(ge=0, le=100_000)] = 0


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
