"""What the events of an iCalendar file become: days, or words about what is wrong, by line."""

from __future__ import annotations

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest

from nizam.calendars.lines import MOST_FAULTS, Refused
from nizam.calendars.read import Found, Wanted, read
from tests.calendars.files import CHRISTMAS, EASTER_2027, every_year, ics

# From 2026 to 2030, asked on 28 November 2026.
WANTED = Wanted(
    date(2026, 1, 1), date(2030, 12, 31), date(2026, 11, 28), ZoneInfo("Europe/Berlin"), True
)


def days(found: Found) -> list[str]:
    """`2026-12-24` for a date, `--12-25` for a day of every year (ISO 8601)."""
    return sorted(f"--{it[1]:02}-{it[2]:02}" if len(it) == 3 else it[1] for it in found.days)


CUSTOM_ZONE = """BEGIN:VTIMEZONE
TZID:Office
BEGIN:STANDARD
DTSTART:19701025T030000
TZOFFSETFROM:-0900
TZOFFSETTO:-1000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19700329T020000
TZOFFSETFROM:-1000
TZOFFSETTO:-0900
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""
CANCELLED = "STATUS:CANCELLED"


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        # days
        ([EASTER_2027], ["2027-03-28"]),
        ([CHRISTMAS, EASTER_2027], ["--12-25", "2027-03-28"]),
        (
            ["UID:1\nDTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227"],
            ["2026-12-24", "2026-12-25", "2026-12-26"],
        ),
        (["UID:1\nDTSTART;VALUE=DATE:20261231\nDURATION:P2D"], ["2026-12-31", "2027-01-01"]),
        # some calendars end a day on the day itself
        (["UID:1\nDTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261224"], ["2026-12-24"]),
        # every year, on the same day
        ([every_year("20200101", more=";INTERVAL=1;BYMONTH=1;BYMONTHDAY=1")], ["--01-01"]),
        ([every_year("20200229")], ["--02-29"]),
        ([every_year("20201231") + "\nDURATION:P2D"], ["--01-01", "--12-31"]),
        ([every_year("20270101")], ["--01-01"]),
        # every year, but not on one and the same day, or not for ever: worked out
        ([every_year("20280101")], ["2028-01-01", "2029-01-01", "2030-01-01"]),
        ([every_year("20200101", more=";UNTIL=20271231")], ["2026-01-01", "2027-01-01"]),
        ([every_year("20250101", more=";COUNT=3")], ["2026-01-01", "2027-01-01"]),
        ([every_year("20250101", more=";INTERVAL=2")], ["2027-01-01", "2029-01-01"]),
        (
            [every_year("20261126", more=";BYMONTH=11;BYDAY=4TH")],
            ["2026-11-26", "2027-11-25", "2028-11-23", "2029-11-22", "2030-11-28"],
        ),
        (
            [every_year("20250101") + "\nEXDATE;VALUE=DATE:20270101,20280101"],
            ["2026-01-01", "2029-01-01", "2030-01-01"],
        ),
        (
            [every_year("20270227") + "\nDURATION:P3D", "UID:x\nDTSTART;VALUE=DATE:20260101"],
            ["2026-01-01"]
            + [f"{y}-02-{d}" for y in (2027, 2028, 2029, 2030) for d in (27, 28)]
            + ["2027-03-01", "2028-02-29", "2029-03-01", "2030-03-01"],
        ),
        (
            ["UID:1\nDTSTART;VALUE=DATE:20301230\nRRULE:FREQ=DAILY"],
            ["2030-12-30", "2030-12-31"],
        ),
        (
            ["UID:1\nDTSTART;VALUE=DATE:20261127\nRRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=2"],
            ["2026-11-27", "2026-12-25"],
        ),
        (
            ["UID:1\nDTSTART;VALUE=DATE:20261224\nRDATE;VALUE=DATE:20270105,20270107"],
            ["2026-12-24", "2027-01-05", "2027-01-07"],
        ),
        # one of a series that is on another day, one that is cancelled
        (
            [
                "UID:1\nDTSTART;VALUE=DATE:20261201\nRRULE:FREQ=DAILY;COUNT=4",
                "UID:1\nRECURRENCE-ID;VALUE=DATE:20261202\nDTSTART;VALUE=DATE:20261220",
                f"UID:1\nRECURRENCE-ID;VALUE=DATE:20261203\nDTSTART;VALUE=DATE:20261203\n{CANCELLED}",
            ],
            ["2026-12-01", "2026-12-04", "2026-12-20"],
        ),
        ([f"{EASTER_2027}\n{CANCELLED}", CHRISTMAS], ["--12-25"]),
        # events of some hours are on the days that the clocks of the wanted zone show
        (["UID:1\nDTSTART:20261224T140000\nDTEND:20261224T180000"], ["2026-12-24"]),
        (["UID:1\nDTSTART:20261224T230000Z\nDURATION:PT30M"], ["2026-12-25"]),
        (["UID:1\nDTSTART;TZID=Asia/Tokyo:20261225T070000\nDURATION:PT30M"], ["2026-12-24"]),
        (["UID:1\nDTSTART;TZID=Tokyo Standard Time:20261225T070000"], ["2026-12-24"]),
        (["UID:1\nDTSTART;TZID=Office:20261224T140000\nDURATION:PT1H"], ["2026-12-25"]),
        # ... by the offset of the summer: 13:30 is 22:30 UTC, half past midnight in Berlin
        (["UID:1\nDTSTART;TZID=Office:20270701T133000\nDURATION:PT1H"], ["2027-07-02"]),
        (
            ["UID:1\nDTSTART:20261224T220000Z\nDTEND:20261225T000000Z"],
            ["2026-12-24", "2026-12-25"],
        ),
        # until midnight is not the day that begins then
        (["UID:1\nDTSTART:20261224T140000\nDTEND:20261225T000000"], ["2026-12-24"]),
        # at one moment
        (["UID:1\nDTSTART:20261224T140000"], ["2026-12-24"]),
        # a series over the change of the clocks stays at its own hour, half past midnight
        (
            [
                "UID:1\nDTSTART;TZID=Europe/Berlin:20270327T003000\nDURATION:PT1H\n"
                "RRULE:FREQ=DAILY;COUNT=3"
            ],
            ["2027-03-27", "2027-03-28", "2027-03-29"],
        ),
        # outside of the years that are wanted, and partly so
        (["UID:1\nDTSTART;VALUE=DATE:20251224", CHRISTMAS], ["--12-25"]),
        (
            ["UID:1\nDTSTART;VALUE=DATE:20251224\nDTEND;VALUE=DATE:20260103"],
            ["2026-01-01", "2026-01-02"],
        ),
        # folded lines, events without a UID
        (["UID:1\nDTSTART;VALUE=DA\n TE:202612\n 24"], ["2026-12-24"]),
        (
            ["DTSTART;VALUE=DATE:20261224", "DTSTART;VALUE=DATE:20261226"],
            ["2026-12-24", "2026-12-26"],
        ),
    ],
)
def test_events_become_days(events: list[str], expected: list[str]) -> None:
    text = ics(*events, before=CUSTOM_ZONE)
    assert days(read(text.encode(), WANTED)) == sorted(expected)
    assert days(read(b"\xef\xbb\xbf" + text.replace("\r\n", "\n").encode(), WANTED)) == sorted(
        expected
    )


def test_events_are_counted_by_what_they_are() -> None:
    text = ics(
        CHRISTMAS,
        f"{EASTER_2027}\n{CANCELLED}",
        "UID:hours\nDTSTART:20261224T140000\nDTEND:20261224T180000",
        "UID:night\nDTSTART:20261224T000000\nDTEND:20261226T000000",
        "UID:old\nDTSTART;VALUE=DATE:20200101",
        "UID:gone\nDTSTART;VALUE=DATE:20200101\nRRULE:FREQ=DAILY;COUNT=3",
    )
    found = read(text.encode(), WANTED)
    counts = (found.events, found.cancelled, found.timed, found.outside)
    assert counts == (5, 1, 1, 2)
    assert days(found) == ["--12-25", "2026-12-24", "2026-12-25"]
    without = read(text.encode(), attrs.evolve(WANTED, timed=False))
    assert days(without) == ["--12-25", "2026-12-24", "2026-12-25"]


def test_events_of_some_hours_can_be_skipped() -> None:
    text = ics("UID:1\nDTSTART:20261224T140000\nDTEND:20261224T180000", CHRISTMAS)
    found = read(text.encode(), attrs.evolve(WANTED, timed=False))
    assert (days(found), found.timed) == (["--12-25"], 1)


def test_the_first_event_of_a_day_gives_its_label() -> None:
    one = "UID:1\nDTSTART;VALUE=DATE:20261224\nSUMMARY;LANGUAGE=de:Heilig\\, abend\\nzuhause"
    other = "UID:2\nDTSTART;VALUE=DATE:20261224\nSUMMARY:Other"
    assert list(read(ics(one, other).encode(), WANTED).days.values()) == ["Heilig, abend zuhause"]


def faults(content: bytes) -> list[tuple[Any, ...]]:
    with pytest.raises(Refused) as refused:
        read(content, WANTED)
    return [(it.line, it.property, it.code, it.message) for it in refused.value.faults]


@pytest.mark.parametrize(
    ("event", "line", "name", "code", "words"),
    [
        ("DTSTART;VALUE=DATE:20261345", 6, "DTSTART", "value", "Wrong date format 20261345"),
        ("SUMMARY:Party\nDTSTART:soon", 7, "DTSTART", "value", "event 1 (Party): "),
        ("SUMMARY:Party", 4, "DTSTART", "missing", "event 1 (Party): has no DTSTART"),
        (
            "DTSTART;TZID=Nowhere:20261224T140000",
            *(6, "DTSTART", "time_zone", "the time zone Nowhere is not known"),
        ),
        (
            "DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261223",
            *(7, "DTEND", "end", "ends before it begins"),
        ),
        (
            "DTSTART;VALUE=DATE:20261224\nDTEND:20261225T000000Z",
            *(7, "DTEND", "end", "must be of the same type"),
        ),
        (
            "DTSTART;VALUE=DATE:20261224\nDTSTART;VALUE=DATE:20261225",
            *(6, "DTSTART", "twice", "has DTSTART more than once"),
        ),
        (
            "DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=SOMETIMES",
            *(7, "RRULE", "value", "Expected frequency, got: SOMETIMES"),
        ),
        (
            "DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=SECONDLY",
            *(7, "RRULE", "frequency", "is repeated SECONDLY; taken are YEARLY, MONTHLY"),
        ),
        (
            "DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY",
            *(7, "RRULE", "twice", "has RRULE more than once"),
        ),
        (
            "DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=DAILY\nEXDATE;VALUE=DATE:never",
            *(8, "EXDATE", "value", "event 1"),
        ),
        ("DTSTART;VALUE=DATE:20261224\nthis is no line", 7, None, "syntax", "is no line"),
    ],
)
def test_what_is_wrong_in_an_event_is_told_by_its_line(
    event: str, line: int, name: str | None, code: str, words: str
) -> None:
    (found,) = faults(ics(f"UID:1\n{event}").encode())
    assert found[:3] == (line, name, code)
    assert words in found[3]


@pytest.mark.parametrize(
    ("content", "line", "code"),
    [
        (b"", None, "no_events"),
        (b"\r\n\r\n", None, "no_events"),
        (ics().encode(), None, "no_events"),
        (b"<html>not found</html>", 1, "not_icalendar"),
        (b"SUMMARY:outside", 1, "not_icalendar"),
        (b"BEGIN:VCARD\r\nEND:VCARD", 1, "not_icalendar"),
        (ics(CHRISTMAS).encode("utf-16"), 1, "encoding"),
        (
            ics("UID:1\nSUMMARY:F\xe4st\nDTSTART;VALUE=DATE:20261224").encode("latin-1"),
            6,
            "encoding",
        ),
        (b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261224\r\n", 1, "nesting"),
        (b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nEND:VTODO\r\nEND:VCALENDAR", 3, "nesting"),
    ],
)
def test_what_is_no_icalendar_file_is_refused_at_its_line(
    content: bytes, line: int | None, code: str
) -> None:
    assert faults(content)[0][:1] + faults(content)[0][2:3] == (line, code)


def test_everything_that_is_wrong_is_told_at_once_up_to_a_bound() -> None:
    wrong = ["UID:1\nDTSTART:x", CHRISTMAS, "UID:2\nDTSTART:y"]
    assert [(it[0], it[3][:7]) for it in faults(ics(*wrong).encode())] == [
        (6, "event 1"),
        (16, "event 3"),
    ]
    many = ics(*(f"UID:{n}\nDTSTART:x" for n in range(MOST_FAULTS + 20)))
    with pytest.raises(Refused) as refused:
        read(many.encode(), WANTED)
    assert (len(refused.value.faults), refused.value.count) == (MOST_FAULTS, MOST_FAULTS + 20)
