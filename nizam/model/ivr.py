"""An IVR: a menu that plays a greeting and sends the caller on by the digits pressed."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.audio import Sound
from nizam.model.base import Body, Value
from nizam.model.destination import Destination
from nizam.model.resource import Column, Resource
from nizam.model.values import InternalNumber, Label

Digits = Annotated[str, StringConstraints(pattern=r"^[0-9*#]{1,15}$")]
DigitPattern = Annotated[
    str, StringConstraints(pattern=r"^[0-9*#XZN]{1,15}$"), Field(examples=["1"])
]
_CLASSES = {"X": "[0-9]", "Z": "[1-9]", "N": "[2-9]"}


def digits_expression(pattern: str) -> str | None:
    """The regular expression of a pattern of digits; None for one that is nothing but digits."""
    if not set(pattern) & set(_CLASSES):
        return None
    return "".join(_CLASSES.get(it, f"[{it}]" if it in "*#" else it) for it in pattern)


class Entry(Value):
    """What a caller presses, and where that leads."""

    digits: DigitPattern
    """What is pressed: digits, `*` and `#`; X stands for any digit, Z for 1 to 9, N for 2 to 9.
    Digits as they are come before patterns, and those in their order."""
    destination: Destination
    """Where that leads."""


class Ivr(Body):
    """A menu that plays a greeting and sends the caller on by the digits pressed."""

    number: InternalNumber
    """The number to dial inside the tenant."""
    name: Label
    """Its name, for people."""
    greeting_long: Sound
    """What is heard at first."""
    greeting_short: Sound | None = None
    """What is heard again; the long one without it."""
    invalid_sound: Sound | None = None
    """What is heard after digits that lead nowhere."""
    exit_sound: Sound | None = None
    """What is heard at the end."""
    timeout_seconds: Annotated[float, Field(ge=1, le=60)] = 10
    """How long the first digit is waited for."""
    digit_timeout_seconds: Annotated[float, Field(ge=0.5, le=20)] = 2
    """How long each further one is waited for."""
    max_failures: Annotated[int, Field(ge=1, le=10)] = 3
    """How many wrong digits are borne with."""
    max_timeouts: Annotated[int, Field(ge=1, le=10)] = 3
    """How many silences are borne with."""
    digit_length: Annotated[int, Field(ge=1, le=15)] = 4
    """How many digits are waited for."""
    entries: Annotated[tuple[Entry, ...], Field(max_length=100)] = ()
    """Where digits lead."""
    direct_dial: bool = False
    """Whether extensions can be dialled."""
    timeout_destination: Destination | None = None
    """Where silence leads in the end."""
    invalid_destination: Destination | None = None
    """Where wrong digits lead in the end."""

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
