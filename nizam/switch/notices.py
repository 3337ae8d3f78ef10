"""The events that follow from a decision itself: told as everything else that happens is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from nizam import metrics
from nizam.events.fields import channel_id, identifier, moment
from nizam.fsxml.served import Served
from nizam.model.events import Event
from nizam.routing.decision import Decision
from nizam.routing.request import CallRequest
from nizam.routing.toll_fraud import FRAUD_BLOCKED


def notices(call: CallRequest, decision: Decision, now: datetime) -> list[Event]:
    """The events of a decision.

    The same question of a switch gives the same events, whichever instance it was put to, so that
    they are stored once: they have the time, the core and the Event-Sequence of the question, and
    further ones of the same type a microsecond each after the first. A question without a time of
    its own has `now`.
    """
    if not decision.notices:
        return []
    asked_at = moment(call.asked_at) or now
    core_id, _, sequence = call.question_id.partition(" ")
    before: Counter[str] = Counter()
    found = []
    for notice in decision.notices:
        found.append(
            Event(
                type=notice.type,
                occurred_at=asked_at + timedelta(microseconds=before[notice.type]),
                core_id=core_id,
                sequence=int(sequence) if sequence.isascii() and sequence.isdigit() else 0,
                node=call.node or None,
                tenant_id=decision.tenant_id,
                call_id=identifier(decision.call_id),
                leg_id=channel_id(call.unique_id) if call.unique_id else None,
                data=dict(notice.data),
            )
        )
        before[notice.type] += 1
    return found


class NoticeTeller:
    """Hands the events of decisions to whoever stores them."""

    def __init__(self, tell: Callable[[list[Event]], None]) -> None:
        self._tell = tell

    def served(self, it: Served) -> None:
        """A call was answered: store what follows from it."""
        found = notices(it.call, it.decision, it.at)
        if found:
            self._tell(found)
            for event in found:
                metrics.NOTICES_TOTAL.labels(event.type).inc()
                if event.type == FRAUD_BLOCKED:
                    metrics.FRAUD_BLOCKED_TOTAL.labels(event.data["reason"]).inc()
