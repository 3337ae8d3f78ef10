"""Every promised webhook came, under its own id; repetitions are bounded and say the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from tests.chaos.history import Arrival, Fault, History, Refusal
from tests.chaos.schedule import FAULTS
from tests.chaos.stored import Row, Stored

HELD_BY_A_WORKER: Final = 64 + 250
"""Deliveries that a worker may have sent without that being written down: as many as it has under
way, and as many as it writes down at once (nizam/webhooks/worker.py)."""


def check(history: History) -> list[str]:
    """Everything that is wrong."""
    arrivals, stored = history.of(Arrival), history.stored
    setting = history.setting
    found = delivery_problems(
        stored,
        arrivals,
        refused=len(history.of(Refusal)),
        repeats=None,
        untold=setting.untold,
    )
    found += too_many_repeats(arrivals, history.of(Fault), setting.instances)
    per_tenant: dict[str, set[str]] = defaultdict(set)
    for name, (tenant_id, _) in setting.endpoints.items():
        per_tenant[tenant_id].add(name)
    promised = {(endpoint(row), row["event_id"]) for row in stored.deliveries}
    for event in stored.all_events:
        if event["tenant_id"] is None or event["occurred_at"] < setting.started * 1e6:
            continue
        if event["type"] in setting.untold:
            continue
        for name in per_tenant[event["tenant_id"]]:
            if (name, event["id"]) not in promised:
                found.append(f"{event['type']} {event['id']} was not promised to {name}")
    return found


def delivery_problems(
    stored: Stored,
    arrivals: Sequence[Arrival],
    *,
    refused: int = 0,
    repeats: int | None = 0,
    untold: Collection[str] = (),
) -> list[str]:
    """Webhooks that did not come, were not promised, or are not known to have come.

    `repeats` is how many may have come again, None is any number; the same event has the same
    content each time. Nobody is told of `untold` types.
    """
    found = []
    if refused:
        found.append(f"{refused} webhooks were signed wrongly")
    counts = Counter((it.endpoint, it.event_id) for it in arrivals)
    promised = set()
    for row in stored.deliveries:
        it = (endpoint(row), row["event_id"])
        promised.add(it)
        if row["status"] != "succeeded":
            found.append(f"delivery of {it[1]} is {row['status']}: {row['last_error']}")
        if it not in counts:
            found.append(f"{row['event_id']} never came")
    known = {event_id for _, event_id in promised}
    for call_id, events in stored.events.items():
        for event in events:
            if event["tenant_id"] is None or event["type"] in untold:
                continue
            if event["id"] not in known:
                found.append(f"call {call_id}: {event['type']} was promised to nobody")
    found += [f"{it[1]} came but is stored nowhere" for it in counts.keys() - promised]
    again = [(it, count) for it, count in counts.items() if count > 1]
    if repeats is not None and sum(count - 1 for _, count in again) > repeats:
        found += [f"{it[1]} came {count} times" for it, count in again]
    return found + different(arrivals)


def different(arrivals: Iterable[Arrival]) -> list[str]:
    """Events that came with more than one content under the same id."""
    digests: dict[tuple[str, str], set[str]] = defaultdict(set)
    for it in arrivals:
        digests[it.endpoint, it.event_id].add(it.digest)
    return [
        f"{event_id} came with {len(them)} contents"
        for (_, event_id), them in digests.items()
        if len(them) > 1
    ]


def too_many_repeats(
    arrivals: Iterable[Arrival], faults: Iterable[Fault], instances: int = 1
) -> list[str]:
    """Webhooks that came again more often than the faults explain."""
    breaks = sum(FAULTS[it.name].repeats for it in faults)
    counts = Counter((it.endpoint, it.event_id) for it in arrivals)
    again = {it: count - 1 for it, count in counts.items() if count > 1}
    found = [
        f"{it[1]} came {count + 1} times with {breaks} faults that explain it"
        for it, count in again.items()
        if count > breaks
    ]
    total, most = sum(again.values()), breaks * instances * HELD_BY_A_WORKER
    if total > most:
        found.append(f"{total} webhooks came again, {most} at most are explained")
    return found


def endpoint(row: Row) -> str:
    """The last segment of the address that a delivery went to."""
    return urlsplit(row["url"] or "").path.rpartition("/")[2]
