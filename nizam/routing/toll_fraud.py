"""Toll fraud: what stops a stolen password from calling the ends of the earth all night.

Numbers abroad and premium numbers are denied until they are allowed (`outbound.judge`). Those that
are allowed are watched here: by the hour, by caps of tenant and extension, and by how fast they
come. Every block says why, in the trace and by an event.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from uuid import UUID

from nizam.model.tenant import OutsideCaps, Velocity
from nizam.routing import numbers
from nizam.routing.context import Routing
from nizam.routing.facts import Limit, LimitScope, Notice
from nizam.routing.limits import today
from nizam.routing.time import local_time, matching_rule

FRAUD_BLOCKED: Final = "fraud.blocked"

REASONS: Final = {
    ("attempts", "outside"): "calls_per_minute",
    ("minutes_per_day", "costly"): "minutes_per_day",
    ("concurrent", "costly"): "concurrent",
    ("attempts", "costly"): "velocity_calls",
    ("numbers", "costly"): "velocity_numbers",
    ("short_calls", "costly"): "velocity_short_calls",
}
"""(kind, of) of a limit -> the reason that events and metrics give."""

_WORDS: Final = {
    "calls_per_minute": "{count} of {most} calls to numbers outside in the last minute",
    "minutes_per_day": "{count} of {most} minutes today of calls abroad and to premium numbers",
    "concurrent": "{count} of {most} calls at once abroad and to premium numbers",
    "velocity_calls": "{count} of {most} calls abroad and to premium numbers in {seconds} s",
    "velocity_numbers": "{count} of {most} numbers abroad and premium in {seconds} s",
    "velocity_short_calls": "{count} of {most} short calls abroad and to premium numbers "
    "in {seconds} s",
}


def is_let_out(routing: Routing, e164: str | None, number: str) -> bool:
    """Whether the call may leave to a number that the dialling policy allows.

    `number` is what the carrier gets, `e164` the public number that it is. If it may, it is
    counted.
    """
    kind = None if e164 is None else numbers.kind(e164, routing.tenant.country)
    target = e164 or number
    costly = kind in ("international", "premium")
    if costly and _after_hours(routing, target, str(kind)):
        return False
    limits = [it for it in _limits(routing, target, costly=costly) if it.most]
    reached = routing.take(*limits)
    if reached is None:
        return True
    reason = REASONS[reached.kind, reached.of]
    count = routing.facts.full.get(reached.key, reached.most)
    whose = "the tenant" if reached.scope == "tenant" else routing.rights.words
    words = _WORDS[reason].format(count=count, most=reached.most, seconds=reached.seconds)
    blocked = f"; blocked for {reached.block_seconds} s" if reached.block_seconds else ""
    _block(
        routing,
        reason,
        f"{target}: {whose} has {words}{blocked}",
        number=target,
        number_kind=kind,
        scope=reached.scope,
        limit=reached.most,
        count=count,
        window_seconds=reached.seconds if reached.kind != "minutes_per_day" else None,
        blocked_seconds=reached.block_seconds or None,
    )
    return False


def _after_hours(routing: Routing, target: str, kind: str) -> bool:
    rule = routing.tenant.dialling.after_hours
    if rule is None or kind not in rule.deny:
        return False
    local = local_time(routing.now, routing.tenant.time_zone)
    if matching_rule(rule.hours, local) is not None:
        return False
    words = f"{target} is {kind}, and {local:%a %H:%M} is outside the hours for that"
    _block(routing, "after_hours", words, number=target, number_kind=kind)
    return True


def _limits(routing: Routing, target: str, *, costly: bool) -> Iterator[Limit]:
    policy, extension, day = routing.tenant.dialling, routing.rights.extension, today(routing)
    yield from caps("tenant", routing.view.id, policy.caps, day, costly=costly)
    if extension is not None:
        own = extension.body.outside_caps
        yield from caps("extension", extension.id, own, day, costly=costly)
    if costly and extension is not None:
        yield from velocity("extension", extension.id, policy.velocity, target)
    elif costly:
        yield from velocity("tenant", routing.view.id, policy.velocity, target)


def velocity(scope: LimitScope, owner: UUID, alarm: Velocity, target: str) -> Iterator[Limit]:
    """The limits of the alarm for costly calls to `target`."""
    window, block = alarm.window_seconds, alarm.block_seconds
    yield Limit(
        "attempts",
        scope,
        owner,
        alarm.max_calls,
        of="costly",
        seconds=window,
        block_seconds=block,
    )
    yield Limit(
        "numbers",
        scope,
        owner,
        alarm.max_numbers,
        of="costly",
        seconds=window,
        number=target,
        block_seconds=block,
    )
    yield Limit(
        "short_calls",
        scope,
        owner,
        alarm.max_short_calls,
        of="costly",
        seconds=window,
        short_seconds=alarm.short_seconds,
        block_seconds=block,
        look=True,
    )


def caps(
    scope: LimitScope, owner: UUID, own: OutsideCaps, day: str, *, costly: bool
) -> Iterator[Limit]:
    """The limits of a tenant or an extension on calls outside, on the tenant's `day`."""
    yield Limit("attempts", scope, owner, own.max_calls_per_minute, of="outside")
    if costly:
        yield Limit("concurrent", scope, owner, own.max_concurrent_costly_calls, of="costly")
        most = own.max_costly_minutes_per_day
        yield Limit("minutes_per_day", scope, owner, most, of="costly", day=day)


def _block(routing: Routing, reason: str, words: str, **data: object) -> None:
    extension = routing.rights.extension
    routing.note("toll_fraud", "denied", words, extension)
    routing.notices.append(
        Notice(
            FRAUD_BLOCKED,
            {
                "reason": reason,
                "words": words,
                "from": routing.request.caller_number,
                "extension_id": None if extension is None else str(extension.id),
                "extension": None if extension is None else extension.body.number,
                "scope": None,
                "limit": None,
                "count": None,
                "window_seconds": None,
                "blocked_seconds": None,
            }
            | data,
        )
    )
