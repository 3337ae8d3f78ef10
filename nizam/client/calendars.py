"""Calendars, and their days as iCalendar files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Literal
from uuid import UUID

import attrs

from nizam.client.collection import Collection, etag_of
from nizam.client.errors import UnexpectedAnswer
from nizam.client.objects import Object
from nizam.client.parameters import query_of
from nizam.client.tables import IMPORT_SECONDS
from nizam.model.calendar import Calendar, CalendarDay

_ICALENDAR = "text/calendar"
_DAYS = ("added", "changed", "removed")


@attrs.frozen(kw_only=True)
class CalendarImport:
    """What an import has done, or would do in a dry run: the days that come, get another label,
    and go. `outside_events` were on no day from `first` to `last`; `timed_events` take some hours.
    """

    dry_run: bool
    version: int
    events: int
    cancelled_events: int
    timed_events: int
    outside_events: int
    first: str
    last: str
    time_zone: str
    added: Sequence[CalendarDay]
    changed: Sequence[CalendarDay]
    removed: Sequence[CalendarDay]
    unchanged: int


@attrs.frozen(eq=False)
class Calendars(Collection[Calendar]):
    """Calendars."""

    def import_ics(
        self,
        it: Object[Calendar] | UUID | str,
        file: BinaryIO | bytes,
        *,
        dry_run: bool = False,
        mode: Literal["replace", "merge"] = "replace",
        years: int | None = None,
        timed: Literal["days", "skip"] = "days",
        time_zone: str | None = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
    ) -> CalendarImport:
        """Take the days of an iCalendar file into a calendar: all of it, or nothing.

        Raises ApiError, whose `errors` have the line (`row`) and the property (`column`) of
        everything that is wrong.
        """
        content = file if isinstance(file, bytes) else file.read()
        wanted = {"dry_run": dry_run, "mode": mode, "years": years, "timed": timed}
        answer = self.transport.request(
            "POST",
            self._path(it, "import"),
            query=query_of({**wanted, "time_zone": time_zone}),
            content=(_ICALENDAR, content),
            if_match=if_match or etag_of(it),
            idempotency_key=idempotency_key,
            seconds=IMPORT_SECONDS,
        ).json()
        return _imported(answer)

    def export_ics(self, it: Object[Calendar] | UUID | str) -> bytes:
        """The days as an iCalendar file."""
        with self.transport.stream(self._path(it, "export"), accept=_ICALENDAR) as pieces:
            return b"".join(pieces)


def _imported(answer: Mapping[str, Any]) -> CalendarImport:
    try:
        fields = {it.name: answer[it.name] for it in attrs.fields(CalendarImport)}
        days = {
            name: tuple(CalendarDay.model_validate(day) for day in answer[name]) for name in _DAYS
        }
        return CalendarImport(**{**fields, **days})
    except (KeyError, TypeError, ValueError):
        raise UnexpectedAnswer("the answer is not that of an import") from None
