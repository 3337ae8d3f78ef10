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
    to: date

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.to < self.from_:
            raise PydanticCustomError("date_order", "'to' is before 'from'", {})
        return self


class Rule(Value):
    """Everything that is given must hold. `to` before or equal to `from` runs over midnight."""

    weekdays: tuple[Weekday, ...] = ()
    from_: Annotated[ClockTime | None, Field(alias="from")] = None
    to: ClockTime | None = None
    dates: DateRange | None = None
    month_days: tuple[Annotated[int, Field(ge=1, le=31)], ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.from_ is None) != (self.to is None):
            raise PydanticCustomError("clock_pair", "'from' and 'to' go together", {})
        if not (self.weekdays or self.from_ or self.dates or self.month_days):
            raise PydanticCustomError("empty_rule", "a rule needs at least one condition", {})
        return self


class TimeCondition(Body):
    """The writable fields. Without a time zone of its own it uses the tenant's.

    On a holiday of the calendar no rule counts: the call goes to `holidays_destination`, or to
    `otherwise_destination` when there is none.
    """

    number: InternalNumber | None = None
    name: Label
    time_zone: TimeZone | None = None
    rules: Annotated[tuple[Rule, ...], Field(max_length=50)] = ()
    calendar_id: Annotated[UUID, RefersTo("calendar")] | None = None
    holidays_destination: Destination | None = None
    match_destination: Destination
    otherwise_destination: Destination
    override: Literal["auto", "match", "otherwise"] = "auto"

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
