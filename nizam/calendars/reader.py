"""Runs the program that reads iCalendar files, a few at a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

import attrs
from twisted.internet.defer import Deferred, DeferredSemaphore

from nizam import child
from nizam.calendars.days import day_of
from nizam.errors import FieldError, TimeoutExceeded, ValidationFailed
from nizam.model.calendar import MAX_DAYS, CalendarDay

MAX_BYTES = 1024 * 1024
"""The largest file that is taken."""

MAX_YEARS = 10
"""For how many years what is repeated is worked out at most."""

WALL_SECONDS = 20.0
_CPU_SECONDS = 10
_AT_ONCE = 2
_MOST_OUTPUT = 8 * 1024 * 1024
_PROGRAM = str(Path(__file__).with_name("read.py"))

Timed = Literal["days", "skip"]


@attrs.frozen
class LineError(FieldError):
    """Something wrong in a file: its line, and the property of an event."""

    row: int | None
    column: str | None


@attrs.frozen
class Span:
    """Which days are wanted: of the years from `first` to `last`, in a time zone; whether an event
    of some hours takes the whole of its days or none."""

    first: date
    last: date
    time_zone: str
    timed: Timed = "days"

    @classmethod
    def of(cls, today: date, years: int, time_zone: str, timed: Timed = "days") -> Span:
        """This year and those that follow, `years` in all."""
        last = date(min(today.year + years - 1, 9998), 12, 31)
        return cls(date(today.year, 1, 1), last, time_zone, timed)


@attrs.frozen
class Read:
    """What is in a file: its days, and how many events; those that were cancelled are not among
    `events`. `timed` take some hours, `outside` are on no day that is wanted."""

    days: tuple[CalendarDay, ...]
    events: int
    cancelled: int
    timed: int
    outside: int


class CalendarReader:
    """Reads files one or two at a time, each in a process of its own."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._reading = DeferredSemaphore(_AT_ONCE)

    async def read(self, content: bytes, span: Span) -> Read:
        """The days in an iCalendar file.

        Raises ValidationFailed with everything that is wrong by line, and TimeoutExceeded for
        what takes too long to work out.
        """
        ended: child.Ended = await self._reading.run(self._run, content, span)
        if ended.late:
            raise TimeoutExceeded(f"the calendar was not read within {WALL_SECONDS:g} s")
        answer = ended.answer("a calendar")
        if answer is None:
            raise ValidationFailed(
                "the calendar cannot be worked out",
                errors=[FieldError("", "too_much", "takes too much to work out")],
            )
        if "refused" in answer:
            raise _refusal(answer["refused"])
        days = tuple(map(day_of, answer["days"]))
        if len(days) > MAX_DAYS:
            message = f"has {len(days)} days; at most {MAX_DAYS} are taken: ask for fewer years"
            raise ValidationFailed(message, errors=[FieldError("", "too_many_days", message)])
        counts = {name: answer[name] for name in ("events", "cancelled", "timed", "outside")}
        return Read(days, **counts)

    def _run(self, content: bytes, span: Span) -> Any:
        arguments = (str(span.first), str(span.last), span.time_zone, span.timed)
        return Deferred.fromCoroutine(
            child.run(
                self._reactor,
                _PROGRAM,
                (*arguments, str(_CPU_SECONDS)),
                seconds=WALL_SECONDS,
                given=content,
                most_output=_MOST_OUTPUT,
            )
        )


def _refusal(refused: Mapping[str, Any]) -> ValidationFailed:
    errors = [
        LineError("", it["code"], it["message"], it["line"], it["property"])
        for it in refused["faults"]
    ]
    first = errors[0]
    where = "" if first.row is None else f"line {first.row}: "
    count = refused["count"]
    many = "" if count == 1 else f"{count} things are wrong, the first: "
    return ValidationFailed(f"{many}{where}{first.message}", errors=errors, error_count=count)
