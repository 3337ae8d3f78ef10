"""iCalendar files for tests."""

from __future__ import annotations

_HEAD = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Tests//EN\r\n"


def ics(*events: str, before: str = "") -> str:
    """A file with these events, each the text of its properties; `before` comes first in it."""
    made = "".join(f"BEGIN:VEVENT\n{it.strip()}\nEND:VEVENT\n" for it in events)
    return f"{_HEAD}{before}{made}END:VCALENDAR\n".replace("\r\n", "\n").replace("\n", "\r\n")


def every_year(day: str, label: str = "", more: str = "") -> str:
    """An event of one day that comes every year."""
    return f"UID:{day}\nDTSTART;VALUE=DATE:{day}\nSUMMARY:{label}\nRRULE:FREQ=YEARLY{more}"


CHRISTMAS = every_year("20201225", "Christmas Day")
EASTER_2027 = "UID:easter\nDTSTART;VALUE=DATE:20270328\nSUMMARY:Easter Sunday"
