"""An IVR: a menu that plays a greeting and sends the caller on by the digits pressed."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.base import Body, Value
from nizam.model.destination import Destination
from nizam.model.resource import Column, Resource
from nizam.model.values import InternalNumber, Label, SoundPath

Digits = Annotated[str, StringConstraints(pattern=r"^[0-9*#]{1,15}$")]


class Entry(Value):
    """What a caller presses, and where that leads."""

    digits: Digits
    destination: Destination


class Ivr(Body):
    """The writable fields; times in seconds."""

    number: InternalNumber
    name: Label
    greeting_long: SoundPath
    greeting_short: SoundPath | None = None
    invalid_sound: SoundPath | None = None
    exit_sound: SoundPath | None = None
    timeout_seconds: Annotated[float, Field(ge=1, le=60)] = 10
    digit_timeout_seconds: Annotated[float, Field(ge=0.5, le=20)] = 2
    max_failures: Annotated[int, Field(ge=1, le=10)] = 3
    max_timeouts: Annotated[int, Field(ge=1, le=10)] = 3
    digit_length: Annotated[int, Field(ge=1, le=15)] = 4
    entries: Annotated[tuple[Entry, ...], Field(max_length=100)] = ()
    direct_dial: bool = False
    timeout_destination: Destination | None = None
    invalid_destination: Destination | None = None

    @model_validator(mode="after")
    def _distinct_digits(self) -> Self:
        seen: set[str] = set()
        for entry in self.entries:
            if entry.digits in seen:
                raise PydanticCustomError(
                    "duplicate_digits", "'{digits}' stands twice", {"digits": entry.digits}
                )
            seen.add(entry.digits)
        return self


RESOURCE = Resource(
    name="ivr",
    path="ivrs",
    body=Ivr,
    columns=(Column("number"), Column("name"), Column("enabled", "boolean")),
    search=("number", "name"),
    dialable=True,
    destination=True,
    example={
        "number": "5000",
        "name": "Main menu",
        "greeting_long": "ivr/ivr-welcome.wav",
        "entries": [
            {
                "digits": "1",
                "destination": {
                    "type": "extension",
                    "id": "01937a5e-0000-7000-8000-000000000001",
                },
            }
        ],
    },
)
