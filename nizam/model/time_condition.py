"""A time condition: sends a call one way in opening hours and another way outside them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.base import Body, Value
from nizam.model.destination import Destination
from nizam.model.resource import Column, RefersTo, Resource
from nizam.model.values import InternalNumber, Label, TimeZone

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ClockTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class DateRange(Value):
    """Days from `from` to `to`, both included."""

    from_: date = Field(alias="from")
    """The first day."""
    to: date
    """The last day."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.to < self.from_:
            raise PydanticCustomError("date_order", "'to' is before 'from'", {})
        return self


class Rule(Value):
    """Everything that is given must hold. `to` before or equal to `from` runs over midnight."""

    weekdays: tuple[Weekday, ...] = ()
    """On these days of the week."""
    from_: Annotated[ClockTime | None, Field(alias="from")] = None
    """From this time of day."""
    to: ClockTime | None = None
    """To this time of day."""
    dates: DateRange | None = None
    """In this range of dates."""
    month_days: tuple[Annotated[int, Field(ge=1, le=31)], ...] = ()
    """On these days of the month."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.from_ is None) != (self.to is None):
            raise PydanticCustomError("clock_pair", "'from' and 'to' go together", {})
        if not (self.weekdays or self.from_ or self.dates or self.month_days):
            raise PydanticCustomError("empty_rule", "a rule needs at least one condition", {})
        return self


class TimeCondition(Body):
    """Sends a call one way in opening hours and another way outside them. On a holiday of the
    calendar no rule counts: the call goes to `holidays_destination`, or to
    `otherwise_destination` when there is none."""

    number: InternalNumber | None = None
    """The number to dial inside the tenant."""
    name: Label
    """Its name, for people."""
    time_zone: TimeZone | None = None
    """The time zone of rules and holidays; without it, that of the DID that the call came in by, of
    the extension that makes it, or of the tenant."""
    rules: Annotated[tuple[Rule, ...], Field(max_length=50)] = ()
    """When it matches: one of them must hold."""
    calendar_id: Annotated[UUID, RefersTo("calendar")] | None = None
    """The calendar of its holidays."""
    holidays_destination: Destination | None = None
    """Where calls go on a holiday."""
    match_destination: Destination
    """Where calls go when it matches."""
    otherwise_destination: Destination
    """Where calls go when it does not."""
    override: Literal["auto", "match", "otherwise"] = "auto"
    """auto by the rules, or one way whatever they say."""

    @model_validator(mode="after")
    def _holidays(self) -> Self:
        if self.holidays_destination is not None and self.calendar_id is None:
            raise PydanticCustomError(
                "calendar_missing", "holidays_destination needs a calendar_id", {}
            )
        return self


RESOURCE = Resource(
    name="time_condition",
    path="time-conditions",
    body=TimeCondition,
    columns=(Column("number"), Column("name"), Column("enabled", "boolean")),
    search=("number", "name"),
    dialable=True,
    destination=True,
    passes=lambda _body, _path: True,
    example={
        "name": "Office hours",
        "rules": [
            {"weekdays": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "17:30"}
        ],
        "match_destination": {
            "type": "ring_group",
            "id": "01937a5e-0000-7000-8000-000000000002",
        },
        "otherwise_destination": {
            "type": "voicemail",
            "id": "01937a5e-0000-7000-8000-000000000001",
        },
    },
)
