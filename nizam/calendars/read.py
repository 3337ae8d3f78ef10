"""The program that reads an iCalendar file: a process of its own, because its input is hostile.

It runs by its path and knows nothing of NIZAM but how lines are found: the file comes in on
descriptor 0, the answer is one line of JSON on descriptor 1. Limits on memory and processor time
hold from before the first byte is read, so that a rule that never ends ends here.

Events become days. What is repeated every year on the same day becomes one day of every year;
everything else is worked out between two dates. An event of some hours takes the whole of each day
that it touches, or is left out.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import icalendar
import recurring_ical_events

if __name__ == "__main__":
    # The program is isolated, so it has to be told where its other file is.
    sys.path.append(str(Path(__file__).parents[2]))

from nizam.calendars.lines import Fault, Place, Refused, places

_MEMORY_BYTES = 1024 * 1024 * 1024
_MOST_EVENTS = 10_000
_MOST_DAYS = 10_000
_DAY = timedelta(days=1)
_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
_EVERY_YEAR = frozenset({"FREQ", "INTERVAL", "WKST", "BYMONTH", "BYMONTHDAY"})
_NEEDED = ("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID")
_ONCE = ("DTSTART", "DTEND", "DURATION", "RRULE", "RECURRENCE-ID", "UID")
_REPEATED = ("RRULE", "RDATE", "EXDATE", "RECURRENCE-ID")
_LEAP_YEAR, _COMMON_YEAR = 2000, 2001

Day = tuple[str, int, int] | tuple[str, str]
"""("every", month, day) or ("date", the date in ISO 8601)."""


@attrs.frozen
class Wanted:
    """Days from `first` to `last`, in `zone`; `timed` says whether events of some hours count."""

    first: date
    last: date
    today: date
    zone: ZoneInfo
    timed: bool


@attrs.define
class Found:
    """The days, each with its label, and how many events there were of which kind."""

    days: dict[Day, str] = attrs.field(factory=dict)
    events: int = 0
    cancelled: int = 0
    timed: int = 0
    outside: int = 0

    def add(self, day: Day, label: str) -> None:
        """Keep a day; of several events on it the first gives the label."""
        self.days.setdefault(day, label)
        if len(self.days) > _MOST_DAYS:
            raise Refused(Fault(None, None, "too_many", f"more than {_MOST_DAYS} days"))


@attrs.frozen
class Event:
    """An event, and where it is."""

    it: Any
    place: Place
    position: int

    def fault(self, name: str, code: str, message: str) -> Fault:
        """Something wrong with one of its properties."""
        label = _label(self.it)
        called = f"event {self.position}" + (f" ({label[:60]})" if label else "")
        return Fault(self.place.of(name), name, code, f"{called}: {message}")


def read(content: bytes, wanted: Wanted) -> Found:
    """The days of the file. Raises Refused."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Refused(Fault(line, None, "encoding", "is not UTF-8")) from None
    where = places(text)
    if len(where) > _MOST_EVENTS:
        raise Refused(Fault(None, None, "too_many", f"more than {_MOST_EVENTS} events"))
    try:
        calendars = icalendar.Calendar.from_ical(text, multiple=True)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Refused(Fault(None, None, "syntax", f"cannot be read: {error}"[:200])) from None
    found = [event for calendar in calendars for event in calendar.walk("VEVENT")]
    events = [
        Event(it, place, n) for n, (it, place) in enumerate(zip(found, where, strict=True), 1)
    ]
    faults = [fault for event in events for fault in _faults(event)]
    if faults:
        raise Refused(*faults)
    return _days(events, wanted)


def _faults(event: Event) -> Iterator[Fault]:
    it = event.it
    wrong = {name for name, _ in it.errors}
    for name, message in it.errors:
        if name is None or name in _NEEDED:
            yield event.fault(name or "VEVENT", "value", str(message)[:200])
    for name in _ONCE:
        if isinstance(it.get(name), list):
            wrong.add(name)
            yield event.fault(name, "twice", f"has {name} more than once")
    if it.get("DTSTART") is None:
        yield event.fault("DTSTART", "missing", "has no DTSTART")
    for name in ("DTSTART", "DTEND", "RECURRENCE-ID"):
        value = it.get(name)
        if value is None or name in wrong:
            continue
        zone = value.params.get("TZID")
        if zone is not None and isinstance(value.dt, datetime) and value.dt.tzinfo is None:
            yield event.fault(name, "time_zone", f"the time zone {zone[:60]} is not known")
    rule = it.get("RRULE")
    if rule is not None and "RRULE" not in wrong:
        frequency = str(rule.get("FREQ", ["nothing"])[0]).upper()
        if frequency not in _FREQUENCIES:
            message = f"is repeated {frequency}; taken are {', '.join(_FREQUENCIES)}"
            yield event.fault("RRULE", "frequency", message)
    if not wrong & set(_NEEDED) and it.get("DTSTART") is not None:
        try:
            start, end = it.start, it.end
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            yield event.fault("DTEND", "end", str(error)[:200])
        else:
            if _is_before(end, start):
                yield event.fault("DTEND", "end", "ends before it begins")


def _is_before(end: date, start: date) -> bool:
    try:
        return end < start
    except TypeError:  # one with a time zone and the other without
        return False


