"""To a ring group: its members together or in turn, then its fallback."""

from __future__ import annotations

from nizam.model.destination import Destination
from nizam.model.extension import Extension
from nizam.model.ring_group import Member, RingGroup
from nizam.routing.context import CONFIGURED, Routing
from nizam.routing.legs import leg_to
from nizam.routing.limits import is_taken
from nizam.routing.phones import is_busy, phone_leg
from nizam.routing.plan import Bridge, Hangup, Leg, Plan, Ringback, RingReady, Set, Step
from nizam.routing.rows import Entry


def plan(routing: Routing, destination: Destination) -> Plan:
    """Ring the members in the group's order.

    `round_robin` starts at a member chosen at random and keeps the order from there, which loads
    all alike without a counter that every node would have to share.
    """
    entry = routing.object(RingGroup, destination.id)
    if entry is None:
        return routing.unreachable()
    group = entry.body
    routing.enter(entry, f"ring group {group.number}")
    fallback = None if routing.comes_back else group.fallback
    steps: list[Step] = []
    if group.caller_name_prefix:
        routing.caller_name = f"{group.caller_name_prefix.strip()} {routing.caller_name}".strip()
        steps.append(Set("effective_caller_id_name", routing.caller_name))
    together = group.strategy == "simultaneous"
    legs = _legs(routing, entry, together)
    if legs:
        # Without ignore_early_media a member's announcement would win over a person, and with it
        # the caller is told of no ringing unless we do.
        ringback = None if group.ringback is None else routing.sound(group.ringback)
        steps.append(RingReady() if ringback is None else Ringback(ringback))
        steps.append(
            Bridge(
                tuple(legs),
                order="together" if together else "in_turn",
                ring_seconds=group.ring_seconds if together else None,
                continue_on="never" if fallback is None else "always",
                ignore_early_media=True,
            )
        )
    else:
        routing.note("ring_group", "failed", "no member can be rung", entry)
    if fallback is not None:
        routing.note("fallback", "passed", "if nobody answers", entry)
        with routing.otherwise():
            steps.extend(routing.follow_configured(fallback))
    elif not legs and routing.comes_back:
        steps.extend(routing.unreachable())
    elif not legs:
        steps.append(Hangup("NO_ROUTE_DESTINATION"))
    return tuple(steps)


def _legs(routing: Routing, entry: Entry[RingGroup], together: bool) -> list[Leg]:
    group = entry.body
    members = list(group.members)
    if group.strategy == "random":
        routing.random.shuffle(members)
    elif group.strategy == "round_robin":
        first = int(routing.random.random() * len(members))
        members = members[first:] + members[:first]
    legs: list[Leg] = []
    for member in members:
        timeout = member.timeout_seconds or group.ring_seconds
        if together:
            timeout = min(timeout, group.ring_seconds)
        leg = _leg(routing, entry, member, timeout)
        if leg is not None:
            legs.append(leg)
    return legs


def _leg(routing: Routing, entry: Entry[RingGroup], member: Member, timeout: int) -> Leg | None:
    group = entry.body
    if member.number is not None:
        with routing.acting_as(CONFIGURED):
            return leg_to(
                routing,
                member.number,
                timeout_seconds=timeout,
                delay_seconds=member.delay_seconds,
                confirm=member.confirm,
            )
    extension = routing.object(Extension, member.extension_id)
    if extension is None:
        return None
    if extension.body.do_not_disturb:
        routing.note("member", "passed", f"{extension.body.number} takes no calls", extension)
        return None
    if (group.skip_busy or group.strategy == "rollover") and is_busy(routing, extension):
        routing.note("member", "passed", f"{extension.body.number} is in a call", extension)
        return None
    if is_taken(routing, extension):
        return None
    routing.note("member", "matched", f"rings {extension.body.number}", extension)
    return phone_leg(
        routing,
        extension,
        timeout_seconds=timeout,
        delay_seconds=member.delay_seconds,
        confirm=member.confirm,
    )
