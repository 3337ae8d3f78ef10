"""A parking lot: a number that parks a call in a free slot, and the slots to fetch it from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.base import Body
from nizam.model.destination import Destination
from nizam.model.resource import Column, Fields, Resource
from nizam.model.values import InternalNumber, Label

MAX_SLOTS = 200

# FreeSWITCH counts slots as integers.
Slot = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{1,8}$")]


class ParkingLot(Body):
    """A number that parks a call in a free slot, and the slots to fetch it from. The slots, from
    first to last, are numbers of the tenant that nothing else may have."""

    number: InternalNumber
    """The number that parks a call in a free slot."""
    name: Label
    """Its name, for people."""
    slot_from: Slot
    """The first slot."""
    slot_to: Slot
    """The last slot."""
    timeout_seconds: Annotated[int, Field(ge=10, le=3600)] = 120
    """How long a call is kept."""
    return_destination: Destination | None = None
    """Where it goes when nobody has fetched it; it ends without it."""

    @model_validator(mode="after")
    def _slots(self) -> Self:
        if len(self.slot_from) != len(self.slot_to) or self.slot_to < self.slot_from:
            raise PydanticCustomError(
                "slot_order", "slot_to must not be before slot_from, and must be as long", {}
            )
        count = int(self.slot_to) - int(self.slot_from) + 1
        if count > MAX_SLOTS:
            raise PydanticCustomError(
                "slot_count",
                "a lot has at most {most} slots, not {count}",
                {"most": MAX_SLOTS, "count": count},
            )
        if len(self.number) == len(self.slot_from) and (
            self.slot_from <= self.number <= self.slot_to
        ):
            raise PydanticCustomError("slot_number", "the lot's number is one of its slots", {})
        return self


def slots(fields: Fields) -> Iterator[str]:
    """The numbers of a lot's slots."""
    return map(str, range(int(fields["slot_from"]), int(fields["slot_to"]) + 1))


def _slot_numbers(fields: Fields) -> Iterator[tuple[str, str]]:
    return (("/slot_from", slot) for slot in slots(fields))


RESOURCE = Resource(
    name="parking_lot",
    path="parking-lots",
    body=ParkingLot,
    columns=(Column("number"), Column("name"), Column("enabled", "boolean")),
    search=("number", "name"),
    dialable=True,
    more_numbers=_slot_numbers,
    destination=True,
    destination_as="parking",
    example={
        "number": "700",
        "name": "Front desk",
        "slot_from": "701",
        "slot_to": "709",
        "return_destination": {
            "type": "extension",
            "id": "01937a5e-0000-7000-8000-000000000001",
        },
    },
)
