"""Calls to the outside: which route, whether the caller may, through which gateways."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from nizam.model.gateway import Gateway
from nizam.model.outbound_route import OutboundRoute
from nizam.model.tenant import DiallingPolicy
from nizam.model.time_condition import TimeCondition
from nizam.routing import numbers
from nizam.routing.caller_id import Shown, caller_for, choose
from nizam.routing.context import TOLL_CLASSES, Routing
from nizam.routing.hours import is_matched
from nizam.routing.limits import NO_CIRCUIT, no_way_out, with_room
from nizam.routing.plan import Bridge, GatewayLeg, Hangup, Plan
from nizam.routing.rows import Entry
from nizam.routing.toll_fraud import is_let_out

BARRED = "OUTGOING_CALL_BARRED"
IMPOSSIBLE = "INVALID_NUMBER_FORMAT"

NEVER_FAILOVER = frozenset(
    {
        "USER_BUSY",
        "NO_ANSWER",
        "CALL_REJECTED",
        "NORMAL_CLEARING",
        "ORIGINATOR_CANCEL",
        "SUCCESS",
        "UNALLOCATED_NUMBER",
        "NUMBER_CHANGED",
        "ALLOTTED_TIMEOUT",
        "ATTENDED_TRANSFER",
        "BLIND_TRANSFER",
        "PICKED_OFF",
        "LOSE_RACE",
    }
)
"""Causes that speak of the called party: another carrier would only ring it again."""

PROGRESS_SECONDS = 10
"""A carrier that says nothing for so long is given up while there is another."""


@attrs.frozen
class Carrier:
    """A gateway that may carry the call, and the number as it gets it."""

    gateway: Entry[Gateway]
    number: str


@attrs.frozen
class WayOut:
    """A route that the call may take, who is shown on it, the carriers in order; the number in
    E.164 if it is a public one."""

    route: Entry[OutboundRoute]
    shown: Shown
    carriers: tuple[Carrier, ...]
    e164: str | None = None


@attrs.frozen
class Barred:
    """The caller may not, the number cannot be one, or there is no room: the hangup cause."""

    cause: str = BARRED


def dial_out(routing: Routing, dialled: str) -> Plan | None:
    """The plan that dials `dialled` outside; None when no route fits."""
    way = find_way(routing, dialled)
    if way is None:
        return None
    if isinstance(way, Barred):
        routing.outcome = "denied"
        return (Hangup(way.cause),)
    route = way.route.body
    routing.destination = way.e164
    routing.enter(way.route, f"route {route.name}")
    causes = tuple(it for it in route.failover_causes if it not in NEVER_FAILOVER)
    last = len(way.carriers) - 1
    steps: list[Bridge] = []
    for position, carrier in enumerate(way.carriers):
        leg = carrier_leg(routing, way.shown, carrier)
        if position < last:
            leg = attrs.evolve(leg, progress_timeout_seconds=PROGRESS_SECONDS)
        steps.append(Bridge((leg,), continue_on="never" if position == last else causes or "never"))
    return tuple(steps)


def carrier_leg(routing: Routing, shown: Shown, carrier: Carrier) -> GatewayLeg:
    """The leg that dials through a carrier, with the caller and the codecs that it gets."""
    entry = carrier.gateway
    routing.note("gateway", "matched", f"{entry.body.name} gets {carrier.number}", entry)
    caller = caller_for(routing, shown, entry)
    return GatewayLeg(str(entry.id), carrier.number, caller=caller, codecs=codecs(routing, entry))


def codecs(routing: Routing, entry: Entry[Gateway]) -> str | None:
    """What is offered to a carrier: its own codecs, else the tenant's, else the SIP profile's."""
    own = entry.body.codecs
    found = own or routing.tenant.codecs
    if found is not None:
        whose = "of the gateway" if own else "of the tenant"
        routing.note("codecs", "chosen", f"offers {found}, {whose}", entry)
    return found


def find_way(routing: Routing, dialled: str, *, counted: bool = True) -> WayOut | Barred | None:
    """The first route, by priority, that fits, is open now and has a gateway.

    A call that takes it is counted under the limits there are. What is only asked for later calls,
    such as where a forward may lead, is not `counted`, and how full everything is now says nothing.
    """
    if not numbers.is_dialled(dialled):
        routing.note("outbound", "passed", "is not a number that can be dialled outside")
        return None
    e164 = numbers.to_e164(dialled, routing.tenant.country)
    if e164 is not None and not numbers.is_possible(e164):
        routing.note("outbound", "denied", f"{e164} cannot be a number")
        return Barred(IMPOSSIBLE)
    routes = sorted(
        routing.view.all(OutboundRoute), key=lambda it: (it.body.priority, it.body.name)
    )
    barred = full = False
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
        target = _Target(dialled, e164 if pattern.startswith("+") else None)
        public, rewritten = _costs(routing, route, target)
        if not _may(routing, entry, public, rewritten):
            barred = True
            continue
        if counted and not is_let_out(routing, public, rewritten):
            return Barred()
        gateways = _gateways(routing, entry)
        if gateways:
            roomy = with_room(routing, entry, gateways) if counted else gateways
            if roomy:
                carriers = tuple(Carrier(it, _number(routing, route, it, target)) for it in roomy)
                return WayOut(entry, choose(routing, route), carriers, public)
            full = True
            continue
        routing.note("outbound", "failed", f"route {route.name} has no gateway in use", entry)
    if full:
        no_way_out(routing, dialled)
        return Barred(NO_CIRCUIT)
    if barred:
        return Barred()
    routing.note("outbound", "passed", "no outbound route fits")
    return None


@attrs.frozen
class _Target:
    """What was dialled; `e164` where the route's pattern is about that."""

    dialled: str
    e164: str | None


