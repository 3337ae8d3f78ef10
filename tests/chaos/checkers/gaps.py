"""Where events are missing a node.gap says so, and no gap is there that nothing explains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from nizam.sim.truth import CallTruth
from tests.chaos.checkers.calls import expected_events, name
from tests.chaos.history import Fault, History, overlapping
from tests.chaos.schedule import FAULTS
from tests.chaos.stored import Stored

SLACK_SECONDS: Final = 1.0
"""Between the end of a link and the last event that was heard before it."""


def check(history: History) -> list[str]:
    """Everything that is wrong."""
    stored = history.stored
    found = unmarked(history.calls, stored)
    return found + unexplained(stored, history.of(Fault), history.setting.started)


def unmarked(truth: Iterable[CallTruth], stored: Stored) -> list[str]:
    """Calls that lack events although no node.gap says that some may be missing while they ran.

    One that no gap touches has not too many either.
    """
    marked = list(gaps(stored))
    found = []
    for call in truth:
        counts = Counter(event["type"] for event in stored.events.get(call.call_id, []))
        counts.pop("voicemail.received", None)
        wanted = expected_events(call)
        began, ended = call.created / 1e6, max(leg.ended for leg in call.legs) / 1e6
        if counts == wanted or any(low <= ended and began <= high for low, high in marked):
            continue
        if missing := wanted - counts:
            found.append(f"{name(call)}: lacks {dict(missing)} outside every gap")
        if surplus := counts - wanted:
            found.append(f"{name(call)}: has {dict(surplus)} too many outside every gap")
    return found


def unexplained(stored: Stored, faults: Iterable[Fault], started: float) -> list[str]:
    """Gaps at a time when nothing was done to the event socket or to an instance."""
    breaking = [it for it in faults if FAULTS[it.name].events]
    return [
        f"a node.gap from {low:.3f} to {high:.3f} without a reason"
        for low, high in gaps(stored)
        if high > started
        and not any(overlapping(breaking, low - SLACK_SECONDS, high + SLACK_SECONDS))
    ]


def gaps(stored: Stored) -> Iterator[tuple[float, float]]:
    """From when to when events may be missing, in seconds since the epoch."""
    for event in stored.node_events:
        if event["type"] == "node.gap":
            yield _moment(event["data"]["from"]), _moment(event["data"]["to"])


def _moment(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0
