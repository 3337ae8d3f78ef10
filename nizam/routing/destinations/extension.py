"""To an extension: its phone, then voicemail or a forward, according to why nobody answered."""

from __future__ import annotations

from nizam.model.destination import Destination
from nizam.model.extension import Extension, FollowMe
from nizam.routing.context import MAX_FORWARDS, Rights, Routing, destination_to
from nizam.routing.legs import leg_to
from nizam.routing.limits import is_taken
from nizam.routing.phones import is_busy, phone_leg
from nizam.routing.plan import Bridge, Hangup, Leg, Plan, Transfer
from nizam.routing.rows import Entry
from nizam.routing.tokens import AfterRinging, write_token

_NOT_REGISTERED = frozenset({"USER_NOT_REGISTERED", "SUBSCRIBER_ABSENT"})
_BUSY = frozenset({"USER_BUSY", "CALL_REJECTED"})


def plan(routing: Routing, destination: Destination) -> Plan:
    """Ring the extension, unless it forwards at once or wants no calls."""
    entry = routing.object(Extension, destination.id)
    if entry is None:
        return routing.unreachable()
    extension = entry.body
    routing.enter(entry, f"extension {extension.number}")
    if extension.forward.always is not None:
        return routing.forward(entry, "always", extension.forward.always)
    if extension.do_not_disturb:
        routing.note("do_not_disturb", "matched", "takes no calls; treated as busy", entry)
        return _fallback(routing, entry, "busy", "USER_BUSY")
    if not extension.call_waiting and is_busy(routing, entry):
        routing.note("call_waiting", "matched", "is in a call and takes one at a time", entry)
        return _fallback(routing, entry, "busy", "USER_BUSY")
    if is_taken(routing, entry):
        return _fallback(routing, entry, "busy", "USER_BUSY")
    return _ring(routing, entry)


def after_ringing(routing: Routing, token: AfterRinging) -> Plan:
    """What follows when the phone was rung in vain and the answer depends on the cause."""
    entry = routing.object(Extension, token.extension_id)
    if entry is None:
        return routing.unreachable()
    routing.forwards = max(routing.forwards, token.hops)
    cause = routing.request.disposition or "NO_ANSWER"
    why = "busy" if cause in _BUSY else "no_answer"
    if cause in _NOT_REGISTERED:
        why = "not_registered"
    routing.note("ringing", "failed", f"{entry.body.number} was rung in vain: {cause}", entry)
    return _fallback(routing, entry, why, cause)


def _ring(routing: Routing, entry: Entry[Extension]) -> Plan:
    legs, ring_seconds = _legs(routing, entry)
    ways = () if routing.comes_back else _ways(entry)
    if not ways:
        routing.note("fallback", "passed", "nothing follows when nobody answers", entry)
        return (Bridge(tuple(legs), ring_seconds=ring_seconds),)
    ring = Bridge(
        tuple(legs),
        ring_seconds=ring_seconds,
        continue_on="always",
        ignore_early_media=len(legs) > 1,
    )
    if len(ways) == 1:
        with routing.otherwise():
            return (ring, *_fallback(routing, entry, "no_answer", "NO_ANSWER"))
    hops = min(routing.forwards, MAX_FORWARDS)
    token = write_token(AfterRinging(entry.id, hops))
    routing.note("fallback", "passed", "depends on why nobody answers; asked again then", entry)
    return (ring, Transfer(token, routing.tenant.domain))


def _legs(routing: Routing, entry: Entry[Extension]) -> tuple[list[Leg], int]:
    """What rings, and for how long: the phone, and whoever is on the follow-me list."""
    extension = entry.body
    if not extension.follow_me:
        return [phone_leg(routing, entry)], extension.ring_seconds
    listed = [FollowMe(number=it) if isinstance(it, str) else it for it in extension.follow_me]
    ends = (it.delay_seconds + (it.timeout_seconds or extension.ring_seconds) for it in listed)
    longest = max(extension.ring_seconds, *ends)
    own = extension.ring_seconds if longest > extension.ring_seconds else None
    legs: list[Leg] = [phone_leg(routing, entry, timeout_seconds=own)]
    with routing.acting_as(Rights.of(entry)):
        for it in listed:
            timeout = it.timeout_seconds
            if timeout is None and longest > extension.ring_seconds:
                timeout = extension.ring_seconds
            leg = leg_to(
                routing,
                it.number,
                timeout_seconds=timeout,
                delay_seconds=it.delay_seconds,
                confirm=it.confirm,
            )
            if leg is not None:
                legs.append(leg)
    return legs, longest


def _ways(entry: Entry[Extension]) -> tuple[Destination | None, ...]:
    """What follows when nobody answers: the one destination whatever the reason, one for each
    reason, or none at all."""
    forward = entry.body.forward
    if forward.busy is forward.no_answer is forward.not_registered is None:
        return (destination_to("voicemail", entry.id),) if entry.body.voicemail.enabled else ()
    ways = [_fallback_destination(entry, it) for it in ("busy", "no_answer", "not_registered")]
    return (ways[0],) if ways[0] == ways[1] == ways[2] else tuple(ways)


def _fallback_destination(entry: Entry[Extension], why: str) -> Destination | None:
    forward: Destination | None = getattr(entry.body.forward, why)
    if forward is None and entry.body.voicemail.enabled:
        return destination_to("voicemail", entry.id)
    return forward


def _fallback(routing: Routing, entry: Entry[Extension], why: str, cause: str) -> Plan:
    if routing.comes_back:
        routing.note("fallback", "passed", f"ends {cause}: whoever sent the call goes on", entry)
        routing.outcome = "unreachable"
        return (Hangup(cause),)
    destination = _fallback_destination(entry, why)
    if destination is None:
        routing.note("fallback", "passed", f"ends {cause}: no voicemail and no forward", entry)
        return (Hangup(cause),)
    if getattr(entry.body.forward, why) is None:
        return routing.follow(destination)
    return routing.forward(entry, why.replace("_", " "), destination)
