"""A calendar: the days on which it is a holiday."""

from __future__ import annotations

import datetime
from functools import cached_property
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.base import Body, Value
from nizam.model.resource import Column, Resource, Unique
from nizam.model.values import Label, Text

_LEAP_YEAR = 2000
MAX_DAYS = 1000
"""How many days a calendar may have."""


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

    @property
    def key(self) -> datetime.date | tuple[int, int]:
        """Which day it is, whatever its label: its date, or its month and day."""
        if self.date is not None:
            return self.date
        assert self.month is not None and self.day is not None  # noqa: S101, PT018 - see _one_of
        return self.month, self.day


class Calendar(Body):
    """The days on which it is a holiday, for time conditions and policies."""

    name: Label
    """Its name; no other calendar of the tenant has it."""
    days: Annotated[tuple[CalendarDay, ...], Field(max_length=MAX_DAYS)] = ()
    """The days on which it is a holiday."""

    def on(self, date: datetime.date) -> CalendarDay | None:
        """The day of the calendar that this date is; one of this year before one of every year.

        29 February is a day of leap years only.
        """
        return self._by_key.get(date) or self._by_key.get((date.month, date.day))

    @cached_property
    def _by_key(self) -> dict[datetime.date | tuple[int, int], CalendarDay]:
        # The first of those alike, since that is what its people see first.
        return {it.key: it for it in reversed(self.days)}


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
