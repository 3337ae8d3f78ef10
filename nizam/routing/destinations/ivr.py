"""To an IVR. FreeSWITCH fetches the menu itself; what a caller chose comes back as a token."""

from __future__ import annotations

from nizam.model.destination import Destination
from nizam.model.ivr import Ivr
from nizam.routing.context import Routing, destination_to
from nizam.routing.plan import Answer, Hangup, Plan, RunIvr, Sleep
from nizam.routing.tokens import IvrChoice, menu_name


def plan(routing: Routing, destination: Destination) -> Plan:
    """Answer and run the menu; whoever leaves it without a choice is hung up."""
    entry = routing.object(Ivr, destination.id)
    if entry is None:
        return routing.unreachable()
    routing.enter(entry, f"ivr {entry.body.number}")
    return (Answer(), Sleep(500), RunIvr(menu_name(entry.id)), Hangup("NORMAL_CLEARING"))


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
        return routing.unreachable()
    routing.note("ivr", "matched", f"the caller chose {words}", entry)
    return routing.follow_configured(destination)


def _destination(routing: Routing, ivr: Ivr, token: IvrChoice) -> Destination | None:
    if token.kind == "timeout":
        return ivr.timeout_destination
    if token.kind == "invalid":
        return ivr.invalid_destination
    if token.kind == "direct":
        # Only extensions: a caller from outside must not reach anything else by its number.
        found = routing.view.by_number(token.digits) if ivr.direct_dial else None
        if found is None or found.resource != "extension":
            return None
        return destination_to("extension", found.id)
    return next((it.destination for it in ivr.entries if it.digits == token.digits), None)
