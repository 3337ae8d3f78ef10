"""A sound, and then whatever follows it; at once where a prompt cannot be played."""

from __future__ import annotations

from nizam.model.audio import PromptSound
from nizam.model.destination import Destination
from nizam.routing.context import Routing
from nizam.routing.plan import Answer, Hangup, Plan, Playback, Sleep


def plan(routing: Routing, destination: Destination) -> Plan:
    """Answer, play to the end, go on."""
    sound = _sound(routing, destination)
    if sound is None:
        return (
            routing.unreachable() if destination.then is None else routing.follow(destination.then)
        )
    routing.note("play", "chosen", f"plays {sound}")
    routing.route.append("play")
    steps: Plan = (Answer(), Sleep(500), Playback(sound))
    if destination.then is None:
        return (*steps, Hangup("NORMAL_CLEARING"))
    return (*steps, *routing.follow(destination.then))


def _sound(routing: Routing, destination: Destination) -> str | None:
    if destination.prompt_id is not None:
        return routing.sound(PromptSound(prompt_id=destination.prompt_id))
    return destination.sound