def _days(events: list[Event], wanted: Wanted) -> Found:
    found = Found()
    series: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        # Events without a UID, which there must not be, are not taken for one.
        series[str(event.it.get("UID") or f"event-{event.position}")].append(event)
    for group in series.values():
        counted = [it for it in group if str(it.it.get("STATUS", "")).upper() != "CANCELLED"]
        found.cancelled += len(group) - len(counted)
        found.events += len(counted)
        if not any(name in it.it for it in group for name in _REPEATED):
            for event in counted:
                _take(found, event, [(event.it.start, event.it.end, _label(event.it))], wanted)
        elif (days := _every_year(group, wanted)) is not None:
            for month, day in days:
                found.add(("every", month, day), _label(group[0].it))
        else:
            _take(found, group[0], _occurrences(group, wanted), wanted)
    return found


def _take(found: Found, event: Event, spans: list[tuple[date, date, str]], wanted: Wanted) -> None:
    """Add the days that the spans of one event touch."""
    is_timed, taken = False, False
    for start, end, label in spans:
        first, last, whole = _touched(start, end, wanted.zone)
        is_timed |= not whole
        first, last = max(first, wanted.first), min(last, wanted.last)
        taken |= first <= last
        if not whole and not wanted.timed:
            continue
        while first <= last:
            found.add(("date", first.isoformat()), label)
            first += _DAY
    found.timed += is_timed
    found.outside += not taken


def _touched(start: date, end: date, zone: ZoneInfo) -> tuple[date, date, bool]:
    """The first and the last day of an event, and whether it takes the whole of each."""
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        return start, max(start, end - _DAY), True
    begins, ends = _local(start, zone), _local(end, zone)
    if ends <= begins:
        return begins.date(), begins.date(), False
    whole = begins.time() == ends.time() == time()
    return begins.date(), (ends - timedelta(microseconds=1)).date(), whole


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the clocks in `zone` show; a time without a zone is that of every zone (3.3.5)."""
    return (moment if moment.tzinfo is None else moment.astimezone(zone)).replace(tzinfo=None)


def _every_year(group: list[Event], wanted: Wanted) -> list[tuple[int, int]] | None:
    """The days of every year that a series is; None if it is anything else."""
    it = group[0].it
    start, rule = it.start, it.get("RRULE")
    if len(group) > 1 or rule is None or "RDATE" in it or "EXDATE" in it:
        return None
    if isinstance(start, datetime) or set(rule) - _EVERY_YEAR or rule["FREQ"] != ["YEARLY"]:
        return None
    said = (rule.get("INTERVAL", [1]), rule.get("BYMONTH"), rule.get("BYMONTHDAY"))
    if said[0] != [1] or said[1] not in (None, [start.month]) or said[2] not in (None, [start.day]):
        return None
    if said[2] is not None and said[1] is None:
        return None  # the same day of every month
    if start > wanted.today and _a_year_before(start) >= wanted.today:
        return None  # the next one of the days of every year is not in it
    length = max(1, (it.end - start).days)
    if length > 300:
        return None
    if (start.month, start.day) == (2, 29):
        return [(2, 29)] if length == 1 else None
    in_leap, in_common = (
        [start.replace(year=year) + number * _DAY for number in range(length)]
        for year in (_LEAP_YEAR, _COMMON_YEAR)
    )
    days = [(day.month, day.day) for day in in_leap]
    return days if days == [(day.month, day.day) for day in in_common] else None


def _a_year_before(day: date) -> date:
    return day.replace(year=day.year - 1, day=min(day.day, 28) if day.month == 2 else day.day)


def _occurrences(group: list[Event], wanted: Wanted) -> list[tuple[date, date, str]]:
    calendar = icalendar.Calendar()
    for event in group:
        calendar.add_component(event.it)
    try:
        every = recurring_ical_events.of(calendar).between(
            wanted.first - 2 * _DAY, wanted.last + 3 * _DAY
        )
        return [
            (it.start, it.end, _label(it))
            for it in every
            if str(it.get("STATUS", "")).upper() != "CANCELLED"
        ]
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise Refused(group[0].fault("RRULE", "repetition", str(error)[:200])) from None


def _label(event: Any) -> str:
    summary = event.get("SUMMARY")
    return " ".join(str(summary[0] if isinstance(summary, list) else summary or "").split())


def _answer(content: bytes, wanted: Wanted) -> dict[str, Any]:
    try:
        found = read(content, wanted)
    except Refused as refused:
        faults = [attrs.asdict(it) for it in refused.faults]
        return {"refused": {"faults": faults, "count": refused.count}}
    every = sorted((it for it in found.days if len(it) == 3), key=lambda it: it[1:])
    dated = sorted(it for it in found.days if len(it) == 2)
    days = [{"month": it[1], "day": it[2], "label": found.days[it]} for it in every]
    days += [{"date": it[1], "label": found.days[it]} for it in dated]
    counts = attrs.asdict(found, filter=lambda field, _: field.name != "days")
    return {"days": days, **counts}


def main(first: str, last: str, zone: str, timed: str, cpu_seconds: str) -> None:
    """Read, and say what came of it."""
    limit = int(cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    local = ZoneInfo(zone)
    wanted = Wanted(
        date.fromisoformat(first),
        date.fromisoformat(last),
        datetime.now(UTC).astimezone(local).date(),
        local,
        timed == "days",
    )
    answer = json.dumps(_answer(sys.stdin.buffer.read(), wanted)).encode()
    while answer:
        answer = answer[os.write(1, answer) :]


if __name__ == "__main__":
    main(*sys.argv[1:])
