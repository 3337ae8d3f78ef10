"""The lines of an iCalendar file (RFC 5545, 3.1): where each event and each of its properties is.

Like the program that uses it, this file knows nothing of NIZAM.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

MOST_FAULTS = 100
_FOLD = (" ", "\t")
_LINE = re.compile(r"([A-Za-z0-9-]+)[;:]")


@attrs.frozen
class Fault:
    """One thing that is wrong: where, a stable code, and words for people."""

    line: int | None
    property: str | None
    code: str
    message: str


class Refused(Exception):
    """The file is not taken."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(faults[0].message)
        self.faults = faults[:MOST_FAULTS]
        self.count = len(faults)


@attrs.define
class Place:
    """Where an event begins, and the first line of each of its properties."""

    line: int
    properties: dict[str, int] = attrs.field(factory=dict)

    def of(self, name: str) -> int:
        """The line of the property; that of the event if it has none."""
        return self.properties.get(name, self.line)


def places(text: str) -> list[Place]:
    """Where the events are, in their order. Raises Refused for what is no iCalendar file."""
    found: list[Place] = []
    faults: list[Fault] = []
    open_ones: list[tuple[str, int]] = []
    for number, line in _unfolded(text):
        match = _LINE.match(line)
        if match is None:
            if not found and not open_ones:
                raise Refused(
                    Fault(number, None, "not_icalendar", "an iCalendar file begins BEGIN:VCALENDAR")
                )
            faults.append(Fault(number, None, "syntax", "is no line of an iCalendar file"))
            continue
        name = match[1].upper()
        value = line[match.end() :].strip().upper()
        if name == "BEGIN":
            if not open_ones and value != "VCALENDAR":
                raise Refused(
                    Fault(number, None, "not_icalendar", f"{value[:40]} is outside a VCALENDAR")
                )
            open_ones.append((value, number))
            if value == "VEVENT":
                found.append(Place(number))
        elif not open_ones:
            raise Refused(
                Fault(number, None, "not_icalendar", "an iCalendar file begins BEGIN:VCALENDAR")
            )
        elif name == "END":
            begun, _ = open_ones.pop()
            if begun != value:
                words = f"ends {value[:40]} where {begun[:40]} is to end"
                raise Refused(*faults, Fault(number, None, "nesting", words))
        elif open_ones[-1][0] == "VEVENT":
            found[-1].properties.setdefault(name, number)
    for begun, number in open_ones[:1]:
        faults.append(
            Fault(number, None, "nesting", f"the {begun[:40]} that begins here never ends")
        )
    if faults:
        raise Refused(*faults)
    if not found:
        raise Refused(Fault(None, None, "no_events", "there is no event (VEVENT) in it"))
    return found


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """The logical lines that are not empty, each with the number of its first line."""
    begun, pieces = 0, [""]
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if line.startswith(_FOLD) and pieces[0]:
            pieces.append(line[1:])
            continue
        if pieces[0].strip():
            yield begun, "".join(pieces)
        begun, pieces = number, [line]
    if pieces[0].strip():
        yield begun, "".join(pieces)
