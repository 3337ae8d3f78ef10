"""What the rules of a tenant say at any instant, asked with `at` as an operator does.

The instants are given with their offset from UTC, since in autumn the same hour comes twice.
"""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

import pytest

from nizam.errors import ValidationFailed
from nizam.routing.explain import Explanation, explain
from tests.routing.tenants import Tenants, identifier, to

MATCH = {"type": "play", "sound": "open.wav"}
OTHERWISE = {"type": "play", "sound": "closed.wav"}
HOLIDAY = {"type": "play", "sound": "holiday.wav"}

ALWAYS = {"from": "00:00", "to": "00:00"}
NIGHT = {"from": "22:00", "to": "06:00"}


def ask(
    condition: dict[str, Any],
    at: str,
    days: list[dict[str, Any]] | None = None,
    **tenant: Any,
) -> Explanation:
    """What happens to a call to the time condition; `days` are those of its calendar."""
    tenants = Tenants()
    tenants.tenant("acme", **tenant)
    tenants.extension("acme/1001")
    body = {
        "number": "7000",
        "name": "Hours",
        "match_destination": MATCH,
        "otherwise_destination": OTHERWISE,
        **condition,
    }
    if days is not None:
        tenants.put("calendar", "acme/cal", {"name": "Holidays", "days": days})
        body |= {"calendar_id": str(identifier("acme/cal")), "holidays_destination": HOLIDAY}
    tenants.put("time_condition", "acme/7000", body)
    return explain(
        tenants.snapshot,
        identifier("acme"),
        "1001",
        "7000",
        "internal",
        datetime.fromisoformat(at),
        random.Random(1),
    )


def sound(explanation: Explanation) -> object:
    """open, closed or holiday."""
    (played,) = [it["sound"] for it in explanation.plan if it["step"] == "playback"]
    return str(played).removesuffix(".wav")


def rule(**fields: Any) -> dict[str, Any]:
    """One rule, with `from_` for `from`."""
    return {key.rstrip("_"): value for key, value in fields.items()}


SPRING = "Europe/Berlin"  # 2026-03-29 01:59:59+01:00, then 03:00:00+02:00
# In Havana daylight saving begins at midnight: 2026-03-07 23:59:59-05:00, then 2026-03-08
# 01:00:00-04:00. It ends an hour after midnight: 2026-11-01 00:59:59-04:00, then 00:00:00-05:00.
HAVANA = "America/Havana"


