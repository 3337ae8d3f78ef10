"""Feature codes that speak through other phones' loudspeakers."""

from __future__ import annotations

import attrs

from nizam.model.extension import Extension
from nizam.model.feature_code import FeatureCode
from nizam.routing.context import Routing
from nizam.routing.features.results import failed
from nizam.routing.phones import is_busy, leg_of_each_phone, phone_leg
from nizam.routing.plan import Answer, Bridge, Page, Plan, UserLeg
from nizam.routing.rows import Entry
from nizam.routing.tokens import page_name

INTERCOM_SECONDS = 15
"""How long a phone rings that does not answer by itself."""


def intercom(routing: Routing, entry: Entry[FeatureCode], argument: str) -> Plan:
    """Speak with the extension `argument`, whose phone answers by itself."""
    if routing.caller is None:
        return failed(routing, "only an extension can use the intercom")
    found = routing.view.by_number(argument)
    if found is None or found.resource != "extension":
        return failed(routing, f"{argument or 'nothing'} is no extension", outcome="unreachable")
    if not _can_answer(routing, found):
        return failed(routing, f"{argument} cannot answer by itself now", outcome="unreachable")
    routing.enter(found, f"intercom {argument}")
    leg = phone_leg(routing, found, auto_answer=True)
    return (Bridge((leg,), ring_seconds=INTERCOM_SECONDS),)


def page(routing: Routing, entry: Entry[FeatureCode], argument: str) -> Plan:
    """Speak to the members of the code, as far as they are neither in a call nor undisturbed."""
    caller = routing.caller
    if caller is None:
        return failed(routing, "only an extension can page")
    legs: list[UserLeg] = []
    for member in entry.body.members:
        found = routing.object(Extension, member.extension_id)
        if found is not None and found.id != caller.id and _can_answer(routing, found):
            routing.note("member", "matched", f"speaks at {found.body.number}", found)
            leg = phone_leg(routing, found, auto_answer=True)
            leg = attrs.evolve(leg, call_id=routing.request.known_id or None)
            legs.extend(leg_of_each_phone(leg, routing, found))
    if not legs:
        return failed(routing, "nobody can be paged now", outcome="unreachable")
    room = f"page-{routing.request.unique_id}"
    own = caller.body
    shown = own.caller_id.internal_name or own.display_name
    number = own.caller_id.internal_number or own.number
    return (Answer(), Page(room, page_name(routing.view.id), tuple(legs), shown, number))


def _can_answer(routing: Routing, entry: Entry[Extension]) -> bool:
    number = entry.body.number
    if not entry.body.enabled:
        why = "is disabled"
    elif entry.body.do_not_disturb:
        why = "takes no calls"
    elif is_busy(routing, entry):
        why = "is in a call"
    else:
        return True
    routing.note("member", "passed", f"{number} {why}", entry)
    return False
