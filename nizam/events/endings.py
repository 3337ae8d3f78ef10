"""The end of a call, as events tell it: call.ended, and call.missed where nobody took it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from nizam.events.cdr import Summary, summarise
from nizam.events.channels import Call
from nizam.events.legs import Leg
from nizam.model.events import Event, timestamp

_UNANSWERED: Final = frozenset({"no_answer", "cancelled", "voicemail", "busy"})
_AWAY: Final = frozenset({"USER_NOT_REGISTERED", "SUBSCRIBER_ABSENT"})
_BUSY: Final = frozenset({"USER_BUSY"})


def endings(
    call: Call, leg: Leg, at: datetime, core_id: str, sequence: int, node: str
) -> list[Event]:
    """What is told when `leg`, the last one of the call, has ended."""
    legs = list(call.legs.values())
    summary = summarise(call.call_id, legs)
    data = {
        "direction": summary.direction,
        "from": summary.from_number,
        "to": summary.to_number,
        "started_at": timestamp(summary.started_at),
        "answered_at": timestamp(summary.answered_at) if summary.answered_at else None,
        "duration_ms": summary.duration_ms,
        "billable_ms": summary.billable_ms,
        "result": summary.result,
        "hangup_cause": summary.hangup_cause,
        "hangup_by": summary.hangup_by,
        "extension_ids": [str(it) for it in summary.extension_ids],
        "reconciled": leg.reconciled,
    }
    told: list[tuple[str, dict[str, Any]]] = [("call.ended", data)]
    reason = None if _own_phone_rang(call) else missed_because(summary, legs)
    if reason is not None:
        voicemail = summary.result == "voicemail"
        told.append(("call.missed", data | {"reason": reason, "voicemail": voicemail}))
    return [
        Event(
            type=kind,
            occurred_at=at,
            core_id=core_id,
            sequence=sequence,
            node=node,
            tenant_id=call.tenant_id,
            call_id=call.call_id,
            leg_id=leg.leg_id,
            data=it,
        )
        for kind, it in told
    ]


def _own_phone_rang(call: Call) -> bool:
    """Whether it came no further than to ring the phone for which the API has placed it."""
    first = call.first
    placed = any(it.dialled is not None for it in call.channels.values())
    return placed and (first is None or first.answered_at is None)


def missed_because(summary: Summary, legs: Collection[Leg]) -> str | None:
    """Why somebody missed the call: busy, cancelled, no_answer or unavailable; None if nobody did.

    A call out is missed by nobody here, and neither is one that was declined, or that led to no
    phone and no mailbox.
    """
    if summary.direction == "outbound" or summary.result not in _UNANSWERED:
        return None
    if summary.result in ("busy", "cancelled"):
        return summary.result
    others = [leg for leg in legs if leg.leg_id != summary.call_id]
    first = next((leg for leg in legs if leg.leg_id == summary.call_id), None)
    causes = {leg.hangup_cause for leg in others}
    if first is not None:
        causes |= {first.last_bridge_hangup_cause, first.originate_disposition}
        if not others:
            causes.add(first.hangup_cause)
    if causes & _BUSY:
        return "busy"
    if any(leg.ringing_at for leg in others):
        return "no_answer"
    return "unavailable" if causes & _AWAY or not others else "no_answer"
