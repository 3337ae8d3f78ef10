"""A ring group: one number that rings several phones."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.audio import Sound
from nizam.model.base import Body, Value
from nizam.model.destination import Destination
from nizam.model.resource import Column, RefersTo, Resource
from nizam.model.values import DialString, InternalNumber, Label, Text


class Member(Value):
    """One phone of the group: an extension of the tenant or an external number."""

    extension_id: Annotated[UUID, RefersTo("extension")] | None = None
    """An extension of the tenant."""
    number: DialString | None = None
    """Or a number to dial."""
    delay_seconds: Annotated[int, Field(ge=0, le=120)] = 0
    """How long after the others it starts to ring."""
    timeout_seconds: Annotated[int, Field(ge=3, le=120)] | None = None
    """How long it rings; as long as the group without it."""
    confirm: bool = False
    """Whether whoever answers must press a key to take the call."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.extension_id is None) == (self.number is None):
            raise PydanticCustomError("member", "takes either extension_id or number", {})
        return self


class RingGroup(Body):
    """One number that rings several phones."""

    number: InternalNumber
    """The number to dial inside the tenant."""
    name: Label
    """Its name, for people."""
    strategy: Literal["simultaneous", "sequence", "rollover", "random", "round_robin"] = (
        "simultaneous"
    )
    """In which order the members ring."""
    members: Annotated[tuple[Member, ...], Field(min_length=1, max_length=100)]
    """Who rings."""
    ring_seconds: Annotated[int, Field(ge=5, le=300)] = 30
    """How long they ring."""
    caller_name_prefix: Text | None = None
    """Put before the caller's name, so that people see what was called.
    Punctuation that FreeSWITCH reads, such as a colon, becomes a blank."""
    ringback: Sound | None = None
    """What the caller hears meanwhile."""
    skip_busy: bool = True
    """Whether members who are in a call are left out."""
    fallback: Destination | None = None
    """Where the call goes when nobody answers."""


RESOURCE = Resource(
    name="ring_group",
    path="ring-groups",
    body=RingGroup,
    columns=(Column("number"), Column("name"), Column("enabled", "boolean")),
    search=("number", "name"),
    dialable=True,
    destination=True,
    quota="max_ring_groups",
    example={
        "number": "2000",
        "name": "Sales",
        "members": [{"extension_id": "01937a5e-0000-7000-8000-000000000001"}],
    },
)
