"""To a time condition: one way in its hours, another outside them."""

from __future__ import annotations

from nizam.model.destination import Destination
from nizam.model.time_condition import TimeCondition
from nizam.routing.context import Routing
from nizam.routing.hours import verdict
from nizam.routing.plan import Plan


def plan(routing: Routing, destination: Destination) -> Plan:
    """Follow the destination that the present moment calls for."""
    entry = routing.object(TimeCondition, destination.id)
    if entry is None:
        return routing.unreachable()
    condition = entry.body
    routing.enter(entry, f"time condition {condition.number or entry.id}")
    found = verdict(routing, entry)
    if found == "match":
        return routing.follow_configured(condition.match_destination)
    if found == "holiday" and condition.holidays_destination is not None:
        return routing.follow_configured(condition.holidays_destination)
    return routing.follow_configured(condition.otherwise_destination)
