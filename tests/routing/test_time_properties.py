"""Any rules at any instant: the answer of an implementation that shares nothing with ours.

The other one lists the spans of time in which a rule holds, one for each day on which it can begin,
and looks whether the wall clock is in one of them. Its wall clock is dateutil's, which reads the
tables of the database but not its rules for the years after 2037.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from dateutil import tz
from dateutil.relativedelta import relativedelta
from dateutil.rrule import DAILY, rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from nizam.routing.explain import explain
from tests.routing.tenants import Tenants, identifier

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
)
_TICK = timedelta(microseconds=1)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from((0, 1, 30, 59)))
dates = st.dates(date(1970, 1, 1), date(9998, 12, 31))


def between(first: datetime, last: datetime) -> st.SearchStrategy[datetime]:
    """Instants between two, by the microsecond."""
    span = (last - first) // timedelta(microseconds=1)
    return st.integers(0, span).map(lambda it: first + timedelta(microseconds=it))


instants = between(datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC) - _TICK)
# Near the changes of the clocks, where what goes wrong goes wrong.
changes = st.builds(
    lambda at, minutes: at + timedelta(minutes=minutes),
    st.sampled_from(
        [
            datetime(2026, 3, 29, 1, tzinfo=UTC),
            datetime(2026, 10, 25, 1, tzinfo=UTC),
            datetime(2026, 3, 8, 5, tzinfo=UTC),
            datetime(2026, 11, 1, 5, tzinfo=UTC),
            datetime(2018, 2, 18, 2, tzinfo=UTC),
            datetime(2011, 12, 30, 10, tzinfo=UTC),
            datetime(2026, 4, 4, 15, tzinfo=UTC),
            datetime(2028, 2, 29, 0, tzinfo=UTC),
            datetime(2027, 1, 1, 0, tzinfo=UTC),
        ]
    ),
    st.integers(-36 * 60, 36 * 60),
)
told = between(datetime(1970, 1, 2, tzinfo=UTC), datetime(2037, 12, 30, tzinfo=UTC)) | changes


@st.composite
def rules(draw: st.DrawFn, near: datetime) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    if draw(st.booleans()):
        rule["from"], rule["to"] = draw(clocks), draw(clocks)
    if draw(st.booleans()):
        rule["weekdays"] = draw(st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True))
    if draw(st.booleans()):
        around = st.integers(-3, 3).map(lambda days: (near + timedelta(days=days)).date())
        one, other = draw(around | dates), draw(around | dates)
        rule["dates"] = {"from": str(min(one, other)), "to": str(max(one, other))}
    if not rule or draw(st.integers(0, 3)) == 0:
        rule["month_days"] = draw(st.lists(st.integers(1, 31), min_size=1, unique=True))
    return rule


@st.composite
def calendar_days(draw: st.DrawFn, near: datetime) -> list[dict[str, Any]]:
    around = st.integers(-2, 2).map(lambda days: (near + timedelta(days=days)).date())
    dated = around.map(lambda it: {"date": str(it)})
    yearly = around.map(lambda it: {"month": it.month, "day": it.day})
    return draw(st.lists(dated | yearly, max_size=3))


@st.composite
def questions(draw: st.DrawFn, when: st.SearchStrategy[datetime] = told) -> dict[str, Any]:
    at = draw(when)
    near = min(max(at, datetime(1970, 1, 5, tzinfo=UTC)), datetime(9998, 12, 20, tzinfo=UTC))
    return {
        "at": at,
        "zone": draw(st.sampled_from(ZONES)),
        "rules": draw(st.lists(rules(near), max_size=4)),
        "days": draw(calendar_days(near)),
        "override": draw(st.sampled_from(["auto", "auto", "auto", "match", "otherwise"])),
    }


def ours(question: dict[str, Any]) -> str:
    """What the product does with the call."""
    tenants = _tenants()
    tenants.put("calendar", "acme/cal", {"name": "C", "days": question["days"]})
    tenants.put(
        "time_condition",
        "acme/7000",
        {
            "number": "7000",
            "name": "T",
            "time_zone": question["zone"],
            "rules": question["rules"],
            "calendar_id": str(identifier("acme/cal")),
            "override": question["override"],
            "match_destination": {"type": "play", "sound": "match.wav"},
            "otherwise_destination": {"type": "play", "sound": "otherwise.wav"},
            "holidays_destination": {"type": "play", "sound": "holiday.wav"},
        },
    )
    found = explain(
        tenants.snapshot,
        identifier("acme"),
        "1001",
        "7000",
        "internal",
        question["at"],
        random.Random(1),
    )
    (played,) = [it["sound"] for it in found.plan if it["step"] == "playback"]
    return str(played).removesuffix(".wav")


@cache
def _tenants() -> Tenants:
    tenants = Tenants()
    tenants.tenant("acme")
    tenants.extension("acme/1001")
    return tenants


def naive(question: dict[str, Any]) -> str:
    """What ought to be done with it."""
    if question["override"] != "auto":
        return str(question["override"])
    wall = question["at"].astimezone(tz.gettz(question["zone"])).replace(tzinfo=None)
    if _closed(question, wall):
        return "holiday"
    for rule in question["rules"]:
        for start, end in _spans(rule, wall):
            if start <= wall < end and not _closed(question, start):
                return "match"
    return "otherwise"


def _closed(question: dict[str, Any], wall: datetime) -> bool:
    for day in question["days"]:
        if day.get("date") == wall.strftime("%Y-%m-%d"):
            return True
        if f"{day.get('month')}/{day.get('day')}" == f"{wall.month}/{wall.day}":
            return True
    return False


def _spans(rule: dict[str, Any], wall: datetime) -> list[tuple[datetime, datetime]]:
    """The spans of a rule that begin on the days around: from and to on the wall clock."""
    first = (wall - relativedelta(days=2)).replace(hour=0, minute=0, second=0, microsecond=0)
    narrowed: dict[str, Any] = {}
    if "weekdays" in rule:
        narrowed["byweekday"] = [WEEKDAYS.index(it) for it in rule["weekdays"]]
    if "month_days" in rule:
        narrowed["bymonthday"] = rule["month_days"]
    spans = []
    for day in rrule(DAILY, dtstart=first, until=first + relativedelta(days=4), **narrowed):
        named = day.strftime("%Y-%m-%d")
        if "dates" in rule and not rule["dates"]["from"] <= named <= rule["dates"]["to"]:
            continue
        start, end = day, day + relativedelta(days=1)
        if "from" in rule:
            (hour, minute), (to_hour, to_minute) = (
                map(int, rule[it].split(":")) for it in ("from", "to")
            )
            start = day + relativedelta(hours=hour, minutes=minute)
            end = day + relativedelta(hours=to_hour, minutes=to_minute)
            if end <= start:
                end += relativedelta(days=1)
        spans.append((start, end))
    return spans


@settings(max_examples=600, deadline=None)
@given(questions())
def test_the_answer_is_that_of_an_independent_implementation(question: dict[str, Any]) -> None:
    assert ours(question) == naive(question)


@settings(max_examples=200, deadline=None)
@given(questions(instants | changes), st.sampled_from(["match", "otherwise"]))
def test_what_is_set_by_hand_always_wins(question: dict[str, Any], override: str) -> None:
    assert ours(question | {"override": override}) == override


@settings(max_examples=300, deadline=None)
@given(questions(instants))
def test_there_is_an_answer_at_any_instant(question: dict[str, Any]) -> None:
    assert ours(question) in {"match", "otherwise", "holiday"}


@settings(max_examples=200, deadline=None)
@given(questions(), st.data())
def test_another_rule_never_closes(question: dict[str, Any], data: st.DataObject) -> None:
    more = [*question["rules"], data.draw(rules(question["at"]))]
    if ours(question) == "match":
        assert ours(question | {"rules": more}) == "match"


@pytest.mark.parametrize("zone", ZONES)
def test_the_other_implementation_knows_the_zone(zone: str) -> None:
    assert tz.gettz(zone) is not None
