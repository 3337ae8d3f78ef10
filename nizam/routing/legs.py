"""A number as one leg among others: of a ring group, or of somebody's follow-me list."""

from __future__ import annotations

import attrs

from nizam.routing.context import Routing
from nizam.routing.limits import is_taken
from nizam.routing.outbound import WayOut, carrier_leg, find_way
from nizam.routing.phones import phone_leg
from nizam.routing.plan import Leg


def leg_to(
    routing: Routing,
    number: str,
    *,
    timeout_seconds: int | None = None,
    delay_seconds: int = 0,
    confirm: bool = False,
) -> Leg | None:
    """The phone that `number` rings, inside or outside; None, with a trace, if it rings none."""
    found = routing.view.by_number(number)
    if found is not None and found.resource == "extension" and found.body.enabled:
        if is_taken(routing, found):
            return None
        routing.note("member", "matched", f"rings {number}", found)
        return phone_leg(
            routing,
            found,
            timeout_seconds=timeout_seconds,
            delay_seconds=delay_seconds,
            confirm=confirm,
        )
    way = find_way(routing, number)
    if not isinstance(way, WayOut):
        routing.note("member", "failed", f"{number} cannot be rung")
        return None
    return attrs.evolve(
        carrier_leg(routing, way.shown, way.carriers[0]),
        timeout_seconds=timeout_seconds,
        delay_seconds=delay_seconds,
        confirm=confirm,
    )