@pytest.mark.parametrize(
    ("rules", "zone", "at", "expected"),
    [
        # the hour that does not exist: 02:00 to 03:00 on 29 March
        ([rule(from_="02:00", to="03:00")], SPRING, "2026-03-29T01:59:59+01:00", "closed"),
        ([rule(from_="02:00", to="03:00")], SPRING, "2026-03-29T03:00:00+02:00", "closed"),
        ([rule(from_="02:30", to="03:30")], SPRING, "2026-03-29T01:59:59+01:00", "closed"),
        ([rule(from_="02:30", to="03:30")], SPRING, "2026-03-29T03:00:00+02:00", "open"),
        ([rule(from_="02:30", to="03:30")], SPRING, "2026-03-29T03:30:00+02:00", "closed"),
        ([rule(from_="01:30", to="02:30")], SPRING, "2026-03-29T01:59:59+01:00", "open"),
        ([rule(from_="01:30", to="02:30")], SPRING, "2026-03-29T03:00:00+02:00", "closed"),
        # an instant written in an hour that does not exist is the one an hour later
        ([rule(from_="03:00", to="04:00")], SPRING, "2026-03-29T02:30:00+01:00", "open"),
        # the hour that comes twice: 02:00 to 03:00 on 25 October
        ([rule(from_="02:30", to="03:00")], SPRING, "2026-10-25T02:29:59+02:00", "closed"),
        ([rule(from_="02:30", to="03:00")], SPRING, "2026-10-25T02:30:00+02:00", "open"),
        ([rule(from_="02:30", to="03:00")], SPRING, "2026-10-25T02:59:59+02:00", "open"),
        ([rule(from_="02:30", to="03:00")], SPRING, "2026-10-25T02:00:00+01:00", "closed"),
        ([rule(from_="02:30", to="03:00")], SPRING, "2026-10-25T02:30:00+01:00", "open"),
        ([rule(from_="02:30", to="03:00")], SPRING, "2026-10-25T03:00:00+01:00", "closed"),
        # nights over both changes belong to the Saturday on which they begin
        ([rule(weekdays=["sat"], **NIGHT)], SPRING, "2026-03-29T05:59:59+02:00", "open"),
        ([rule(weekdays=["sat"], **NIGHT)], SPRING, "2026-03-29T06:00:00+02:00", "closed"),
        ([rule(weekdays=["sat"], **NIGHT)], SPRING, "2026-10-25T02:30:00+02:00", "open"),
        ([rule(weekdays=["sat"], **NIGHT)], SPRING, "2026-10-25T02:30:00+01:00", "open"),
        ([rule(weekdays=["sat"], **NIGHT)], SPRING, "2026-10-25T06:00:00+01:00", "closed"),
        ([rule(weekdays=["sun"], **NIGHT)], SPRING, "2026-10-25T02:30:00+01:00", "closed"),
        # a change at midnight: the Sunday begins at one o'clock, and a night goes on into it
        ([rule(weekdays=["sun"])], HAVANA, "2026-03-07T23:59:59-05:00", "closed"),
        ([rule(weekdays=["sun"])], HAVANA, "2026-03-08T01:00:00-04:00", "open"),
        ([rule(weekdays=["sat"], **NIGHT)], HAVANA, "2026-03-08T01:00:00-04:00", "open"),
        # the first hour of the Sunday comes twice
        ([rule(weekdays=["sat"])], HAVANA, "2026-10-31T23:59:59-04:00", "open"),
        ([rule(weekdays=["sat"])], HAVANA, "2026-11-01T00:30:00-04:00", "closed"),
        ([rule(weekdays=["sat"])], HAVANA, "2026-11-01T00:30:00-05:00", "closed"),
        ([rule(weekdays=["sat"], **NIGHT)], HAVANA, "2026-11-01T00:30:00-05:00", "open"),
        # in the southern half summer is in January
        ([rule(from_="09:00", to="17:00")], "Australia/Sydney", "2026-01-15T21:59:59Z", "closed"),
        ([rule(from_="09:00", to="17:00")], "Australia/Sydney", "2026-01-15T22:00:00Z", "open"),
        ([rule(from_="09:00", to="17:00")], "Australia/Sydney", "2026-07-15T22:59:59Z", "closed"),
        ([rule(from_="09:00", to="17:00")], "Australia/Sydney", "2026-07-15T23:00:00Z", "open"),
        # half an hour of daylight saving, and offsets of three quarters of an hour
        ([rule(from_="01:30", to="02:00")], "Australia/Lord_Howe", "2026-04-04T14:45:00Z", "open"),
        ([rule(from_="01:30", to="02:00")], "Australia/Lord_Howe", "2026-04-04T15:15:00Z", "open"),
        (
            [rule(from_="01:30", to="02:00")],
            "Australia/Lord_Howe",
            "2026-04-04T15:30:00Z",
            "closed",
        ),
        ([rule(from_="09:00", to="09:15")], "Asia/Kathmandu", "2026-01-15T03:15:00Z", "open"),
        ([rule(from_="09:00", to="09:15")], "Asia/Kathmandu", "2026-01-15T03:30:00Z", "closed"),
        # a night over the end of a month and of a year, by days of the month and by dates
        ([rule(month_days=[31], **NIGHT)], "UTC", "2026-12-31T22:00:00Z", "open"),
        ([rule(month_days=[31], **NIGHT)], "UTC", "2027-01-01T05:59:59Z", "open"),
        ([rule(month_days=[1], **NIGHT)], "UTC", "2027-01-01T05:59:59Z", "closed"),
        ([rule(month_days=[28], **NIGHT)], "UTC", "2026-03-01T03:00:00Z", "open"),
        ([rule(month_days=[28], **NIGHT)], "UTC", "2028-03-01T03:00:00Z", "closed"),
        ([rule(month_days=[29], **NIGHT)], "UTC", "2028-03-01T03:00:00Z", "open"),
        (
            [rule(dates={"from": "2026-12-31", "to": "2026-12-31"}, **NIGHT)],
            "UTC",
            "2027-01-01T03:00:00Z",
            "open",
        ),
        (
            [rule(dates={"from": "2027-01-01", "to": "2027-01-01"}, **NIGHT)],
            "UTC",
            "2027-01-01T03:00:00Z",
            "closed",
        ),
        # the first and the last instant of an ordinary day; microseconds count
        ([rule(from_="09:00", to="17:30")], "UTC", "2026-11-24T08:59:59.999999Z", "closed"),
        ([rule(from_="09:00", to="17:30")], "UTC", "2026-11-24T17:29:59.999999Z", "open"),
        # long ago, before the time zones, and far ahead, where the database has rules and no table
        ([rule(from_="09:00", to="17:30")], "Europe/Berlin", "0002-06-01T09:00:00Z", "open"),
        ([rule(from_="09:00", to="17:30")], "Europe/Berlin", "1890-06-01T08:06:32Z", "open"),
        ([rule(from_="09:00", to="17:30")], "Europe/Berlin", "1890-06-01T08:06:31Z", "closed"),
        ([rule(from_="09:00", to="17:30")], "Europe/Berlin", "2500-07-01T06:59:59Z", "closed"),
        ([rule(from_="09:00", to="17:30")], "Europe/Berlin", "2500-07-01T07:00:00Z", "open"),
        ([rule(from_="09:00", to="17:30")], "Europe/Berlin", "9998-12-31T08:00:00Z", "open"),
        # any rule of several is enough; none holds at no time
        ([rule(weekdays=["mon"]), rule(weekdays=["tue"])], "UTC", "2026-11-24T12:00:00Z", "open"),
        ([rule(weekdays=["mon"]), rule(weekdays=["wed"])], "UTC", "2026-11-24T12:00:00Z", "closed"),
        ([], "UTC", "2026-11-24T12:00:00Z", "closed"),
    ],
)
def test_rules_hold_on_the_wall_clock(
    rules: list[dict[str, Any]], zone: str, at: str, expected: str
) -> None:
    assert sound(ask({"rules": rules, "time_zone": zone}, at)) == expected


