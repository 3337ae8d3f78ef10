"""Days of a file and days of a calendar: what a file changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import attrs

from nizam.model.calendar import CalendarDay
from nizam.model.values import TEXT_LENGTH, made_safe

Mode = Literal["replace", "merge"]


@attrs.frozen
class Changes:
    """What becomes of a calendar: its `days` then, and how those differ from the present ones."""

    days: tuple[CalendarDay, ...]
    added: tuple[CalendarDay, ...]
    changed: tuple[CalendarDay, ...]
    removed: tuple[CalendarDay, ...]
    unchanged: int


def day_of(fields: Mapping[str, Any]) -> CalendarDay:
    """A day by its fields; of its label only what can be kept, since a stranger wrote it."""
    label = made_safe(fields["label"])[:TEXT_LENGTH].strip()
    return CalendarDay.model_validate({**fields, "label": label})


def changes(present: Sequence[CalendarDay], given: Iterable[CalendarDay], mode: Mode) -> Changes:
    """What the days of a file make of the present ones: they take their place, or join them.

    A day that is in both has the label of the file, unless that has none.
    """
    before = {it.key: it for it in reversed(present)}
    named = {it.key: it for it in given}
    for key, it in named.items():
        if not it.label and key in before:
            named[key] = before[key]
    after = {**before, **named} if mode == "merge" else named
    every_year, dated = (
        sorted((it for it in after.values() if (it.date is None) == wanted), key=_position)
        for wanted in (True, False)
    )
    days = (*every_year, *dated)
    same = [it for it in days if before.get(it.key) == it]
    return Changes(
        days=tuple(present) if len(same) == len(days) == len(present) else days,
        added=tuple(it for it in days if it.key not in before),
        changed=tuple(it for it in days if it.key in before and before[it.key] != it),
        removed=tuple(it for it in before.values() if it.key not in after),
        unchanged=len(same),
    )


def _position(day: CalendarDay) -> Any:
    return day.key
