"""A calendar: the days on which it is a holiday."""

from __future__ import annotations

import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.base import Body, Value
from nizam.model.resource import Column, Resource, Unique
from nizam.model.values import Label, Text

_LEAP_YEAR = 2000


class CalendarDay(Value):
    """One day: a `date`, or a `month` and `day` of every year."""

    date: datetime.date | None = None
    """A day of one year."""
    month: Annotated[int, Field(ge=1, le=12)] | None = None
    """The month of a day of every year."""
    day: Annotated[int, Field(ge=1, le=31)] | None = None
    """The day of the month."""
    label: Text = ""
    """What day it is, for people."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        recurring = (self.month is not None, self.day is not None)
        if (self.date is not None) == any(recurring) or any(recurring) != all(recurring):
            raise PydanticCustomError("day", "takes either a date, or a month and a day", {})
        if self.month is not None and self.day is not None:
            try:
                datetime.date(_LEAP_YEAR, self.month, self.day)
            except ValueError:
                raise PydanticCustomError("no_such_day", "no year has this day", {}) from None
        return self

    def falls_on(self, date: datetime.date) -> bool:
        """Whether it is this day; 29 February is one in leap years only."""
        if self.date is not None:
            return self.date == date
        return (self.month, self.day) == (date.month, date.day)


class Calendar(Body):
    """The days on which it is a holiday, for time conditions and policies."""

    name: Label
    """Its name; no other calendar of the tenant has it."""
    days: Annotated[tuple[CalendarDay, ...], Field(max_length=1000)] = ()
    """The days on which it is a holiday."""


RESOURCE = Resource(
    name="calendar",
    path="calendars",
    body=Calendar,
    columns=(Column("name"), Column("enabled", "boolean")),
    unique=(Unique(("name",)),),
    search=("name",),
    example={
        "name": "Public holidays",
        "days": [
            {"month": 12, "day": 25, "label": "Christmas Day"},
            {"date": "2027-03-26", "label": "Good Friday"},
        ],
    },
)
