"""How much may go on at once: whether a call is let in, and which ways out have room for it.

Emergency calls never come here. A call is let in once; its later questions, after a menu, a
transfer or a ringing in vain, are those of a call that is counted already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

from nizam.model.extension import Extension
from nizam.model.gateway import Gateway
from nizam.model.outbound_route import OutboundRoute
from nizam.model.tenant import Quotas
from nizam.routing.context import Routing
from nizam.routing.facts import Limit, LimitKind, Notice
from nizam.routing.plan import Hangup, Plan
from nizam.routing.rows import Entry
from nizam.routing.time import day_of

LIMIT_REACHED: Final = "limit.reached"

BUSY: Final = "USER_BUSY"
"""486: what callers from outside hear as busy, and carriers do not try again elsewhere."""
CONGESTED: Final = "SWITCH_CONGESTION"
"""503: what a phone shows when no more calls can be made at the moment."""
BARRED: Final = "OUTGOING_CALL_BARRED"
"""403: trying again today does not help."""
NO_CIRCUIT: Final = "NORMAL_CIRCUIT_CONGESTION"
"""503: every channel that leads out is taken."""

WHAT: Final[Mapping[LimitKind, str]] = {
    "concurrent": "calls at once",
    "per_minute": "calls a minute",
    "minutes_per_day": "minutes today",
    "attempts": "calls",
    "numbers": "different numbers",
    "short_calls": "short calls",
}
"""What each kind counts, in words."""


def today(routing: Routing) -> str:
    """The tenant's day."""
    return day_of(routing.now, routing.tenant.time_zone)


def refused(routing: Routing, *, inbound: bool) -> Plan | None:
    """The plan of a call that is one too many for the tenant or its caller; None lets it in."""
    if routing.request.call_id is not None:
        return None
    quotas = routing.tenant.quotas
    reached = None
    if quotas.limit_calls:
        day = today(routing) if quotas.max_call_minutes_per_day else ""
        reached = routing.take(*of_tenant(routing.view.id, quotas, day))
    caller = routing.rights.extension
    if reached is None and caller is not None and caller.body.max_calls:
        reached = routing.take(of_extension(caller))
    if reached is None:
        return None
    cause = BARRED if reached.kind == "minutes_per_day" else CONGESTED
    if inbound:
        cause = BUSY
    whose = routing.rights.words if reached.scope == "extension" else "the tenant"
    tell(routing, reached, whose, cause, caller if reached.scope == "extension" else None)
    routing.outcome = "denied"
    return (Hangup(cause),)


def of_tenant(tenant_id: UUID, quotas: Quotas, day: str) -> tuple[Limit, ...]:
    """The limits on all calls of a tenant; `day` is its day."""
    minutes = quotas.max_call_minutes_per_day
    return (
        Limit("concurrent", "tenant", tenant_id, quotas.max_concurrent_calls),
        Limit("per_minute", "tenant", tenant_id, quotas.max_calls_per_minute),
        Limit("minutes_per_day", "tenant", tenant_id, minutes, day=day),
    )


def of_extension(extension: Entry[Extension]) -> Limit:
    """The limit on the calls of an extension, from it and to it."""
    return Limit("concurrent", "extension", extension.id, extension.body.max_calls)


def is_taken(routing: Routing, extension: Entry[Extension]) -> bool:
    """Whether the extension has all the calls that it may have; otherwise this one is counted."""
    if not extension.body.max_calls:
        return False
    reached = routing.take(of_extension(extension))
    if reached is not None:
        words = f"extension {extension.body.number} has {stands(routing, reached)}"
        routing.note("limit", "denied", words, extension)
    return reached is not None


def with_room(
    routing: Routing, route: Entry[OutboundRoute], gateways: Iterable[Entry[Gateway]]
) -> tuple[Entry[Gateway], ...]:
    """Those of the gateways, in their order, that have a channel left; none when the route has
    no room. The call takes the channel of the first: should another one carry it in the end, its
    leg takes that one's and gives back the first."""
    found: list[Entry[Gateway]] = []
    whole = Limit("concurrent", "route", route.id, route.body.max_channels)
    limits: list[Limit] = [whole]
    for gateway in gateways:
        most, look = gateway.body.max_channels, bool(found)
        limit = Limit("concurrent", "gateway", gateway.id, most, look=look)
        reached = routing.take(*limits, limit) if not found else routing.take(limit)
        if reached is None:
            found.append(gateway)
            continue
        if reached is whole:
            words = f"route {route.body.name} has {stands(routing, reached)}"
            routing.note("limit", "denied", words, route)
            return ()
        words = f"gateway {gateway.body.name} has {stands(routing, reached)}"
        routing.note("limit", "passed", words, gateway)
    return tuple(found)


def no_way_out(routing: Routing, number: str) -> None:
    """Tell that every way out for a number is taken."""
    routing.note("limit", "denied", f"every way out for {number} is taken")
    data = _data(routing, f"every way out for {number} is taken", NO_CIRCUIT)
    routing.notices.append(Notice(LIMIT_REACHED, data))


def stands(routing: Routing, limit: Limit) -> str:
    """How high a limit stands, in words."""
    count = routing.facts.full.get(limit.key, limit.most)
    return f"{count} of {limit.most} {WHAT[limit.kind]}"


def tell(
    routing: Routing, limit: Limit, whose: str, cause: str, entry: Entry[Extension] | None
) -> None:
    """Say in the trace and by an event that a call is one too many."""
    words = f"{whose} has {stands(routing, limit)}"
    routing.note("limit", "denied", words, entry)
    data = _data(routing, words, cause)
    data |= {
        "scope": limit.scope,
        "kind": limit.kind,
        "id": str(limit.id),
        "limit": limit.most,
        "count": routing.facts.full.get(limit.key, limit.most),
    }
    routing.notices.append(Notice(LIMIT_REACHED, data))


def _data(routing: Routing, words: str, cause: str) -> dict[str, object]:
    caller = routing.rights.extension
    return {
        "reason": words,
        "cause": cause,
        "from": routing.request.caller_number,
        "to": routing.request.destination,
        "extension_id": None if caller is None else str(caller.id),
        "scope": None,
        "kind": None,
        "id": None,
        "limit": None,
        "count": None,
    }
