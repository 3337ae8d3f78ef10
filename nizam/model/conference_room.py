"""A conference room: a number under which any number of callers hear each other."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.audio import Sound
from nizam.model.base import Body
from nizam.model.resource import Column, Resource, Secret
from nizam.model.values import InternalNumber, Label

Pin = Annotated[str, StringConstraints(pattern=r"^[0-9]{3,10}$")]


class ConferenceRoom(Body):
    """A number under which any number of callers hear each other. The PINs can be read by reveal
    alone; who enters with the moderator's is a moderator. `#` ends a PIN that is shorter than the
    other. `wait_for_moderator` needs a moderator's PIN to have an effect."""

    number: InternalNumber
    """The number to dial inside the tenant."""
    name: Label
    """Its name, for people."""
    member_pin: Pin | None = None
    """The PIN to enter with. Without it and a moderator's none is asked for; where there is only a
    moderator's, only moderators enter."""
    moderator_pin: Pin | None = None
    """The PIN that makes a moderator."""
    max_members: Annotated[int, Field(ge=0, le=1000)] = 0
    """How many may be in it at once; 0 is no limit."""
    pin_sound: Sound | None = None
    """What asks for the PIN, such as `conference/conf-pin.wav`; a tone without it."""
    announce: bool = True
    """Whether a tone tells those who are in it that somebody has come or gone."""
    record: bool = False
    """Whether it is recorded, from the first who enters on; one file for each time that it is
    held."""
    mute_on_entry: bool = False
    """Whether members enter muted."""
    wait_for_moderator: bool = False
    """Whether members hear the tenant's music on hold until a moderator is there."""

    @model_validator(mode="after")
    def _distinct_pins(self) -> Self:
        if self.member_pin is not None and self.member_pin == self.moderator_pin:
            raise PydanticCustomError(
                "same_pin", "member_pin and moderator_pin must differ from each other", {}
            )
        return self


RESOURCE = Resource(
    name="conference_room",
    path="conference-rooms",
    body=ConferenceRoom,
    columns=(Column("number"), Column("name"), Column("enabled", "boolean")),
    secrets=(Secret("member_pin"), Secret("moderator_pin")),
    search=("number", "name"),
    dialable=True,
    destination=True,
    destination_as="conference",
    example={
        "number": "3000",
        "name": "Board room",
        "member_pin": "4711",
        "moderator_pin": "081500",
        "mute_on_entry": True,
    },
)
