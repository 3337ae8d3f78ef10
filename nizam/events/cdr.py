"""The summary of a call, computed from its legs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import attrs

from nizam.events.fields import milliseconds
from nizam.events.legs import Leg
from nizam.routing.numbers import country_of

_BUSY: Final = frozenset({"USER_BUSY", "NORMAL_CIRCUIT_CONGESTION"})
_NO_ANSWER: Final = frozenset(
    {
        "NO_ANSWER",
        "NO_USER_RESPONSE",
        "ALLOTTED_TIMEOUT",
        "PROGRESS_TIMEOUT",
        "MEDIA_TIMEOUT",
        "RECOVERY_ON_TIMER_EXPIRE",
        "USER_NOT_REGISTERED",
        "SUBSCRIBER_ABSENT",
    }
)
_LOST: Final = "LOSE_RACE"
_BARRED: Final = frozenset({"CALL_REJECTED", "OUTGOING_CALL_BARRED", "INCOMING_CALL_BARRED"})
_CALLER_HUNG_UP: Final = frozenset({"recv_bye", "recv_cancel"})
_CALLEE_HUNG_UP: Final = frozenset({"recv_bye", "recv_refuse"})


@attrs.frozen(kw_only=True)
class Summary:
    """One call, as a CDR shows it. `source` is events, cdr, both or reconciled; `did` the DID that
    it came to, `destination` the public number that it went to outside, in its `country`."""

    call_id: UUID
    tenant_id: UUID | None
    node: str | None
    direction: str
    from_number: str | None
    to_number: str | None
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    duration_ms: int
    billable_ms: int
    result: str
    hangup_cause: str | None
    hangup_by: str
    route: str | None
    revision: int | None
    gateway: str | None
    mos: float | None
    packet_loss_percent: float | None
    jitter_ms: float | None
    source: str
    did: str | None
    destination: str | None
    country: str | None
    extension_ids: tuple[UUID, ...]


def first_leg(call_id: UUID, legs: Sequence[Leg]) -> Leg:
    """The leg that the call began with; the earliest one when that has not been seen. Of several
    phones that the API has rung at once it is the one that was quickest to answer."""
    return min(legs, key=lambda leg: _place(call_id, leg))


def has_first_leg(call_id: UUID, legs: Sequence[Leg]) -> bool:
    """Whether the leg that the call began with is among the legs."""
    if not any(leg.leg_id == call_id for leg in legs):
        return False
    lost, _, made_for_another, *_ = _place(call_id, first_leg(call_id, legs))
    return not lost and not made_for_another


def _place(call_id: UUID, leg: Leg) -> tuple[bool, bool, bool, datetime, UUID]:
    is_first = leg.leg_id == call_id
    alone = leg.originator_id is None
    lost = leg.hangup_cause == _LOST and alone
    return (lost, not is_first, not is_first and not alone, leg.started_at, leg.leg_id)


def summarise(call_id: UUID, legs: Sequence[Leg]) -> Summary:
    """The summary of the call with these legs, of which there is at least one."""
    first = first_leg(call_id, legs)
    others = [leg for leg in legs if leg is not first]
    ended_at = max((leg.ended_at for leg in legs if leg.ended_at), default=None)
    measured = first if first.mos is not None else _first(leg for leg in others if leg.mos)
    # Of what was tried after another, the last: a call that came back inside went nowhere outside.
    destination = first.destination if any(leg.gateway for leg in legs) else None
    extensions = {leg.extension_id: None for leg in legs if leg.extension_id}
    answered_at = _answered_at(first, others)
    return Summary(
        call_id=call_id,
        tenant_id=first.tenant_id or next((it.tenant_id for it in others if it.tenant_id), None),
        node=first.node,
        direction=_direction(first, others),
        from_number=first.caller_number,
        to_number=first.number,
        started_at=first.started_at,
        answered_at=answered_at,
        ended_at=ended_at,
        duration_ms=milliseconds(first.started_at, ended_at),
        billable_ms=milliseconds(answered_at, ended_at),
        result=result_of(first, others),
        hangup_cause=first.hangup_cause,
        hangup_by=_hangup_by(first, others),
        route=first.route,
        revision=first.revision,
        gateway=_gateway(legs),
        mos=measured.mos if measured else None,
        packet_loss_percent=measured.packet_loss_percent if measured else None,
        jitter_ms=measured.jitter_ms if measured else None,
        source=_source(legs),
        did=first.did,
        destination=destination,
        country=None if destination is None else country_of(destination),
        extension_ids=tuple(extensions),
    )


def result_of(first: Leg, others: Sequence[Leg]) -> str:
    """answered, no_answer, busy, failed, voicemail, rejected or cancelled."""
    somebody = any(leg.answered_at for leg in others)
    if first.answered_at and first.application == "voicemail" and not somebody:
        return "voicemail"
    if _answered_at(first, others):
        return "answered"
    if first.hangup_cause == "ORIGINATOR_CANCEL" or first.hangup_disposition == "recv_cancel":
        return "cancelled"
    tried = first.originate_disposition
    cause = first.last_bridge_hangup_cause or (tried if tried != "SUCCESS" else None)
    for reason in (cause, first.hangup_cause):
        if reason in _BUSY:
            return "busy"
        if reason in _NO_ANSWER:
            return "no_answer"
        if reason in _BARRED:
            return "rejected"
    return "failed"


def _answered_at(first: Leg, others: Sequence[Leg]) -> datetime | None:
    """When the call was answered. In one that the API has placed the caller's own phone answers
    first: then it is when somebody answered who was rung for it, if anybody was."""
    rung = [leg for leg in others if leg.originator_id is not None]
    if first.direction == "outbound" and first.answered_at and rung:
        return min((leg.answered_at for leg in rung if leg.answered_at), default=None)
    return first.answered_at


def _direction(first: Leg, others: Sequence[Leg]) -> str:
    if first.direction == "inbound" and first.extension_id is None and first.context == "public":
        return "inbound"
    outside = first.direction == "outbound" and first.gateway
    if outside or any(leg.gateway for leg in others) or _took_a_route_out(first):
        return "outbound"
    return "internal"


def _gateway(legs: Sequence[Leg]) -> str | None:
    """The gateway that carried the call; of those that failed the one that was tried last."""
    tried = [leg for leg in legs if leg.gateway]
    if not tried:
        return None
    carried = max(
        tried,
        key=lambda leg: (leg.bridged_at is not None, leg.answered_at is not None, leg.started_at),
    )
    return carried.gateway


def _took_a_route_out(first: Leg) -> bool:
    """Whether an outbound route was taken, even if its gateway was down and made no leg."""
    return any(part.startswith("route ") for part in (first.route or "").split(" to "))


def _hangup_by(first: Leg, others: Sequence[Leg]) -> str:
    """caller, callee or system: whoever sent the message that ended the first leg."""
    if first.hangup_disposition in _CALLER_HUNG_UP:
        return "caller"
    if first.hangup_cause == "ORIGINATOR_CANCEL":
        return "caller"
    # Between two switches of ours a message says nothing of who made it.
    others = [it for it in others if it.direction != "inbound" or it.node == first.node]
    wanted = {"recv_bye"} if first.answered_at else _CALLEE_HUNG_UP
    if any(leg.hangup_disposition in wanted for leg in others):
        return "callee"
    return "callee" if first.hangup_disposition == "recv_refuse" else "system"


def _source(legs: Sequence[Leg]) -> str:
    if any(leg.reconciled and not (leg.from_cdr or leg.from_events) for leg in legs):
        return "reconciled"
    events = any(leg.from_events for leg in legs)
    cdr = any(leg.from_cdr for leg in legs)
    return "both" if events and cdr else "cdr" if cdr else "events"


def _first(legs: Iterable[Leg]) -> Leg | None:
    return next(iter(legs), None)
