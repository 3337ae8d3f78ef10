"""Calls to the outside: which route, whether the caller may, through which gateways."""

from __future__ import annotations

import attrs

from nizam.model.gateway import Gateway
from nizam.model.outbound_route import OutboundRoute, RouteGateway
from nizam.model.tenant import DiallingPolicy
from nizam.model.time_condition import TimeCondition
from nizam.routing import numbers
from nizam.routing.context import TOLL_CLASSES, Routing
from nizam.routing.hours import is_matched
from nizam.routing.plan import Bridge, GatewayLeg, Hangup, Plan, Set, Step
from nizam.routing.snapshot import Entry

BARRED = "OUTGOING_CALL_BARRED"

NEVER_FAILOVER = frozenset(
    {
        "USER_BUSY",
        "NO_ANSWER",
        "CALL_REJECTED",
        "NORMAL_CLEARING",
        "ORIGINATOR_CANCEL",
        "SUCCESS",
        "UNALLOCATED_NUMBER",
    }
)
"""Causes that speak of the called party: another carrier would only ring it again."""

PROGRESS_SECONDS = 10
"""A carrier that says nothing for so long is given up while there is another."""


@attrs.frozen
class WayOut:
    """A route that the call may take, the number as the carrier gets it, the gateways in order."""

    route: Entry[OutboundRoute]
    number: str
    gateways: tuple[Entry[Gateway], ...]


@attrs.frozen
class Barred:
    """A route fits, but the caller may not."""


def dial_out(routing: Routing, dialled: str) -> Plan | None:
    """The plan that dials `dialled` outside; None when no route fits."""
    way = find_way(routing, dialled)
    if way is None:
        return None
    if isinstance(way, Barred):
        routing.outcome = "denied"
        return (Hangup(BARRED),)
    route = way.route.body
    routing.enter(way.route, f"route {route.name}")
    steps: list[Step] = list(_caller_id(routing, route))
    causes = tuple(it for it in route.failover_causes if it not in NEVER_FAILOVER)
    last = len(way.gateways) - 1
    for position, gateway in enumerate(way.gateways):
        leg = gateway_leg(gateway, way.number)
        if position < last:
            leg = attrs.evolve(leg, progress_timeout_seconds=PROGRESS_SECONDS)
        steps.append(Bridge((leg,), continue_on="never" if position == last else causes or "never"))
    return tuple(steps)


def gateway_leg(gateway: Entry[Gateway], number: str) -> GatewayLeg:
    """The leg that dials `number` through `gateway`."""
    return GatewayLeg(str(gateway.id), number, asserted_identity=gateway.body.caller_id_in == "pai")


def find_way(routing: Routing, dialled: str) -> WayOut | Barred | None:
    """The first route, by priority, that fits, is open now and has a gateway."""
    if not numbers.is_dialled(dialled):
        routing.note("outbound", "passed", "is not a number that can be dialled outside")
        return None
    e164 = numbers.to_e164(dialled, routing.tenant.country)
    routes = sorted(
        routing.view.all(OutboundRoute), key=lambda it: (it.body.priority, it.body.name)
    )
    barred = False
    for entry in routes:
        route = entry.body
        if not route.enabled:
            continue
        pattern = next((it for it in route.patterns if numbers.matches(it, dialled, e164)), None)
        if pattern is None:
            continue
        routing.note("outbound", "matched", f"route {route.name} by its pattern {pattern}", entry)
        if not _open(routing, entry):
            continue
        number = _rewritten(route, e164 if pattern.startswith("+") and e164 else dialled)
        if not _may(routing, entry, e164 if pattern.startswith("+") else None, number):
            barred = True
            continue
        gateways = _gateways(routing, entry)
        if gateways:
            return WayOut(entry, number, gateways)
        routing.note("outbound", "failed", f"route {route.name} has no gateway in use", entry)
    if barred:
        return Barred()
    routing.note("outbound", "passed", "no outbound route fits")
    return None


