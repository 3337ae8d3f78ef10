"""Calls for help: before everything else, blocked by nothing."""

from __future__ import annotations

import attrs

from nizam.model.did import Did
from nizam.model.emergency_plan import EmergencyPlan
from nizam.model.gateway import Gateway
from nizam.routing import numbers
from nizam.routing.caller_id import Shown, caller_for, first_own, is_own
from nizam.routing.context import Routing
from nizam.routing.facts import Notice
from nizam.routing.outbound import PROGRESS_SECONDS, codecs, reachable_first
from nizam.routing.plan import Bridge, GatewayLeg, Location, Plan
from nizam.routing.rows import Entry

EMERGENCY_DIALLED = "emergency.dialled"


def emergency(routing: Routing, dialled: str) -> Plan | None:
    """The plan of a call to a number for help; None if it is none, or nothing carries it.

    That is a number of one of the tenant's emergency plans, and one of its country that nothing
    of the tenant has. After the gateways of the plan all others of the tenant are tried. Every
    failure leads to the next one: whom a busy line answers nobody has helped.
    """
    entry = _plan(routing, dialled)
    if entry is None and not _is_of_country(routing, dialled):
        return None
    if routing.tenant.status == "terminated":
        return None
    plan = None if entry is None else entry.body
    gateways = _gateways(routing, plan)
    if not gateways:
        routing.note("emergency", "failed", "the tenant has no gateway in use", entry)
        return None
    if entry is None:
        routing.route.append("emergency")
    else:
        routing.enter(entry, f"emergency plan {entry.body.name}")
    number = (plan.dial if plan else None) or dialled
    shown = _shown(routing, plan)
    location = _location(routing, plan)
    steps: list[Bridge] = []
    for position, gateway in enumerate(gateways):
        is_last = position == len(gateways) - 1
        leg = GatewayLeg(
            str(gateway.id),
            number,
            progress_timeout_seconds=None if is_last else PROGRESS_SECONDS,
            caller=caller_for(routing, shown, gateway),
            codecs=codecs(routing, gateway),
        )
        if location and plan is not None and plan.location_header:
            leg = attrs.evolve(leg, location=Location(plan.location_header, location))
        steps.append(Bridge((leg,), continue_on="never" if is_last else "always"))
    routing.notices.append(_notice(routing, dialled, entry, shown.number, location))
    return tuple(steps)


def _plan(routing: Routing, dialled: str) -> Entry[EmergencyPlan] | None:
    entry = routing.view.by_number(dialled)
    if entry is None or not isinstance(entry.body, EmergencyPlan):
        return None
    if not entry.body.enabled:
        routing.note("emergency", "passed", f"the plan {entry.body.name} is disabled", entry)
        return None
    routing.note("emergency", "matched", f"{dialled} is an emergency number", entry)
    return entry


def _is_of_country(routing: Routing, dialled: str) -> bool:
    country = routing.tenant.country
    if not numbers.is_emergency(dialled, country):
        return False
    entry = routing.view.by_number(dialled)
    if entry is not None and entry.resource != "emergency_plan":
        return False
    routing.note("emergency", "matched", f"{dialled} calls for help in {country}; no plan has it")
    return True


def _gateways(routing: Routing, plan: EmergencyPlan | None) -> list[Entry[Gateway]]:
    """Those of the plan in its order, then the others; in both, those that are down come last."""
    ordered = sorted(plan.gateways, key=lambda it: it.order) if plan else []
    own = [it for it in (routing.object(Gateway, it.gateway_id) for it in ordered) if it]
    known = {it.id for it in own}
    others = sorted(
        (it for it in routing.view.all(Gateway) if it.body.enabled and it.id not in known),
        key=lambda it: it.body.name,
    )
    found = [*reachable_first(routing, own), *reachable_first(routing, others)]
    if others:
        names = ", ".join(it.body.name for it in others)
        routing.note("emergency", "passed", f"if those fail, then by {names}")
    return found


def _shown(routing: Routing, plan: EmergencyPlan | None) -> Shown:
    """The number that is shown; it is never withheld. One that was configured for emergencies is
    shown even if it is no number of the tenant: it says where the caller is."""
    extension = routing.rights.extension
    own = None if extension is None else extension.body.caller_id
    number = (own.emergency_number if own else None) or (plan.caller_id_number if plan else None)
    if number:
        routing.note("caller_id", "chosen", f"shows {number}")
        if not is_own(routing, number):
            routing.note("caller_id", "failed", f"{number} is no number of the tenant")
    else:
        allowed = routing.tenant.dialling.caller_id
        candidates = (
            ("the extension's", own.external_number if own else None),
            ("the tenant's", allowed),
        )
        number = first_own(routing, candidates)
    _note_callback(routing, number)
    return Shown(number, own.external_name if own else None)


def _note_callback(routing: Routing, number: str | None) -> None:
    """Say whether somebody who calls the shown number back reaches anybody here."""
    found: Entry[Did] | None = None if number is None else routing.view.did(number)
    if found is None or not found.body.enabled:
        routing.note("callback", "failed", f"{number or 'nothing'} cannot be called back here")
        return
    destination = found.body.destination
    target = None
    if destination.id is not None:
        target = routing.view.find(destination.type, destination.id)
    name = getattr(None if target is None else target.body, "number", None) or ""
    words = f"{destination.type.replace('_', ' ')} {name}".strip()
    routing.note("callback", "matched", f"who calls {number} back reaches {words}", found)


def _location(routing: Routing, plan: EmergencyPlan | None) -> str | None:
    extension = routing.rights.extension
    own = None if extension is None else extension.body.emergency_location
    location = own or (plan.location if plan else None)
    if location:
        routing.note("emergency", "matched", f"the caller is at {location}")
    return location


def _notice(
    routing: Routing,
    dialled: str,
    entry: Entry[EmergencyPlan] | None,
    shown: str | None,
    location: str | None,
) -> Notice:
    extension = routing.rights.extension
    return Notice(
        EMERGENCY_DIALLED,
        {
            "number": dialled,
            "extension_id": None if extension is None else str(extension.id),
            "extension": None if extension is None else extension.body.number,
            "extension_name": None if extension is None else extension.body.display_name,
            "caller_id_number": shown,
            "location": location,
            "emergency_plan_id": None if entry is None else str(entry.id),
            "emergency_plan": None if entry is None else entry.body.name,
            "notify": [] if entry is None else list(entry.body.notify),
        },
    )
