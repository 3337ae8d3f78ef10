"""A calendar as an iCalendar file (RFC 5545)."""

from __future__ import annotations

import datetime
from uuid import UUID

import icalendar

from nizam.model.calendar import Calendar, CalendarDay
from nizam.slices import Sliced

PRODUCT = "-//NIZAM//Calendars//EN"

# A day of every year begins in a year that has 29 February.
_FIRST_YEAR = 2000


def write_calendar(
    body: Calendar, identifier: UUID, changed_at: datetime.datetime
) -> Sliced[bytes]:
    """The file, in pieces of work: an event of a whole day for each day. Read again, it gives the
    same days; its events keep their ids while their days stay."""
    frame = icalendar.Calendar()
    frame.add("prodid", PRODUCT)
    frame.add("version", "2.0")
    frame.add("x-wr-calname", body.name)
    head, end, rest = frame.to_ical().partition(b"END:VCALENDAR")
    events = []
    for day in body.days:
        events.append(_event(day, identifier, changed_at).to_ical())
        yield
    return b"".join((head, *events, end, rest))


def _event(day: CalendarDay, identifier: UUID, changed_at: datetime.datetime) -> icalendar.Event:
    event = icalendar.Event()
    start = day.date
    if start is None:
        assert day.month is not None and day.day is not None  # noqa: S101, PT018 - one of both
        start = datetime.date(_FIRST_YEAR, day.month, day.day)
        event.add("rrule", {"freq": "yearly"})
        event.add("uid", f"{start:%m-%d}.{identifier}")
    else:
        event.add("uid", f"{start}.{identifier}")
    event.add("dtstamp", changed_at.astimezone(datetime.UTC))
    event.add("dtstart", start)
    event.add("dtend", start + datetime.timedelta(days=1))
    event.add("summary", day.label)
    event.add("transp", "TRANSPARENT")
    return event
