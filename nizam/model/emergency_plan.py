"""An emergency plan: the numbers for help, how they are reached, and what is told of the caller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.base import Body, Value
from nizam.model.extension import Email
from nizam.model.resource import Column, Fields, RefersTo, Resource, Unique
from nizam.model.values import E164, DialString, Label, Text

EmergencyNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,15}$")]

LocationHeader = Annotated[
    str,
    StringConstraints(pattern=r"^X-[A-Za-z0-9-]{1,40}$"),
    Field(examples=["X-Emergency-Location"]),
]
"""The name of a SIP header that the carrier reads; none but those that start with X-."""


class PlanGateway(Value):
    """One gateway of the plan: lower `order` first."""

    gateway_id: Annotated[UUID, RefersTo("gateway")]
    """The id of a gateway."""
    order: Annotated[int, Field(ge=0, le=1000)] = 0
    """Lower ones are tried first."""


class EmergencyPlan(Body):
    """The numbers for help, how they are reached, and what is told of the caller. Calls to
    `numbers` are routed before everything else and are never blocked. An extension's own
    emergency number and location come before those of the plan."""

    name: Label
    """Its name; no other plan of the tenant has it."""
    numbers: Annotated[tuple[EmergencyNumber, ...], Field(min_length=1, max_length=50)]
    """The numbers for help."""
    gateways: Annotated[tuple[PlanGateway, ...], Field(min_length=1, max_length=20)]
    """The gateways that reach it."""
    dial: DialString | None = None
    """What the carrier gets instead of the number that was dialled, such as 911 for 9911."""
    caller_id_number: E164 | None = None
    """The number that is shown, unless the extension has one for emergencies."""
    location: Text | None = None
    """Where the caller is, unless the extension says."""
    location_header: LocationHeader | None = None
    """The SIP header in which the carrier gets the location; without one it is not sent, and the
    emergency service knows what is registered for the number that is shown."""
    notify: Annotated[tuple[Email, ...], Field(max_length=20)] = ()
    """Who is told of such a call, by email."""

    @model_validator(mode="after")
    def _distinct_numbers(self) -> Self:
        if len(set(self.numbers)) != len(self.numbers):
            raise PydanticCustomError("duplicate_number", "a number stands twice", {})
        return self


def _numbers(fields: Fields) -> Iterator[tuple[str, str]]:
    return ((f"/numbers/{index}", it) for index, it in enumerate(fields["numbers"]))


RESOURCE = Resource(
    name="emergency_plan",
    path="emergency-plans",
    body=EmergencyPlan,
    columns=(Column("name"), Column("enabled", "boolean")),
    unique=(Unique(("name",)),),
    search=("name",),
    more_numbers=_numbers,
    example={
        "name": "Head office",
        "numbers": ["911", "933"],
        "gateways": [{"gateway_id": "01937a5e-0000-7000-8000-000000000003"}],
        "caller_id_number": "+12025550100",
        "location": "1 Example Street, Washington DC, 2nd floor",
        "notify": ["security@example.com"],
    },
)