CHRISTMAS = {"month": 12, "day": 25, "label": "Christmas Day"}
LEAP_DAY = {"month": 2, "day": 29, "label": "Leap Day"}
GOOD_FRIDAY = {"date": "2027-03-26", "label": "Good Friday"}
BAR = rule(weekdays=["thu", "fri", "sat"], **NIGHT)


@pytest.mark.parametrize(
    ("days", "rules", "at", "expected"),
    [
        # every year, from midnight to midnight of the condition's own zone
        ([CHRISTMAS], [ALWAYS], "2026-12-24T23:59:59+01:00", "open"),
        ([CHRISTMAS], [ALWAYS], "2026-12-25T00:00:00+01:00", "holiday"),
        ([CHRISTMAS], [ALWAYS], "2026-12-25T23:59:59+01:00", "holiday"),
        ([CHRISTMAS], [rule(from_="09:00", to="17:00")], "2027-12-25T12:00:00+01:00", "holiday"),
        ([CHRISTMAS], [ALWAYS], "1970-12-25T12:00:00+01:00", "holiday"),
        ([CHRISTMAS], [ALWAYS], "9998-12-25T12:00:00+01:00", "holiday"),
        # in one year alone
        ([GOOD_FRIDAY], [ALWAYS], "2027-03-26T12:00:00+01:00", "holiday"),
        ([GOOD_FRIDAY], [ALWAYS], "2028-03-26T12:00:00+02:00", "open"),
        # 29 February is in leap years; 1900 and 2100 are none
        ([LEAP_DAY], [ALWAYS], "2028-02-29T12:00:00+01:00", "holiday"),
        ([LEAP_DAY], [ALWAYS], "2027-02-28T12:00:00+01:00", "open"),
        ([LEAP_DAY], [ALWAYS], "2027-03-01T12:00:00+01:00", "open"),
        ([LEAP_DAY], [ALWAYS], "2100-03-01T12:00:00+01:00", "open"),
        ([{"date": "2028-02-29"}], [ALWAYS], "2028-02-29T12:00:00+01:00", "holiday"),
        # on a holiday it is a holiday whatever the rules say, also when none would hold
        ([CHRISTMAS], [], "2026-12-25T12:00:00+01:00", "holiday"),
        # a night that began before a holiday ends with it; one that begins on it does not begin
        ([CHRISTMAS], [BAR], "2026-12-24T23:00:00+01:00", "open"),
        ([CHRISTMAS], [BAR], "2026-12-25T03:00:00+01:00", "holiday"),
        ([CHRISTMAS], [BAR], "2026-12-26T03:00:00+01:00", "closed"),
        ([CHRISTMAS], [BAR], "2026-12-26T22:30:00+01:00", "open"),
        # ... but another rule that began today counts
        (
            [CHRISTMAS],
            [BAR, rule(from_="00:00", to="12:00")],
            "2026-12-26T03:00:00+01:00",
            "open",
        ),
        ([], [ALWAYS], "2026-12-25T12:00:00+01:00", "open"),
    ],
)
def test_holidays_come_before_rules(
    days: list[dict[str, Any]], rules: list[dict[str, Any]], at: str, expected: str
) -> None:
    found = ask({"rules": rules, "time_zone": "Europe/Berlin"}, at, days)
    assert sound(found) == expected


