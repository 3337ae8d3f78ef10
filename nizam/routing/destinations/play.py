"""A sound, and then whatever follows it."""

from __future__ import annotations

from nizam.model.destination import Destination
from nizam.routing.context import Routing
from nizam.routing.plan import Answer, Hangup, Plan, Playback, Sleep


def plan(routing: Routing, destination: Destination) -> Plan:
    """Answer, play to the end, go on."""
    sound = destination.sound or ""
    routing.note("play", "chosen", f"plays {sound}")
    routing.route.append("play")
    steps: Plan = (Answer(), Sleep(500), Playback(sound))
    if destination.then is None:
        return (*steps, Hangup("NORMAL_CLEARING"))
    return (*steps, *routing.follow(destination.then))
