"""What the clock and the calendar say for a call, with a line in its trace for each answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import attrs

from nizam.model.calendar import Calendar, CalendarDay
from nizam.model.did import Did
from nizam.model.extension import Extension
from nizam.model.time_condition import Rule, TimeCondition
from nizam.routing.context import Routing
from nizam.routing.rows import Entry
from nizam.routing.time import local_time, matching_rule, words_of

Verdict = Literal["match", "otherwise", "holiday"]

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@attrs.frozen
class Clock:
    """What the clocks of the time zone that counts show, and how that zone came to count."""

    local: datetime
    zone: str
    whose: str

    def __str__(self) -> str:
        # With the offset: in autumn an hour comes twice.
        day, shown = _WEEKDAYS[self.local.weekday()], self.local.isoformat(" ", "seconds")
        return f"{day} {shown} in {self.zone}, the time zone of {self.whose}"


def clock(routing: Routing, own: str | None, whose: str) -> Clock:
    """The clock that counts for what has the time zone `own` and is called `whose`.

    Without a zone of its own it is the zone of the DID that the call came in by, then that of
    the extension that makes the call, then the tenant's.
    """
    if own is None:
        own, whose = _zone_of_call(routing)
    return Clock(local_time(routing.now, own), own, whose)


def verdict(routing: Routing, entry: Entry[TimeCondition]) -> Verdict:
    """What a time condition says now: one way by hand, a holiday, or what its rules say."""
    condition = entry.body
    if condition.override != "auto":
        matched = condition.override == "match"
        detail = f"{condition.name} is set by hand to {condition.override}"
        routing.note("time", "matched" if matched else "passed", detail, entry)
        return condition.override
    its = clock(routing, condition.time_zone, condition.name)
    calendar = None
    if condition.calendar_id is not None:
        # A calendar that is disabled has no holidays.
        calendar = routing.object(Calendar, condition.calendar_id)
        if calendar is not None and is_holiday(routing, calendar, its):
            return "holiday"
    holds = rule_holds(routing, condition.rules, its, entry, calendar)
    return "match" if holds else "otherwise"


def is_matched(routing: Routing, entry: Entry[TimeCondition]) -> bool:
    """Whether the condition matches now; on a holiday it does not."""
    return verdict(routing, entry) == "match"


def is_holiday(routing: Routing, calendar: Entry[Calendar], its: Clock) -> bool:
    """Whether the clock shows a day of the calendar."""
    day = calendar.body.on(its.local.date())
    if day is None:
        detail = f"no day of {calendar.body.name} at {its}"
        routing.note("calendar", "passed", detail, calendar)
        return False
    detail = f"{_named(day)} of {calendar.body.name} at {its}"
    routing.note("calendar", "matched", detail, calendar)
    return True


def rule_holds(
    routing: Routing,
    rules: tuple[Rule, ...],
    its: Clock,
    whose: Entry[Any] | None = None,
    calendar: Entry[Calendar] | None = None,
) -> bool:
    """Whether one of the rules holds; none counts that began on a day of the calendar."""
    found = matching_rule(
        rules, its.local, lambda day: calendar is None or calendar.body.on(day) is None
    )
    if found is None:
        routing.note("time", "passed", f"no rule holds at {its}", whose)
        return False
    position, day = found
    since = "" if day == its.local.date() else f" since {_WEEKDAYS[day.weekday()]} {day}"
    detail = f"rule {position + 1} ({words_of(rules[position])}) holds{since} at {its}"
    routing.note("time", "matched", detail, whose)
    return True


def came_in_by(routing: Routing, did_id: UUID | str | None) -> None:
    """Let the time zone of this DID of the tenant count, if it is one and has a zone."""
    try:
        found = None if did_id is None else routing.view.get(Did, UUID(str(did_id)))
    except ValueError:
        return
    if found is not None and found.body.time_zone is not None:
        routing.zone_did = found


def _zone_of_call(routing: Routing) -> tuple[str, str]:
    if routing.zone_did is not None and routing.zone_did.body.time_zone is not None:
        did = routing.zone_did.body
        return routing.zone_did.body.time_zone, f"did {did.number}"
    caller: Entry[Extension] | None = routing.caller
    if caller is not None and caller.body.time_zone is not None:
        return caller.body.time_zone, f"extension {caller.body.number}"
    return routing.tenant.time_zone, "the tenant"


def _named(day: CalendarDay) -> str:
    return day.label or (str(day.date) if day.date else f"{day.month:02}-{day.day:02} of any year")