def _open(routing: Routing, entry: Entry[OutboundRoute]) -> bool:
    if entry.body.time_condition_id is None:
        return True
    condition = routing.object(TimeCondition, entry.body.time_condition_id)
    return condition is not None and is_matched(routing, condition)


def _rewritten(route: OutboundRoute, number: str) -> str:
    """The number as the carrier gets it; a plus goes when digits are stripped or put before."""
    if route.strip:
        number = number.removeprefix("+")[route.strip :]
    elif route.prepend:
        number = number.removeprefix("+")
    return f"{route.prepend}{number}"


def _may(routing: Routing, entry: Entry[OutboundRoute], e164: str | None, rewritten: str) -> bool:
    """Whether the caller's toll class and the tenant's dialling policy allow the call."""
    route, rights = entry.body, routing.rights
    if rights.toll_class is None:
        routing.note("toll_class", "denied", f"{rights.words} dials nothing outside", entry)
        return False
    if TOLL_CLASSES.index(rights.toll_class) < TOLL_CLASSES.index(route.toll_class):
        detail = f"{rights.words} has class {rights.toll_class}, the route takes {route.toll_class}"
        routing.note("toll_class", "denied", detail, entry)
        return False
    # What the carrier gets is what costs, however the number was dialled.
    target = e164 or numbers.to_e164(rewritten, routing.tenant.country)
    allowed, why = judge(routing.tenant.dialling, target, rewritten, routing.tenant.country)
    routing.note("dialling_policy", "matched" if allowed else "denied", why, entry)
    return allowed


def judge(policy: DiallingPolicy, e164: str | None, number: str, country: str) -> tuple[bool, str]:
    """Whether a tenant's policy lets a number be dialled, and why.

    The longest listed prefix decides; without one, international and premium numbers need their
    own permission, and what is no public number at all is refused.
    """
    text = e164 or number
    listed = [(len(it.removeprefix("+")), False, it) for it in policy.blocked_prefixes]
    listed += [(len(it.removeprefix("+")), True, it) for it in policy.allowed_prefixes]
    fitting = [it for it in listed if text.removeprefix("+").startswith(it[2].removeprefix("+"))]
    if fitting:
        _, allowed, prefix = max(fitting, key=lambda it: (it[0], not it[1]))
        return allowed, f"{text} is {'allowed' if allowed else 'blocked'} by the prefix {prefix}"
    if e164 is None:
        return False, f"{text} is not a public number, and no prefix allows it"
    kind = numbers.kind(e164, country)
    if kind == "premium" and not policy.premium:
        return False, f"{text} is a premium number"
    if kind == "international" and not policy.international:
        return False, f"{text} is abroad, seen from {country}"
    return True, f"{text} is {kind}"


def _gateways(routing: Routing, entry: Entry[OutboundRoute]) -> tuple[Entry[Gateway], ...]:
    found: list[tuple[RouteGateway, Entry[Gateway]]] = []
    for item in entry.body.gateways:
        gateway = routing.object(Gateway, item.gateway_id)
        if gateway is not None:
            found.append((item, gateway))
    # Weighted order within equal orders (Efraimidis and Spirakis, 2006).
    found.sort(key=lambda it: (it[0].order, -(routing.random.random() ** (1 / it[0].weight))))
    return tuple(gateway for _, gateway in found)


def _caller_id(routing: Routing, route: OutboundRoute) -> tuple[Step, ...]:
    extension = routing.rights.extension
    own = None if extension is None else extension.body.caller_id
    number = (own.external_number if own else None) or route.caller_id
    steps: list[Step] = []
    if number:
        steps.append(Set("effective_caller_id_number", number))
        routing.note("caller_id", "chosen", f"shows {number}")
    if own and own.external_name:
        steps.append(Set("effective_caller_id_name", own.external_name))
    return tuple(steps)
