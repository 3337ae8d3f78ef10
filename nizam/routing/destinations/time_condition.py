"""To a time condition: one way in its hours, another outside them."""

from __future__ import annotations

from datetime import date

from nizam.model.calendar import Calendar
from nizam.model.destination import Destination
from nizam.model.time_condition import TimeCondition
from nizam.routing.context import Routing
from nizam.routing.plan import Plan
from nizam.routing.snapshot import Entry
from nizam.routing.time import local_time, matching_rule


def plan(routing: Routing, destination: Destination) -> Plan:
    """Follow the destination that the present moment calls for."""
    entry = routing.object(TimeCondition, destination.id)
    if entry is None:
        return routing.unreachable()
    routing.enter(entry, f"time condition {entry.body.number or entry.id}")
    holidays = entry.body.holidays_destination
    if holidays is not None and entry.body.override == "auto" and _holiday(routing, entry):
        return routing.follow_configured(holidays)
    if is_matched(routing, entry):
        return routing.follow_configured(entry.body.match_destination)
    return routing.follow_configured(entry.body.otherwise_destination)


def is_holiday(calendar: Calendar, day: date) -> bool:
    """Whether the day is in the calendar."""
    return any(it.falls_on(day) for it in calendar.days)


def _holiday(routing: Routing, entry: Entry[TimeCondition]) -> bool:
    """Whether it is a holiday now; a calendar that is disabled has none."""
    condition = entry.body
    if condition.calendar_id is None:
        return False
    calendar = routing.object(Calendar, condition.calendar_id)
    if calendar is None:
        return False
    day = local_time(routing.now, condition.time_zone or routing.tenant.time_zone).date()
    if not is_holiday(calendar.body, day):
        return False
    routing.note("time", "matched", f"{day} is a holiday of {calendar.body.name}", calendar)
    return True


def is_matched(routing: Routing, entry: Entry[TimeCondition]) -> bool:
    """Whether the condition matches now; the trace says by which rule, at which local time."""
    condition = entry.body
    if condition.override != "auto":
        detail = f"set by hand to {condition.override}"
        routing.note(
            "time", "matched" if condition.override == "match" else "passed", detail, entry
        )
        return condition.override == "match"
    if _holiday(routing, entry):
        return False
    zone = condition.time_zone or routing.tenant.time_zone
    local = local_time(routing.now, zone)
    position = matching_rule(condition.rules, local)
    when = f"{local:%a %Y-%m-%d %H:%M} in {zone}"
    if position is None:
        routing.note("time", "passed", f"no rule holds at {when}", entry)
        return False
    routing.note("time", "matched", f"rule {position + 1} holds at {when}", entry)
    return True
