"""Reading in a process of its own: what comes of it, and that it ends whatever is in the file."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import attrs
import pytest
from twisted.internet import reactor

from nizam.calendars import reader as reader_module
from nizam.calendars.reader import CalendarReader, LineError, Span
from nizam.errors import FieldError, TimeoutExceeded, ValidationFailed
from nizam.model.calendar import CalendarDay
from tests.calendars.files import CHRISTMAS, ics

SPAN = Span.of(date(2026, 11, 28), 5, "Europe/Berlin")


@pytest.fixture
def reader() -> CalendarReader:
    return CalendarReader(reactor)


async def test_a_file_is_read(reader: CalendarReader) -> None:
    text = ics("UID:1\nDTSTART:20261224T230000Z\nSUMMARY:${system rm}\nDURATION:PT1H", CHRISTMAS)
    found = await reader.read(text.encode(), SPAN)
    assert found.days == (
        CalendarDay(month=12, day=25, label="Christmas Day"),
        CalendarDay(date=date(2026, 12, 25), label="$ {system rm}"),
    )
    assert (found.events, found.timed, found.cancelled, found.outside) == (2, 1, 0, 0)


@pytest.mark.parametrize(
    ("today", "years", "last"),
    [(date(2026, 11, 28), 1, date(2026, 12, 31)), (date(2026, 1, 1), 10, date(2035, 12, 31))],
)
def test_the_years_that_are_worked_out_begin_with_this_one(
    today: date, years: int, last: date
) -> None:
    span = Span.of(today, years, "UTC")
    assert (span.first, span.last) == (date(2026, 1, 1), last)


async def test_what_is_wrong_comes_with_its_lines(reader: CalendarReader) -> None:
    with pytest.raises(
        ValidationFailed, match=r"2 things are wrong, the first: line 6: "
    ) as raised:
        await reader.read(ics("UID:1\nDTSTART:x", "UID:2\nDTSTART:y").encode(), SPAN)
    found = raised.value.errors
    assert [(it.row, it.column) for it in found if isinstance(it, LineError)] == [
        (6, "DTSTART"),
        (10, "DTSTART"),
    ]


async def test_more_days_than_a_calendar_has_are_refused(reader: CalendarReader) -> None:
    daily = ics("UID:1\nDTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY")
    with pytest.raises(ValidationFailed, match="has 1826 days; at most 1000"):
        await reader.read(daily.encode(), SPAN)
    one_year = await reader.read(daily.encode(), Span.of(date(2026, 1, 1), 1, "UTC"))
    assert len(one_year.days) == 365


async def test_a_rule_that_takes_for_ever_to_work_out_ends(
    reader: CalendarReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "_CPU_SECONDS", 1)
    never = "DTSTART;VALUE=DATE:20200101\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"
    text = ics(*(f"UID:{number}\n{never}" for number in range(200)))
    with pytest.raises(ValidationFailed) as raised:
        await reader.read(text.encode(), SPAN)
    assert raised.value.errors == (FieldError("", "too_much", "takes too much to work out"),)


async def test_a_program_that_hangs_is_ended(
    reader: CalendarReader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hanging = tmp_path / "hanging.py"
    hanging.write_text("import sys\nsys.stdin.read()\nwhile True:\n    pass\n")
    monkeypatch.setattr(reader_module, "_PROGRAM", str(hanging))
    monkeypatch.setattr(reader_module, "WALL_SECONDS", 0.3)
    with pytest.raises(TimeoutExceeded):
        await reader.read(ics(CHRISTMAS).encode(), SPAN)


async def test_a_program_that_hangs_up_is_an_answer_too(
    reader: CalendarReader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deaf = tmp_path / "deaf.py"
    deaf.write_text("")
    monkeypatch.setattr(reader_module, "_PROGRAM", str(deaf))
    with pytest.raises(ValidationFailed):
        await reader.read(b"x" * 1024 * 1024, SPAN)


async def test_hours_can_be_skipped(reader: CalendarReader) -> None:
    text = ics("UID:1\nDTSTART:20261224T140000Z\nDURATION:PT1H", CHRISTMAS)
    found = await reader.read(text.encode(), attrs.evolve(SPAN, timed="skip"))
    assert (len(found.days), found.timed) == (1, 1)
