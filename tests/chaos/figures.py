"""Figures of a run, worked out from its history."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from tests.chaos.checkers.deliveries import endpoint
from tests.chaos.history import Arrival, Fault, History, Probe

SETTLING_SECONDS = 0.5
"""Between the beginning of a fault of endpoints and the last webhook that they still took."""


def figures(history: History) -> dict[str, float]:
    """By name, in the order in which a person reads them."""
    stored = history.stored
    arrivals = {(it.endpoint, it.event_id) for it in history.arrivals}
    api = [it for it in history.of(Probe) if it.what == "api"]
    answers = Counter(it.status for it in api)
    faults = history.of(Fault)
    found: dict[str, float] = {
        "calls": len(history.calls),
        "events stored": len(stored.all_events),
        "legs": sum(map(len, stored.legs.values())),
        "deliveries": len(stored.deliveries),
        "webhooks that came again": len(history.arrivals) - len(arrivals),
        "writes acknowledged": sum(it.outcome == "done" for it in history.operations),
        "writes without an answer": sum(it.outcome == "unknown" for it in history.operations),
        "gaps": sum(it["type"] == "node.gap" for it in stored.node_events),
        "faults": len(faults),
        "seconds stretched by": history.patience,
        "longest recovery, s": max((it.recovered - it.ended for it in faults), default=0.0),
        "slowest answer of the API, s": max((it.seconds for it in api), default=0.0),
        "API probes answered 200": answers[200],
        "API probes answered 503": answers[503],
        "API probes without an answer": answers[0],
    }
    for what, samples in _latencies(history):
        if samples:
            for name, fraction in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
                found[f"{what}, {name}, ms"] = 1000 * percentile(samples, fraction)
    return found


def percentile(samples: Sequence[float], fraction: float) -> float:
    """The nearest-rank percentile."""
    return sorted(samples)[min(len(samples) - 1, int(fraction * len(samples)))]


def _latencies(history: History) -> Iterator[tuple[str, list[float]]]:
    stored = history.stored
    first: dict[tuple[str, str], Arrival] = {}
    for it in history.arrivals:
        first.setdefault((it.endpoint, it.event_id), it)
    moments = {it["id"]: it["occurred_at"] / 1e6 for it in stored.all_events}
    calm, beside = [], []
    away = list(_away(history))
    for row in stored.deliveries:
        arrival = first.get((endpoint(row), row["event_id"]))
        moment = moments.get(row["event_id"])
        if arrival is None or moment is None:
            continue
        during = [it for it in away if it[0] <= moment <= it[1]]
        if not during:
            calm.append(arrival.at - moment)
        elif all(arrival.endpoint not in silent for _, _, silent in during):
            beside.append(arrival.at - moment)
    yield "event to webhook", calm
    yield "event to webhook beside endpoints that are away", beside
    ends = {it.call_id: it.ended / 1e6 for it in history.calls}
    yield (
        "hang-up to CDR",
        [
            max(0.0, row["created_at"] / 1e6 - ends[call_id])
            for call_id, rows in stored.summaries.items()
            for row in rows
            if call_id in ends
        ],
    )


def _away(history: History) -> Iterator[tuple[float, float, set[str]]]:
    """When some endpoints were away, and which: those where nothing came."""
    came: dict[str, list[float]] = defaultdict(list)
    for it in history.arrivals:
        came[it.endpoint].append(it.at)
    for fault in history.of(Fault):
        if not fault.name.endswith("-webhooks"):
            continue
        begin = fault.began + SETTLING_SECONDS
        silent = {
            name
            for name in history.setting.endpoints
            if not any(begin <= at < fault.ended for at in came[name])
        }
        yield fault.began, fault.ended, silent
