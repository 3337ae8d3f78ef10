"""Which counters the calls hold that the switches really have: their truth is the events.

A decision reserves places before there is word of a call; what keeps and gives back places is
derived here, from the legs of calls. Calls that began before a limit was set count as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import attrs
import orjson

from nizam.events.channels import Call, Channel
from nizam.events.fields import identifier, milliseconds
from nizam.routing import numbers
from nizam.routing.facts import Limit, LimitScope
from nizam.routing.snapshot import Snapshot
from nizam.switch.counters import places

Place = tuple[str, str]
"""The key of a counter and the name of a place."""

Counted = Callable[[UUID, str | None], bool]
"""Whether a call of the tenant that began by dialling this number counts at all."""

CHUNK: Final = 300


@attrs.frozen
class CallState:
    """What there is of a call. `places` are those that it holds; before it is `established`
    it only keeps what a decision took for it."""

    call_id: str
    places: frozenset[Place] = frozenset()
    established: bool = False
    seconds: int = 0
    outside_seconds: int = 0
    outside: bool = False
    outside_answered: bool = False
    ended: bool = False

    def row(self) -> tuple[object, ...]:
        """As limit_hold.lua reads it."""
        flags = (int(self.outside), int(self.ended), int(self.outside_answered))
        return (self.call_id, self.seconds, self.outside_seconds, *flags)


@attrs.frozen
class Work:
    """One turn of bringing counters in line."""

    hold: list[Place] = attrs.field(factory=list)
    refresh: list[Place] = attrs.field(factory=list)
    release: list[Place] = attrs.field(factory=list)
    calls: list[CallState] = attrs.field(factory=list)

    def document(self, prefix: str) -> bytes:
        """The JSON of limit_hold.lua."""

        def named(found: list[Place]) -> list[Place]:
            return [(prefix + key, member) for key, member in found]

        return orjson.dumps(
            {
                "hold": named(self.hold),
                "refresh": named(self.refresh),
                "release": named(self.release),
                "calls": [it.row() for it in self.calls],
            }
        )


def is_counted(snapshot: Snapshot, tenant_id: UUID, number: str | None) -> bool:
    """Whether a call that began by dialling `number` counts: all do but those for help."""
    view = snapshot.tenant(tenant_id)
    if view is None or not number:
        return True
    entry = view.by_number(number)
    if entry is None:
        return not numbers.is_emergency(number, view.tenant.country)
    return entry.resource != "emergency_plan"


def state_of(call: Call, now: datetime, counted: Counted) -> CallState | None:
    """What a call holds now; None when its tenant is not known or it does not count."""
    first = call.first
    if call.part_of is not None:
        return None  # it is counted where it began
    dialled = None if first is None else first.dialled or first.number
    if call.tenant_id is None or not counted(call.tenant_id, dialled):
        return None
    call_id = str(call.call_id)
    ended = call.finished_at is not None
    legs = list(call.channels.values())
    live = [] if ended else [it for it in legs if not it.ended]
    outside = [it for it in legs if it.gateway and it.direction == "outbound"]
    return CallState(
        call_id,
        frozenset(_places(call_id, call.tenant_id, live)),
        established=len(legs) > 1 or any(it.answered_at for it in legs),
        seconds=_seconds(call, legs, now),
        outside_seconds=_seconds(call, outside, now),
        outside=any(not it.ended for it in outside) and not ended,
        outside_answered=any(it.answered_at for it in outside),
        ended=ended,
    )


def _places(call_id: str, tenant_id: UUID, live: list[Channel]) -> list[Place]:
    if not live:
        return []
    found = [(_key("tenant", tenant_id), call_id)]
    extensions = {it.extension_id for it in live if it.extension_id is not None}
    found += [(_key("extension", it), call_id) for it in extensions]
    through: dict[UUID, int] = {}
    for leg in live:
        gateway = identifier(leg.gateway) if leg.direction == "outbound" else None
        if gateway is not None:
            through[gateway] = through.get(gateway, 0) + 1
    for gateway, amount in through.items():
        key = _key("gateway", gateway)
        found += [(key, name) for name in places(call_id, amount)]
    return found


def _key(scope: LimitScope, identifier: UUID) -> str:
    return Limit("concurrent", scope, identifier, 0).key


def _seconds(call: Call, legs: list[Channel], now: datetime) -> int:
    """From the first answer until the last of them is over, in seconds begun."""
    answered = [it.answered_at for it in legs if it.answered_at is not None]
    if not answered:
        return 0
    ends = [_end(call, it, now) for it in legs if it.answered_at is not None]
    return -(-milliseconds(min(answered), max(ends)) // 1000)


def _end(call: Call, channel: Channel, now: datetime) -> datetime:
    if not channel.ended:
        return now
    leg = call.legs.get(channel.leg_id)
    return leg.ended_at if leg is not None and leg.ended_at is not None else now


@attrs.define
class Held:
    """Remembers what each call was said to hold, to say what it no longer does."""

    _held: dict[str, frozenset[Place]] = attrs.field(factory=dict)

    def work(self, states: Mapping[str, CallState]) -> Work:
        """What has to be done for these calls."""
        work = Work()
        for call_id, state in states.items():
            work.calls.append(state)
            work.release.extend(self._held.get(call_id, frozenset()) - state.places)
            (work.hold if state.established else work.refresh).extend(state.places)
        return work

    def done(self, states: Mapping[str, CallState]) -> None:
        """The counters are in line with these."""
        for call_id, state in states.items():
            if state.ended or not state.places:
                self._held.pop(call_id, None)
            else:
                self._held[call_id] = state.places

    def __len__(self) -> int:
        return len(self._held)


def chunks(states: dict[str, CallState]) -> list[dict[str, CallState]]:
    """The states in portions that a server works off at once."""
    items: list[Any] = list(states.items())
    return [dict(items[start : start + CHUNK]) for start in range(0, len(items), CHUNK)]
