"""What the days of a file make of those of a calendar."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nizam.calendars.days import Mode, changes, day_of
from nizam.model.calendar import CalendarDay
from nizam.model.values import safe_text


def _day(text: str) -> CalendarDay:
    """`2026-12-24 Label` or `12-25 Label`."""
    when, _, label = text.partition(" ")
    fields: dict[str, Any] = {"date": when} if len(when) > 5 else {}
    if not fields:
        fields = {"month": int(when[:2]), "day": int(when[3:])}
    return CalendarDay.model_validate({**fields, "label": label})


def _words(days: tuple[CalendarDay, ...]) -> list[str]:
    return [f"{it.date or f'{it.month:02}-{it.day:02}'} {it.label}".strip() for it in days]


@pytest.mark.parametrize(
    ("mode", "days", "added", "changed", "removed", "unchanged"),
    [
        (
            "replace",
            ["12-25 Xmas", "2026-12-24 Eve"],
            ["2026-12-24 Eve"],
            ["12-25 Xmas"],
            ["01-01 NY"],
            0,
        ),
        (
            "merge",
            ["01-01 NY", "12-25 Xmas", "2026-12-24 Eve"],
            ["2026-12-24 Eve"],
            ["12-25 Xmas"],
            [],
            1,
        ),
    ],
)
def test_days_take_the_place_of_others_or_join_them(
    mode: Mode,
    days: list[str],
    added: list[str],
    changed: list[str],
    removed: list[str],
    unchanged: int,
) -> None:
    present = [_day("12-25 Christmas"), _day("01-01 NY")]
    found = changes(present, [_day("2026-12-24 Eve"), _day("12-25 Xmas")], mode)
    assert _words(found.days) == days
    told = (_words(found.added), _words(found.changed), _words(found.removed), found.unchanged)
    assert told == (added, changed, removed, unchanged)


def test_a_day_without_a_label_keeps_the_one_that_it_has() -> None:
    found = changes([_day("12-25 Christmas")], [_day("12-25")], "replace")
    assert (_words(found.days), found.unchanged) == (["12-25 Christmas"], 1)


def test_the_same_days_in_another_order_change_nothing() -> None:
    present = (_day("2027-01-01 B"), _day("12-25 A"))
    assert changes(present, reversed(present), "replace").days == present


@given(st.text(max_size=400) | st.from_regex(r"[${}]{0,9}", fullmatch=True))
def test_of_a_label_what_can_be_kept_is_kept(label: str) -> None:
    kept = day_of({"date": "2026-12-24", "label": label}).label
    assert safe_text(kept) == kept
    assert len(kept) <= 255


def test_an_ordinary_label_stays_as_it_is() -> None:
    label = "Mariä Himmelfahrt, 15. August ($5 off) 日"
    assert day_of({"date": "2026-12-24", "label": label}).label == label
