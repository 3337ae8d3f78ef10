"""Calendars: what every resource has, and their days as iCalendar files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, get_args
from zoneinfo import ZoneInfo

import attrs
from pydantic import Field

from nizam.calendars.days import Changes, Mode, changes
from nizam.calendars.reader import MAX_BYTES, MAX_YEARS, CalendarReader, Read, Span, Timed
from nizam.calendars.write import write_calendar
from nizam.errors import (
    Conflict,
    IdempotencyMismatch,
    TimeoutExceeded,
    UnsupportedMediaType,
    VersionMismatch,
)
from nizam.http.changes import change_context
from nizam.http.crud import Crud
from nizam.http.etag import etag, if_match
from nizam.http.files import disposition
from nizam.http.query import Query, YesOrNo, read_query
from nizam.http.reply import Reply
from nizam.http.route import Call, Parameter, Route
from nizam.http.schema_parts import Schema, array, count, object_of, ref, text, yes_or_no
from nizam.http.sounds import IF_MATCH
from nizam.model.base import Body
from nizam.model.calendar import Calendar, CalendarDay
from nizam.model.registry import resource
from nizam.model.values import TimeZone
from nizam.slices import in_slices
from nizam.store.stored import Stored
from nizam.store.unit_of_work import UnitOfWork

ICALENDAR = "text/calendar"
DEFAULT_YEARS = 5
COST = 10
"""How many requests an import counts for: it takes a process of its own for a while."""

_DAYS = {
    "added": "Days that come.",
    "changed": "Days that get another label.",
    "removed": "Days that go.",
}
_ANSWER: Schema = {
    "title": "CalendarImport",
    **object_of(
        "What the import of a calendar has done, or would do.",
        dry_run=yes_or_no("Whether nothing was changed."),
        version=count("The calendar's, afterwards."),
        events=count("Events in the file, without those that were cancelled."),
        cancelled_events=count("Events that were cancelled; they are left out."),
        timed_events=count("Events that take some hours of a day; see `timed`."),
        outside_events=count("Events that are on no day from `first` to `last`."),
        first=text("The first day that was looked at.", "2026-01-01"),
        last=text("The last one.", "2030-12-31"),
        time_zone=text("The time zone in which events become days.", "Europe/Berlin"),
        **{name: array(ref("CalendarDay"), about) for name, about in _DAYS.items()},
        unchanged=count("Days that stay as they are."),
    ),
}
_PARAMETERS = (
    Parameter(
        name="dry_run",
        about="Say what would become of the calendar, and change nothing.",
        schema={"type": "boolean", "default": False},
    ),
    Parameter(
        name="mode",
        about="Whether the days of the file take the place of the present ones, or join them.",
        schema={"type": "string", "enum": list(get_args(Mode)), "default": "replace"},
    ),
    Parameter(
        name="years",
        about="For how many years, this one among them, days are worked out. What is repeated "
        "every year on the same day needs none: it becomes a day of every year.",
        schema={"type": "integer", "minimum": 1, "maximum": MAX_YEARS, "default": DEFAULT_YEARS},
    ),
    Parameter(
        name="timed",
        about="Whether an event that takes some hours makes a holiday of each day that it touches, "
        "or is skipped.",
        schema={"type": "string", "enum": list(get_args(Timed)), "default": "days"},
    ),
    Parameter(
        name="time_zone",
        about="The time zone in which such events become days; the tenant's without it.",
    ),
    IF_MATCH,
)
_EXAMPLE_FILE = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Example//EN\r\n"
    "BEGIN:VEVENT\r\nUID:1@example.com\r\nDTSTAMP:20260101T000000Z\r\n"
    "DTSTART;VALUE=DATE:20261225\r\nRRULE:FREQ=YEARLY\r\nSUMMARY:Christmas Day\r\nEND:VEVENT\r\n"
    "END:VCALENDAR\r\n"
)
_EXAMPLE: dict[str, Any] = {
    "dry_run": False,
    "version": 2,
    "events": 1,
    "cancelled_events": 0,
    "timed_events": 0,
    "outside_events": 0,
    "first": "2026-01-01",
    "last": "2030-12-31",
    "time_zone": "Europe/Berlin",
    "added": [{"date": None, "month": 12, "day": 25, "label": "Christmas Day"}],
    "changed": [],
    "removed": [],
    "unchanged": 0,
}


class Asked(Query):
    """What the query of an import says."""

    dry_run: YesOrNo = False
    mode: Mode = "replace"
    years: Annotated[int, Field(ge=1, le=MAX_YEARS)] = DEFAULT_YEARS
    timed: Timed = "days"
    time_zone: TimeZone | None = None


@attrs.frozen
class Calendars(Crud):
    """The handlers of calendars."""

    reader: CalendarReader
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def load(self, call: Call) -> Reply:
        """Read the file, and give its days to the calendar."""
        asked, versions = read_query(call, Asked), if_match(call.header("if-match"))
        _check_charset(call.header("content-type"))
        tenant, identifier = call.tenant, call.id()
        present = await self.store.get(self.resource, tenant, identifier)
        zone = asked.time_zone
        if zone is None:
            owner = await self.store.get(resource("tenant"), None, tenant)
            zone = str(owner.body["time_zone"])
        today = self.now().astimezone(ZoneInfo(zone)).date()
        span = Span.of(today, asked.years, zone, asked.timed)
        read = await self.reader.read(call.raw_body, span)
        if asked.dry_run:
            if versions is not None and present.version not in versions:
                raise VersionMismatch
            would = changes(_body(present).days, read.days, asked.mode)
            return _answer(span, read, would, present.version, dry_run=True)

        async def work(unit: UnitOfWork) -> Reply:
            done: list[Changes] = []

            def change(found: Stored) -> Body:
                body = _body(found)
                done.append(changes(body.days, read.days, asked.mode))
                return body.model_copy(update={"days": done[-1].days})

            it = await unit.update(self.resource, identifier, change, versions=versions)
            return _answer(span, read, done[-1], it.version, dry_run=False)

        return await self.store.write(tenant, change_context(call), work)

    async def save(self, call: Call) -> Reply:
        """The calendar as a file."""
        it = await self.store.get(self.resource, call.tenant, call.id())
        body = _body(it)
        work = write_calendar(body, it.id, it.updated_at)
        content = await in_slices(self.store.primary.reactor, work)
        headers = (
            ("ETag", etag(it.version)),
            ("Content-Disposition", disposition(f"{body.name}.ics")),
        )
        return Reply(content, 200, headers, f"{ICALENDAR}; charset=utf-8")

    def routes(self) -> list[Route]:
        """Those of every resource, and those of the files."""
        return [
            *Crud.routes(self),
            Route(
                method="POST",
                path=f"{self.item}/import",
                handler=self.load,
                summary="Take the days of an iCalendar file (RFC 5545) into the calendar.",
                operation="import_calendar",
                about="Each event gives the days that it is on. All of the file is taken, or, when "
                "anything in it is wrong, nothing: `errors` then have the line (`row`) and the "
                "property (`column`) of everything that is.",
                tag=self.resource.path,
                permission="calendars:write",
                parameters=_PARAMETERS,
                request_media_type=ICALENDAR,
                request=text(f"The file, in UTF-8, of at most {MAX_BYTES} bytes."),
                request_example=_EXAMPLE_FILE,
                response=_ANSWER,
                response_example=_EXAMPLE,
                headers=("ETag",),
                errors=(
                    Conflict,
                    IdempotencyMismatch,
                    TimeoutExceeded,
                    UnsupportedMediaType,
                    VersionMismatch,
                ),
                body_limit=MAX_BYTES,
                cost=COST,
            ),
            Route(
                method="GET",
                path=f"{self.item}/export",
                handler=self.save,
                summary="The days of the calendar as an iCalendar file (RFC 5545).",
                operation="export_calendar",
                about="Calendar programs can show it, and it can be imported again.",
                tag=self.resource.path,
                permission="calendars:read",
                response=text("The file."),
                response_example=_EXAMPLE_FILE,
                media_type=ICALENDAR,
                headers=("ETag", "Content-Disposition"),
            ),
        ]


def _body(it: Stored) -> Calendar:
    return Calendar.model_validate(it.body)


def _check_charset(header: str | None) -> None:
    charset = (header or "").lower().replace(" ", "").replace('"', "").partition("charset=")[2]
    if charset.partition(";")[0] not in ("", "utf-8", "us-ascii"):
        raise UnsupportedMediaType(f"the body is {ICALENDAR}, in UTF-8")


def _answer(span: Span, read: Read, done: Changes, version: int, *, dry_run: bool) -> Reply:
    document = {
        "dry_run": dry_run,
        "version": version,
        "events": read.events,
        "cancelled_events": read.cancelled,
        "timed_events": read.timed,
        "outside_events": read.outside,
        "first": str(span.first),
        "last": str(span.last),
        "time_zone": span.time_zone,
        **{name: _days(getattr(done, name)) for name in _DAYS},
        "unchanged": done.unchanged,
    }
    return Reply(document, 200, (("ETag", etag(version)),))


def _days(days: Sequence[CalendarDay]) -> list[dict[str, Any]]:
    return [it.model_dump(mode="json") for it in days]
