"""To an IVR. FreeSWITCH fetches the menu itself; what a caller chose comes back as a token."""

from __future__ import annotations

import re

from nizam.model.audio import PromptSound
from nizam.model.destination import Destination
from nizam.model.ivr import Ivr, digits_expression
from nizam.routing.context import Routing, destination_to
from nizam.routing.plan import Answer, Hangup, Plan, Playback, RunIvr, Set, Sleep, Step
from nizam.routing.rows import Entry
from nizam.routing.tokens import IvrChoice, menu_name

IVR_MISSES = "nizam_ivr_misses"
"""The channel variable with how often a caller has dialled what is no extension."""


def plan(routing: Routing, destination: Destination) -> Plan:
    """Answer and run the menu; whoever leaves it without a choice is hung up."""
    entry = routing.object(Ivr, destination.id)
    if entry is None:
        return routing.unreachable()
    routing.enter(entry, f"ivr {entry.body.number}")
    for sound in (entry.body.greeting_long, entry.body.greeting_short):
        if isinstance(sound, PromptSound):
            # FreeSWITCH fetches it with the menu; here it is for the trace.
            routing.sound(sound)
    return (*_misses(routing, 0), Answer(), Sleep(500), *_run(entry))


def _run(entry: Entry[Ivr]) -> Plan:
    return (RunIvr(menu_name(entry.id)), Hangup("NORMAL_CLEARING"))


def _misses(routing: Routing, count: int) -> Plan:
    return () if count == routing.request.ivr_misses else (Set(IVR_MISSES, str(count)),)


def chosen(routing: Routing, token: IvrChoice) -> Plan:
    """What follows a choice in the menu; it must still be in the menu."""
    entry = routing.object(Ivr, token.ivr_id)
    if entry is None:
        return routing.unreachable()
    words = f"{token.kind} {token.digits}".strip()
    routing.route.append(f"ivr {entry.body.number} {words}")
    destination = _destination(routing, entry.body, token)
    if destination is None:
        routing.note("ivr", "failed", f"the menu has nothing for {words}", entry)
        return _missed(routing, entry) if token.kind == "direct" else routing.unreachable()
    routing.note("ivr", "matched", f"the caller chose {words}", entry)
    return routing.follow_configured(destination)


def _missed(routing: Routing, entry: Entry[Ivr]) -> Plan:
    """What follows a number that is no extension's.

    FreeSWITCH took it for a valid choice, so that we must do what it does after an invalid one.
    """
    ivr, misses = entry.body, routing.request.ivr_misses + 1
    if misses < ivr.max_failures:
        routing.note("ivr", "chosen", f"asks again, after failure {misses}", entry)
        steps: list[Step] = list(_misses(routing, misses))
        sound = None if ivr.invalid_sound is None else routing.sound(ivr.invalid_sound)
        if sound is not None:
            steps.append(Playback(sound))
        return (*steps, *_run(entry))
    if ivr.invalid_destination is None:
        return routing.unreachable()
    return (*_misses(routing, 0), *routing.follow_configured(ivr.invalid_destination))


def _destination(routing: Routing, ivr: Ivr, token: IvrChoice) -> Destination | None:
    if token.kind == "timeout":
        return ivr.timeout_destination
    if token.kind == "invalid":
        return ivr.invalid_destination
    # Which of several patterns that fit the switch has taken does not matter.
    found = _entry(ivr, token.digits)
    if found is not None or not ivr.direct_dial:
        return found
    # Only extensions: a caller from outside must not reach anything else by its number.
    extension = routing.view.by_number(token.digits)
    if extension is None or extension.resource != "extension":
        return None
    return destination_to("extension", extension.id)


def _entry(ivr: Ivr, digits: str) -> Destination | None:
    """Where digits lead: as they are, or by the first pattern that they fit."""
    for it in ivr.entries:
        if it.digits == digits:
            return it.destination
    for it in ivr.entries:
        expression = digits_expression(it.digits)
        if expression is not None and re.fullmatch(expression, digits):
            return it.destination
    return None
