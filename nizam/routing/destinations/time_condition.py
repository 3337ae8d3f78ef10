"""To a time condition: one way in its hours, another outside them."""

from __future__ import annotations

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
    if is_matched(routing, entry):
        return routing.follow_configured(entry.body.match_destination)
    return routing.follow_configured(entry.body.otherwise_destination)


def is_matched(routing: Routing, entry: Entry[TimeCondition]) -> bool:
    """Whether the condition matches now; the trace says by which rule, at which local time."""
    condition = entry.body
    if condition.override != "auto":
        detail = f"set by hand to {condition.override}"
        routing.note(
            "time", "matched" if condition.override == "match" else "passed", detail, entry
        )
        return condition.override == "match"
    zone = condition.time_zone or routing.tenant.time_zone
    local = local_time(routing.now, zone)
    position = matching_rule(condition.rules, local)
    when = f"{local:%a %Y-%m-%d %H:%M} in {zone}"
    if position is None:
        routing.note("time", "passed", f"no rule holds at {when}", entry)
        return False
    routing.note("time", "matched", f"rule {position + 1} holds at {when}", entry)
    return True
