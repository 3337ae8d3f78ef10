"""A call that has ended, for people: a line for the call, a tree of its legs, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Row = Mapping[str, Any]


def cdr_text(cdr: Row) -> Iterator[str]:
    """The lines."""
    route = f", by {cdr['route']}" if cdr["route"] else ""
    yield f"{cdr['started_at']}  {cdr['direction']}, {_parties(cdr['from'], cdr['to'])}{route}"
    ended = f"{cdr['result']}, {cdr['hangup_cause']}, the {cdr['hangup_by']} ended it"
    yield f"{ended}; {_seconds(cdr)}{_quality(cdr)}"
    for name in ("did", "destination", "country", "gateway", "revision"):
        if cdr[name] is not None:
            yield f"{name}: {cdr[name]}"
    for name in ("recording_ids", "linked_call_ids"):
        if cdr[name]:
            yield f"{name.removesuffix('_ids').replace('_', ' ')}s: {', '.join(cdr[name])}"
    yield ""
    for leg in cdr["legs"]:
        yield from _leg(leg)
    for it in cdr["transfers"]:
        by = f" by {it['by']}" if it["by"] else ""
        yield f"{it['at']}  sent on ({it['kind'] or 'transfer'}) to {it['to'] or 'somebody'}{by}"
    for it in cdr["decisions"]:
        yield ""
        yield f"{it['decided_at']}  {_parties(it['from'], it['to'])}: {it['outcome'] or 'unknown'}"
        yield from (f"  {why}" for why in it["why"])


def _leg(leg: Row) -> Iterator[str]:
    pad = "    " * leg["depth"]
    branch = f"{pad[:-4]}└── " if leg["depth"] else ""
    parts = [leg["codec"], leg["gateway"] and f"through {leg['gateway']}", leg["hangup_cause"]]
    said = ", ".join(it for it in parts if it)
    yield f"{branch}{_parties(leg['caller_number'], leg['number'])}: {said}"
    yield f"{pad}{_seconds(leg)}{_quality(leg)}; leg {leg['leg_id']}"


def _parties(caller: str | None, dialled: str | None) -> str:
    return f"{caller or 'unknown'} to {dialled or 'nobody'}"


def _seconds(row: Row) -> str:
    answered = "answered for" if row["answered_at"] else "not answered,"
    length = row["billable_ms"] if row["answered_at"] else row["duration_ms"]
    return f"{answered} {length / 1000:.1f} s"


def _quality(row: Row) -> str:
    quality = row["quality"]
    if quality["mos"] is None:
        return ""
    loss, jitter = quality["packet_loss_percent"], quality["jitter_ms"]
    return f"; MOS {quality['mos']}, {loss} % lost, {jitter} ms jitter"