@pytest.mark.parametrize(
    ("override", "expected"), [("auto", "holiday"), ("match", "open"), ("otherwise", "closed")]
)
def test_what_is_set_by_hand_comes_before_holidays(override: str, expected: str) -> None:
    found = ask({"override": override, "rules": []}, "2026-12-25T12:00:00Z", [CHRISTMAS])
    assert sound(found) == expected


@pytest.mark.parametrize(
    ("calendar", "expected", "words"),
    [
        ({"enabled": False}, "open", "is disabled"),
        ({"days": []}, "open", "no day of Holidays"),
        ({}, "closed", "Christmas Day of Holidays"),
    ],
)
def test_a_holiday_without_a_destination_is_outside_the_hours(
    calendar: dict[str, Any], expected: str, words: str
) -> None:
    tenants = Tenants()
    tenants.tenant("acme")
    tenants.extension("acme/1001")
    body = {"name": "Holidays", "days": [CHRISTMAS], **calendar}
    tenants.put("calendar", "acme/cal", body)
    condition = {
        "number": "7000",
        "name": "Hours",
        "rules": [ALWAYS],
        "calendar_id": str(identifier("acme/cal")),
        "match_destination": MATCH,
        "otherwise_destination": OTHERWISE,
    }
    tenants.put("time_condition", "acme/7000", condition)
    at = datetime.fromisoformat("2026-12-25T12:00:00-05:00")
    found = explain(
        tenants.snapshot, identifier("acme"), "1001", "7000", "internal", at, random.Random(1)
    )
    assert sound(found) == expected
    assert any(words in str(it["detail"]) for it in found.trace), found.trace


def test_the_trace_names_the_holiday_and_the_calendar() -> None:
    found = ask({"rules": [ALWAYS]}, "2026-12-25T17:00:00Z", [CHRISTMAS])
    assert [it["detail"] for it in found.trace if it["step"] == "calendar"] == [
        "Christmas Day of Holidays at Fri 2026-12-25 12:00:00-05:00 in America/New_York, "
        "the time zone of the tenant"
    ]


@pytest.mark.parametrize(
    ("at", "detail"),
    [
        (
            "2026-10-25T00:30:00Z",
            "rule 1 (sat 22:00-06:00) holds since Sat 2026-10-24 at Sun 2026-10-25 "
            "02:30:00+02:00 in Europe/Berlin, the time zone of Hours",
        ),
        (
            "2026-10-25T01:30:00Z",
            "rule 1 (sat 22:00-06:00) holds since Sat 2026-10-24 at Sun 2026-10-25 "
            "02:30:00+01:00 in Europe/Berlin, the time zone of Hours",
        ),
        (
            "2026-12-24T12:00:00+09:00",
            "rule 2 (on the 1,24 2026-12-01..2026-12-31) holds at Thu 2026-12-24 04:00:00+01:00 "
            "in Europe/Berlin, the time zone of Hours",
        ),
        (
            "2026-11-24T12:00:00Z",
            "no rule holds at Tue 2026-11-24 13:00:00+01:00 in Europe/Berlin, "
            "the time zone of Hours",
        ),
    ],
)
def test_the_trace_tells_the_rule_and_the_time_that_it_was_asked_at(at: str, detail: str) -> None:
    dated = rule(month_days=[1, 24], dates={"from": "2026-12-01", "to": "2026-12-31"})
    condition = {
        "time_zone": "Europe/Berlin",
        "rules": [rule(weekdays=["sat"], **NIGHT), dated],
    }
    found = ask(condition, at)
    (step,) = [it for it in found.trace if it["step"] == "time"]
    assert step["detail"] == detail
    assert step["resource"] == {"type": "time_condition", "id": to("x", "acme/7000")["id"]}


@pytest.mark.parametrize("at", ["0001-12-31T23:59:59Z", "9999-01-01T00:00:00Z"])
def test_instants_at_the_ends_of_time_are_refused_with_words(at: str) -> None:
    with pytest.raises(ValidationFailed, match="/at is out of range"):
        ask({"rules": [ALWAYS]}, at)
