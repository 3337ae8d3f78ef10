"""Whose number a carrier is told on a call to the outside, and how it is written there.

A number is shown only if it is the tenant's: one of its DIDs, or one that the platform allows it.
Which of them are the tenant's can change after a number was saved, so it is asked at call time:
the next number that may be shown takes the place of one that may not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from nizam.model.gateway import Gateway
from nizam.model.outbound_route import OutboundRoute
from nizam.routing import numbers
from nizam.routing.context import Routing
from nizam.routing.plan import Caller, Diversion
from nizam.routing.rows import Entry
from nizam.routing.snapshot import TenantView

_REASONS = {
    "always": "unconditional",
    "busy": "user-busy",
    "no answer": "no-answer",
    "not registered": "unavailable",
}
"""Why an extension forwards -> the word for it in RFC 5806."""


@attrs.frozen
class Shown:
    """Who is shown, whichever gateway carries the call; numbers are in E.164.

    `number` None leaves it to the gateway and the tenant; `diverted_by` is the number that the
    call was sent on from.
    """

    number: str | None
    name: str | None
    withheld: bool = False
    diverted_by: str | None = None


def choose(routing: Routing, route: OutboundRoute) -> Shown:
    """Who is shown on a call that takes `route`, with a line in the trace."""
    extension = routing.rights.extension
    own = None if extension is None else extension.body.caller_id
    policy_number, policy_name = routing.policy_caller
    of_route = (("the route's", route.caller_id),)
    of_extension = (("the extension's", own.external_number if own else None),)
    ordered = of_route + of_extension
    if route.caller_id_rule != "route":
        ordered = of_extension + of_route
    number = first_own(routing, (("the policy's", policy_number), *ordered))
    names = (own.external_name if own else None, route.caller_name)
    if route.caller_id_rule == "route":
        names = names[::-1]
    name = policy_name or names[0] or names[1]
    if route.caller_id_rule == "original":
        original = _original(routing)
        if original is not None:
            by = number or first_own(routing, _of_tenant(routing))
            if by is not None:
                routing.note("caller_id", "chosen", f"shows {original}, diverted by {by}")
                return Shown(original, None, diverted_by=by)
            routing.note("caller_id", "denied", "no number of the tenant says who forwards")
    withheld = _is_withheld(routing, route)
    if withheld:
        routing.note("caller_id", "matched", "the number is withheld")
    return Shown(number, name, withheld)


def caller_for(routing: Routing, shown: Shown, entry: Entry[Gateway]) -> Caller:
    """The caller as the carrier behind the gateway gets it."""
    gateway, country = entry.body, routing.tenant.country
    number = shown.number
    if number is None:
        others = ((f"gateway {gateway.name}'s", gateway.caller_id), *_of_tenant(routing))
        number = first_own(routing, others)
    privacy = gateway.privacy if shown.withheld else "none"
    if number is None:
        # What the carrier itself has given us cannot be somebody else's.
        account = gateway.from_user or gateway.username
        words = f"is known as {account}" if account else "shows nobody"
        routing.note("caller_id", "passed", f"no number may be shown; {words}", entry)
        return Caller(account, "", gateway.caller_id_in, privacy)
    written = numbers.written(number, gateway.caller_id_format, country)
    diversion = None
    if shown.diverted_by is not None:
        by = numbers.written(shown.diverted_by, gateway.caller_id_format, country)
        reason = _REASONS.get(routing.diverted, "unknown")
        diversion = Diversion(by, routing.tenant.domain, reason)
    return Caller(written, shown.name or "", gateway.caller_id_in, privacy, diversion)


def first_own(routing: Routing, candidates: Iterable[tuple[str, str | None]]) -> str | None:
    """The first number that may be shown; `candidates` are (whose, number). Traced."""
    for whose, number in candidates:
        if number is None:
            continue
        e164 = numbers.to_e164(number, routing.tenant.country)
        if e164 is not None and is_own(routing, e164):
            routing.note("caller_id", "chosen", f"shows {e164}, {whose}")
            return e164
        routing.note(
            "caller_id", "denied", f"does not show {number}, {whose}: it is no number of the tenant"
        )
    return None


def is_own(routing: Routing, e164: str) -> bool:
    """Whether the tenant may show this number: a DID of its own, or one that it is allowed."""
    return may_show(routing.view, e164)


def may_show(view: TenantView, e164: str | None) -> bool:
    """Whether it is a number of the tenant, or one that the platform allows it to show."""
    allowed = view.tenant.dialling
    return e164 is not None and (
        view.did(e164) is not None or e164 in allowed.caller_ids or e164 == allowed.caller_id
    )


def _of_tenant(routing: Routing) -> Iterator[tuple[str, str | None]]:
    yield "the tenant's", routing.tenant.dialling.caller_id


def _original(routing: Routing) -> str | None:
    """The number of a caller from outside whose call is sent on; None for all others."""
    request = routing.request
    if request.caller_extension is not None or request.caller_extension_id is not None:
        return None
    if request.caller_hides:
        routing.note("caller_id", "passed", "the original caller withholds the number")
        return None
    found = [
        *numbers.did_candidates(request.caller_number),
        numbers.to_e164(request.caller_number, routing.tenant.country),
    ]
    return next((it for it in found if it and numbers.is_possible(it)), None)


def _is_withheld(routing: Routing, route: OutboundRoute) -> bool:
    rights = routing.rights
    if rights.withhold is not None:
        return rights.withhold
    own = rights.extension is not None and rights.extension.body.caller_id.withhold
    return own or route.withhold_caller_id
