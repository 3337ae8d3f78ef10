"""The events of one call are in order: in what is stored, and at endpoints that asked for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from tests.chaos.checkers.deliveries import endpoint
from tests.chaos.history import Arrival, Fault, History, overlapping
from tests.chaos.schedule import FAULTS
from tests.chaos.stored import Row, Stored

LAST: Final = ("call.ended", "call.missed")
COMMIT_SECONDS: Final = 1.0
"""Between the beginning of a transaction and its commit, when PostgreSQL is well."""


def check(history: History) -> list[str]:
    """Everything that is wrong."""
    stored = history.stored
    ordered = {name for name, (_, is_ordered) in history.setting.endpoints.items() if is_ordered}
    arrivals = [it for it in history.of(Arrival) if it.endpoint in ordered]
    return disorder(stored) + overtaken(stored, arrivals, history.of(Fault), history.patience)


def disorder(stored: Stored) -> list[str]:
    """Calls that something is told of before their beginning or after their end."""
    found = []
    for call_id, rows in stored.events.items():
        events = sorted(
            (it for it in rows if it["type"].startswith("call.")),
            key=lambda it: (it["occurred_at"], it["sequence"]),
        )
        begun = [it["occurred_at"] for it in events if it["type"] == "call.started"]
        ended = [it["occurred_at"] for it in events if it["type"] == "call.ended"]
        for it in events:
            if begun and it["occurred_at"] < begun[0]:
                found.append(f"call {call_id}: {it['type']} before call.started")
            if ended and it["occurred_at"] > ended[0] and it["type"] not in LAST:
                found.append(f"call {call_id}: {it['type']} after call.ended")
    return found


def overtaken(
    stored: Stored, arrivals: Iterable[Arrival], faults: Iterable[Fault] = (), patience: float = 1.0
) -> list[str]:
    """Webhooks of a call that came before one of an earlier event which had to come first.

    An event that was stored only after a later one had been sent could not come first.
    """
    storage = [it for it in faults if FAULTS[it.name].storage == "postgres"]
    rows: Mapping[str, Row] = {it["id"]: it for it in stored.all_events}
    promised = {(endpoint(it), it["event_id"]): it["created_at"] / 1e6 for it in stored.deliveries}
    first: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for it in arrivals:
        if it.call_id is not None and it.event_id in rows:
            first[it.endpoint, it.call_id].setdefault(it.event_id, it.at)
    found = []
    commit = COMMIT_SECONDS * patience
    for (where, call_id), came in first.items():
        by_time = sorted(came, key=lambda it: (rows[it]["occurred_at"], rows[it]["sequence"]))
        for index, later in enumerate(by_time):
            for earlier in by_time[:index]:
                if rows[earlier]["occurred_at"] == rows[later]["occurred_at"]:
                    continue
                known = promised.get((where, earlier), float("inf")) + commit
                if came[earlier] <= came[later] or known > came[later]:
                    continue
                if any(overlapping(storage, known - commit, came[later])):
                    continue
                found.append(
                    f"call {call_id} at {where}: {rows[later]['type']} came"
                    f" {came[earlier] - came[later]:.3f} s before {rows[earlier]['type']}"
                )
    return found
