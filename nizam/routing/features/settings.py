"""Feature codes that change settings: do not disturb, forwards, night mode.

What they change is changed through the API's own service code before the phone is answered, so
that what the phone hears is so.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from nizam.model.base import Body
from nizam.model.extension import Extension, Forward
from nizam.model.feature_code import FeatureCode
from nizam.model.registry import resource
from nizam.model.time_condition import TimeCondition
from nizam.routing.context import Routing
from nizam.routing.facts import Command
from nizam.routing.features.results import failed, told
from nizam.routing.outbound import WayOut, find_way
from nizam.routing.plan import Plan
from nizam.routing.rows import Entry

_NOT_DONE = "the change could not be made"


def _phone(routing: Routing) -> Entry[Extension] | None:
    """The extension that has dialled the code itself; None, with a line in the trace.

    Who is transferred to a code, or comes to it by another way than dialling, has not asked for
    the change: a later question of a call carries its id.
    """
    if routing.caller is None:
        routing.note("feature_code", "denied", "only an extension can change settings")
        return None
    if routing.request.call_id is not None:
        routing.note("feature_code", "denied", "settings change only for who dials the code")
        return None
    return routing.caller


def do_not_disturb(routing: Routing, entry: Entry[FeatureCode], argument: str) -> Plan:
    """Switch it on or off, whichever it is not."""
    own = _phone(routing)
    if own is None:
        return failed(routing, "nothing is changed")
    wanted = not own.body.do_not_disturb
    changes = routing.change(Command("extension", own.id, {"do_not_disturb": wanted}))
    if changes is None:
        return failed(routing, _NOT_DONE, outcome="unreachable")
    on = bool(changes["do_not_disturb"])
    words = f"do not disturb of {own.body.number} is {'on' if on else 'off'} now"
    routing.note("feature_code", "chosen", words, own)
    return told(routing, "do not disturb", "on" if on else "off")


def _forward(why: str, routing: Routing, entry: Entry[FeatureCode], argument: str) -> Plan:
    """Forward to the number; without one, forward no more."""
    own = _phone(routing)
    if own is None:
        return failed(routing, "nothing is changed")
    destination = _destination(routing, own, argument) if argument else None
    if argument and destination is None:
        return failed(routing, f"{own.body.number} cannot forward to {argument}")
    command = Command("extension", own.id, {"forward": {why: destination}})
    changes = routing.change(command)
    if changes is None:
        return failed(routing, _NOT_DONE, outcome="unreachable")
    set_to = changes["forward"][why]
    words = why.replace("_", " ")
    routing.note("feature_code", "chosen", f"forward {words}: {_words(set_to, argument)}", own)
    return told(routing, f"forward {words}", "off" if set_to is None else "on")


def _words(destination: Any, argument: str) -> str:
    return "off" if destination is None else f"to {destination.get('number') or argument}"


def forward_off(routing: Routing, entry: Entry[FeatureCode], argument: str) -> Plan:
    """Forward in no case any more."""
    own = _phone(routing)
    if own is None:
        return failed(routing, "nothing is changed")
    none = dict.fromkeys(Forward.model_fields)
    if routing.change(Command("extension", own.id, {"forward": none})) is None:
        return failed(routing, _NOT_DONE, outcome="unreachable")
    routing.note("feature_code", "chosen", f"{own.body.number} forwards no more", own)
    return told(routing, "forward", "off")


def _destination(routing: Routing, own: Entry[Extension], number: str) -> dict[str, str] | None:
    """Where a forward to this number goes; None if its owner could not dial it."""
    found: Entry[Body] | None = routing.view.by_number(number)
    kind = None if found is None else resource(found.resource).destination_type
    if found is not None and kind is not None:
        if found.id == own.id:
            routing.note("forward", "denied", "an extension cannot forward to itself", own)
            return None
        if not found.body.enabled:
            routing.note("forward", "denied", f"{number} is disabled", found)
            return None
        return {"type": kind, "id": str(found.id)}
    if found is not None:
        routing.note("forward", "denied", f"nothing forwards to a {found.resource}", found)
        return None
    if not isinstance(find_way(routing, number, counted=False), WayOut):
        return None
    return {"type": "external", "number": number}


forward_always = partial(_forward, "always")
forward_busy = partial(_forward, "busy")
forward_no_answer = partial(_forward, "no_answer")


def night_mode(routing: Routing, entry: Entry[FeatureCode], argument: str) -> Plan:
    """Send the calls of a time condition the other way by hand, or by its rules again.

    Any extension of the tenant may: it is the switch on the wall of the office.
    """
    if _phone(routing) is None:
        return failed(routing, "nothing is changed")
    condition = routing.object(TimeCondition, entry.body.time_condition_id)
    if condition is None:
        return failed(routing, "there is no time condition to switch", outcome="unreachable")
    wanted = "auto" if condition.body.override == "otherwise" else "otherwise"
    changes = routing.change(Command("time_condition", condition.id, {"override": wanted}))
    if changes is None:
        return failed(routing, _NOT_DONE, outcome="unreachable")
    night = changes["override"] == "otherwise"
    words = f"{condition.body.name} is {'closed by hand' if night else 'as its rules say'} now"
    routing.note("feature_code", "chosen", words, condition)
    return told(routing, "night mode", "on" if night else "off")
