"""When a rule holds: on the wall clock of a time zone, over midnight and daylight saving."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from nizam.model.time_condition import Rule

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = timedelta(days=1)


@lru_cache(maxsize=1000)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def local_time(now: datetime, zone: str) -> datetime:
    """`now` (aware) as the clocks in the IANA time zone `zone` show it."""
    return now.astimezone(_zone(zone))


def day_of(now: datetime, zone: str) -> str:
    """The day that `now` (aware) is on in the time zone, such as 2026-11-24."""
    return local_time(now, zone).date().isoformat()


def matching_rule(
    rules: Iterable[Rule],
    local: datetime,
    counts: Callable[[date], bool] = lambda day: True,
) -> tuple[int, date] | None:
    """The position of the first rule that holds at `local`, a time of `local_time`, and the day
    on which it began; None if there is none. Rules of days that do not count are passed over."""
    for position, rule in enumerate(rules):
        day = begun(rule, local)
        if day is not None and counts(day):
            return position, day
    return None


def begun(rule: Rule, local: datetime) -> date | None:
    """The day on which the rule that holds at `local` began; None if it does not hold.

    `from` is inside, `to` outside. A rule over midnight belongs to the day on which it begins:
    Friday 22:00-06:00 holds on Saturday at three, and so do its dates and days of the month. Only
    what the clock shows counts: of an hour that comes twice in autumn both are meant, and in one
    that is left out in spring nothing begins or ends.
    """
    today = local.date()
    if rule.from_ is None or rule.to is None:
        return today if _day_holds(rule, today) else None
    clock = local.time()
    start, end = time.fromisoformat(rule.from_), time.fromisoformat(rule.to)
    if start < end:
        return today if start <= clock < end and _day_holds(rule, today) else None
    if clock >= start:
        return today if _day_holds(rule, today) else None
    return today - _DAY if clock < end and _day_holds(rule, today - _DAY) else None


def words_of(rule: Rule) -> str:
    """The rule as people write one: `mon,tue 09:00-17:30`."""
    parts = [",".join(rule.weekdays)]
    if rule.month_days:
        parts.append("on the " + ",".join(map(str, rule.month_days)))
    if rule.dates is not None:
        parts.append(f"{rule.dates.from_}..{rule.dates.to}")
    if rule.from_ is not None:
        parts.append(f"{rule.from_}-{rule.to}")
    return " ".join(filter(None, parts))


def _day_holds(rule: Rule, day: date) -> bool:
    if rule.weekdays and _WEEKDAYS[day.weekday()] not in rule.weekdays:
        return False
    if rule.dates is not None and not rule.dates.from_ <= day <= rule.dates.to:
        return False
    return not rule.month_days or day.day in rule.month_days
