"""The account that the tests of the daemon rely on notices everything that can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from nizam.sim.truth import CallTruth, LegTruth
from tests.daemon.accounting import Stored, problems, unmarked
from tests.daemon.receiver import WebhookReceiver

FIRST, SECOND = "11111111-0000-0000-0000-000000000001", "11111111-0000-0000-0000-000000000002"
SECRET = "whsec_" + "A" * 44


def leg(uuid: str, direction: str) -> LegTruth:
    return LegTruth(uuid, direction, "internal", "1001", "1002", 10, 20, 30, "NORMAL_CLEARING")


CALL = CallTruth(
    call_id=FIRST,
    scenario="answered",
    direction="internal",
    domain="acme.example.test",
    caller="1001",
    dialled="1002",
    created=10,
    answered=20,
    ended=30,
    cause="NORMAL_CLEARING",
    legs=(leg(FIRST, "inbound"), leg(SECOND, "outbound")),
    proofs=("user accepted", "rang 1002", "bridged 1002"),
)
SUMMARY = {
    "from_number": "1001",
    "to_number": "1002",
    "result": "answered",
    "hangup_cause": "NORMAL_CLEARING",
    "direction": "internal",
}
TYPES = ("call.started", "call.ringing", "call.answered", "call.bridged", "call.ended")


def stored() -> Stored:
    events = [
        {"id": kind, "type": kind, "tenant_id": "acme", "occurred_at": datetime.now(UTC)}
        for kind in TYPES
    ]
    return Stored(
        events={FIRST: events},
        event_ids=frozenset(TYPES),
        summaries={FIRST: [dict(SUMMARY)]},
        legs={FIRST: [{"leg_id": FIRST}, {"leg_id": SECOND}]},
        deliveries=tuple(
            {"event_id": kind, "status": "succeeded", "last_error": None} for kind in TYPES
        ),
        node_events=(),
    )


def receiver(*extra: str) -> WebhookReceiver:
    made = WebhookReceiver(None, SECRET)
    made.counts.update([*TYPES, *extra])
    return made


def without_event(it: Stored) -> Stored:
    return attrs.evolve(it, events={FIRST: it.events[FIRST][1:]})


def with_event_twice(it: Stored) -> Stored:
    return attrs.evolve(it, events={FIRST: [*it.events[FIRST], it.events[FIRST][0]]})


def with_summaries(*summaries: Any) -> Callable[[Stored], Stored]:
    return lambda it: attrs.evolve(it, summaries={FIRST: list(summaries)})


def with_legs(*uuids: str) -> Callable[[Stored], Stored]:
    return lambda it: attrs.evolve(it, legs={FIRST: [{"leg_id": uuid} for uuid in uuids]})


def with_unknown_call(it: Stored) -> Stored:
    return attrs.evolve(it, summaries={**it.summaries, SECOND: [SUMMARY]})


def with_delivery(**changes: Any) -> Callable[[Stored], Stored]:
    def change(it: Stored) -> Stored:
        return attrs.evolve(it, deliveries=({**it.deliveries[0], **changes}, *it.deliveries[1:]))

    return change


def without_delivery(it: Stored) -> Stored:
    return attrs.evolve(it, deliveries=it.deliveries[1:])


def test_a_right_account_has_no_problems() -> None:
    assert problems([CALL], stored(), receiver()) == []


@pytest.mark.parametrize(
    ("defect", "words"),
    [
        (without_event, "should be"),
        (with_event_twice, "more than one call.started"),
        (with_summaries(), "0 summaries"),
        (with_summaries(SUMMARY, SUMMARY), "2 summaries"),
        (with_summaries({**SUMMARY, "hangup_cause": "USER_BUSY"}), "hangup_cause"),
        (with_summaries({**SUMMARY, "to_number": "1003"}), "to_number"),
        (with_summaries({**SUMMARY, "result": "failed"}), "result"),
        (with_legs(FIRST), "legs missing"),
        (with_legs(FIRST, SECOND, "x"), "too many {'x'}"),
        (with_unknown_call, "did not happen"),
        (with_delivery(status="pending"), "is pending"),
        (with_delivery(event_id="other"), "other never came"),
        (without_delivery, "promised to nobody"),
    ],
)
def test_each_defect_is_noticed(defect: Callable[[Stored], Stored], words: str) -> None:
    assert words in "\n".join(problems([CALL], defect(stored()), receiver()))


def test_a_webhook_that_came_again_is_noticed_unless_something_died() -> None:
    again = receiver(TYPES[0])
    assert problems([CALL], stored(), again) == ["call.started came 2 times"]
    assert problems([CALL], stored(), again, whole=False) == []


def test_after_a_crash_events_may_be_missing_but_none_may_be_there_twice() -> None:
    assert problems([CALL], without_event(stored()), receiver(), whole=False) == []
    twice = problems([CALL], with_event_twice(stored()), receiver(), whole=False)
    assert "more than one call.started" in twice[0]


@pytest.mark.parametrize(
    ("begin", "end", "count"), [(5e-6, 15e-6, 0), (25e-6, 60, 0), (31e-6, 60, 1)]
)
def test_missing_events_are_excused_only_by_a_gap_while_the_call_ran(
    begin: float, end: float, count: int
) -> None:
    texts = [datetime.fromtimestamp(it, UTC).isoformat() for it in (begin, end)]
    gap = {"type": "node.gap", "data": {"from": texts[0], "to": texts[1]}}
    marked = attrs.evolve(without_event(stored()), node_events=(gap,))
    assert len(unmarked([CALL], marked)) == count
    assert unmarked([CALL], stored()) == []
