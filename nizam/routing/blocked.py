"""Numbers that may not call in, or may not be called."""

from __future__ import annotations

from collections.abc import Iterable

from nizam.model.blocked_number import BlockedNumber
from nizam.routing import numbers
from nizam.routing.callers import caller_forms, fits
from nizam.routing.context import Routing
from nizam.routing.plan import Hangup, Plan
from nizam.routing.rows import Entry

_ALL = frozenset({"inbound", "outbound", "both"})


def blocked(routing: Routing, *, inbound: bool) -> Plan | None:
    """The plan that refuses the call; None if its number is not blocked."""
    entries = routing.view.all(BlockedNumber)
    if not entries:
        return None
    if inbound:
        forms, directions = caller_forms(routing), frozenset({"inbound", "both"})
    else:
        forms, directions = _dialled_forms(routing), frozenset({"outbound", "both"})
    entry = _listed(routing, entries, forms, directions)
    if entry is None:
        return None
    why = f": {entry.body.reason}" if entry.body.reason else ""
    detail = f"{entry.body.pattern} is blocked {entry.body.direction}{why}"
    routing.note("blocked_number", "denied", detail, entry)
    routing.outcome = "denied"
    return (Hangup("CALL_REJECTED" if inbound else "OUTGOING_CALL_BARRED"),)


def caller_is_listed(routing: Routing) -> bool:
    """Whether the caller's number is among the blocked numbers, whatever their direction."""
    entries = routing.view.all(BlockedNumber)
    return _listed(routing, entries, caller_forms(routing), _ALL) is not None


def _listed(
    routing: Routing,
    entries: Iterable[Entry[BlockedNumber]],
    forms: Iterable[str],
    directions: frozenset[str],
) -> Entry[BlockedNumber] | None:
    for entry in entries:
        body = entry.body
        if not body.enabled or body.direction not in directions:
            continue
        if body.expires_at is not None and body.expires_at <= routing.now:
            continue
        if fits(body.pattern, forms):
            return entry
    return None


def _dialled_forms(routing: Routing) -> tuple[str, ...]:
    dialled = routing.request.destination
    if not numbers.is_dialled(dialled):
        return ()
    e164 = numbers.to_e164(dialled, routing.tenant.country)
    return tuple(dict.fromkeys((dialled, *([e164] if e164 else []))))