def _open(routing: Routing, entry: Entry[OutboundRoute]) -> bool:
    if entry.body.time_condition_id is None:
        return True
    condition = routing.object(TimeCondition, entry.body.time_condition_id)
    return condition is not None and is_matched(routing, condition)


def _number(
    routing: Routing, route: OutboundRoute, gateway: Entry[Gateway], target: _Target
) -> str:
    """The number as the carrier gets it.

    Where the pattern starts with +, the number is written in the carrier's format, and digits are
    stripped from that and put before it. Otherwise they are stripped from what was dialled and put
    before that, which makes a number of an access code or of a local number; if it is a public
    one, it is written in the carrier's format.
    """
    form, country = gateway.body.number_format, routing.tenant.country
    if target.e164 is None:
        text = _rewritten(route, target.dialled)
        e164 = numbers.to_e164(text, country)
        if e164 is not None and form != "as_routed" and form != "as_dialled":
            text = numbers.written(e164, form, country)
    else:
        text = target.dialled
        if form != "as_dialled":
            text = numbers.written(
                target.e164, "e164_plus" if form == "as_routed" else form, country
            )
        text = _rewritten(route, text)
    return f"{gateway.body.prefix}{text.removeprefix('+')}" if gateway.body.prefix else text


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
    tenant = routing.tenant
    allowed, why = judge(tenant.dialling, e164, rewritten, tenant.country)
    routing.note("dialling_policy", "matched" if allowed else "denied", why, entry)
    return allowed


def _costs(routing: Routing, route: OutboundRoute, target: _Target) -> tuple[str | None, str]:
    """The public number that costs, and what the carrier gets of it, however it was dialled."""
    rewritten = _rewritten(route, target.e164 or target.dialled)
    return target.e164 or numbers.to_e164(rewritten, routing.tenant.country), rewritten


def _rewritten(route: OutboundRoute, number: str) -> str:
    """The number with digits stripped and put before; its plus goes with either."""
    if route.strip:
        number = number.removeprefix("+")[route.strip :]
    elif route.prepend:
        number = number.removeprefix("+")
    return f"{route.prepend}{number}"


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
    found: list[tuple[int, float, Entry[Gateway]]] = []
    for item in entry.body.gateways:
        gateway = routing.object(Gateway, item.gateway_id)
        if gateway is not None:
            # Weighted order within equal orders (Efraimidis and Spirakis, 2006).
            share = -(routing.random.random() ** (1 / item.weight))
            found.append((item.order, share, gateway))
    found.sort(key=lambda it: it[:2])
    return reachable_first(routing, (gateway for _, _, gateway in found))


def reachable_first(
    routing: Routing, gateways: Iterable[Entry[Gateway]]
) -> tuple[Entry[Gateway], ...]:
    """The gateways in their order, but those that are known to be down come last: what is known
    may be a moment old."""
    up: list[Entry[Gateway]] = []
    down: list[Entry[Gateway]] = []
    for gateway in gateways:
        if routing.facts.live.gateway_up(gateway.id, routing.request.node) is False:
            routing.note("gateway", "passed", f"{gateway.body.name} is down: tried last", gateway)
            down.append(gateway)
        else:
            up.append(gateway)
    return (*up, *down)
