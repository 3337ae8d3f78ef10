"""When a time condition matches: on the wall clock of its own zone, over midnight and DST."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from nizam.model.time_condition import Rule

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@lru_cache(maxsize=1000)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def local_time(now: datetime, zone: str) -> datetime:
    """`now` (aware) as the clocks in the IANA time zone `zone` show it."""
    return now.astimezone(_zone(zone))


def matching_rule(rules: Iterable[Rule], local: datetime) -> int | None:
    """The position of the first rule that holds at `local`, a time of `local_time`; or None."""
    for position, rule in enumerate(rules):
        if holds(rule, local):
            return position
    return None


def holds(rule: Rule, local: datetime) -> bool:
    """Whether everything that the rule names holds.

    `from` is inside, `to` outside. A rule over midnight belongs to the day on which it begins:
    Friday 22:00-06:00 holds on Saturday at three.
    """
    if rule.from_ is None or rule.to is None:
        return _day_holds(rule, local)
    clock = local.time().replace(tzinfo=None, fold=0)
    start, end = time.fromisoformat(rule.from_), time.fromisoformat(rule.to)
    if start < end:
        return start <= clock < end and _day_holds(rule, local)
    if clock >= start:
        return _day_holds(rule, local)
    return clock < end and _day_holds(rule, local - timedelta(days=1))


def _day_holds(rule: Rule, day: datetime) -> bool:
    if rule.weekdays and _WEEKDAYS[day.weekday()] not in rule.weekdays:
        return False
    if rule.dates is not None and not rule.dates.from_ <= day.date() <= rule.dates.to:
        return False
    return not rule.month_days or day.day in rule.month_days
