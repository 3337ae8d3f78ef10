"""A call has its summary within five seconds of its end, or of recovery from what was broken then.

A backlog is recovered from when it has been stored: more events that wait than one transaction
takes, as after a minute without PostgreSQL under load.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from nizam.sim.truth import CallTruth
from nizam.switch.writer import BATCH_ITEMS
from tests.chaos.checkers.calls import name
from tests.chaos.history import Backlog, Fault, History
from tests.chaos.schedule import FAULTS
from tests.chaos.stored import Stored

RECORDS_SECONDS: Final = 5.0


def check(history: History) -> list[str]:
    """Everything that is wrong."""
    return late_summaries(
        history.calls,
        history.stored,
        history.of(Fault),
        history.of(Backlog),
        history.patience,
    )


def late_summaries(
    calls: Iterable[CallTruth],
    stored: Stored,
    faults: Iterable[Fault] = (),
    backlogs: Sequence[Backlog] = (),
    patience: float = 1.0,
) -> list[str]:
    """Summaries that came later than promised; all seconds are `patience` times longer."""
    away = [(it.began, it.recovered) for it in faults if FAULTS[it.name].group != "webhooks"]
    disturbed = sorted([*away, *_waiting(backlogs)])
    found = []
    for call in calls:
        ended = max(leg.ended for leg in call.legs) / 1e6
        due = _undisturbed(ended, disturbed, RECORDS_SECONDS * patience)
        for row in stored.summaries.get(call.call_id, ()):
            late = row["created_at"] / 1e6 - due
            if late > 0:
                after = row["created_at"] / 1e6 - ended
                found.append(
                    f"{name(call)}: the summary came {after:.1f} s after its end, {late:.1f} s late"
                )
    return found


def _undisturbed(begin: float, disturbed: Iterable[tuple[float, float]], seconds: float) -> float:
    """The end of the first so many seconds from `begin` on without a disturbance."""
    for low, high in disturbed:
        if low > begin + seconds:
            break
        begin = max(begin, high)
    return begin + seconds


def _waiting(samples: Sequence[Backlog]) -> Iterator[tuple[float, float]]:
    """From when to when there was a backlog: from the sample before it to the one after it."""
    for number, it in enumerate(samples):
        if it.items > BATCH_ITEMS:
            before, after = samples[max(0, number - 1)], samples[min(len(samples) - 1, number + 1)]
            yield before.at, after.at
