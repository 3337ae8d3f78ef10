"""What the switch tells of recorded files, kept as rows: what is left to do with them is in
recordings.py.

A row belongs to one file. It is made by the first event about the file, whichever that is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from nizam.model.audio import recording_below
from nizam.model.events import Event
from nizam.store.system.events import Database, json_argument

_TOLD: Final = ("recording.started", "recording.stopped")

_COLUMNS: Final = (
    "tenant_id, path, state, call_id, leg_id, extension_id, node, direction, from_number,"
    " to_number, started_at, stopped_at, duration_ms, told_at, core_id, sequence"
)
_NEWER: Final = "(excluded.told_at, excluded.sequence) > (r.told_at, r.sequence)"


def _newer(column: str) -> str:
    return f"{column} = case when {_NEWER} then excluded.{column} else r.{column} end"


_UPSERT: Final = f"""
insert into recordings as r ({_COLUMNS}, next_attempt_at)
select {_COLUMNS}, case when state = 'checking' then now() end
from jsonb_to_recordset(%(rows)s::jsonb) as it(
    tenant_id uuid, path text, state text, call_id uuid, leg_id uuid, extension_id uuid,
    node text, direction text, from_number text, to_number text, started_at timestamptz,
    stopped_at timestamptz, duration_ms bigint, told_at timestamptz, core_id text,
    sequence bigint)
order by path
on conflict (path) where is_local do update set
    state = case when r.state = 'deleting' or not {_NEWER} then r.state else excluded.state end,
    started_at = least(r.started_at, excluded.started_at),
    next_attempt_at = case when r.state = 'deleting' or not {_NEWER} then r.next_attempt_at
        else excluded.next_attempt_at end,
    attempt_count = case when {_NEWER} then 0 else r.attempt_count end,
    {", ".join(_newer(it) for it in ("stopped_at", "duration_ms", "core_id", "sequence"))},
    -- Last: what is above compares with the former.
    {_newer("told_at")},
    updated_at = now()
"""  # noqa: S608 - no values from outside
_DISCARD: Final = """
delete from recordings where is_local and state in ('recording', 'stopped') and path = any(%s)
returning 1
"""


async def write_recordings(
    database: Database, events: Iterable[Event], stored: Collection[str]
) -> None:
    """Keep what the events about recorded files say; those whose ids are not in `stored` were
    stored before. Files that lie in no tenant's folder are not NIZAM's."""
    told = [it for it in events if it.type in _TOLD]
    if not told:
        return
    new = frozenset(stored)
    rows: dict[str, dict[str, Any]] = {}
    discarded: list[str] = []
    for event in sorted(told, key=lambda it: (it.occurred_at, it.sequence)):
        place = recording_below(str(event.data.get("path")))
        if place is None or event.id not in new:
            continue
        tenant_id, path = place
        if event.data.get("discarded"):
            rows.pop(path, None)
            discarded.append(path)
            continue
        rows[path] = _row(event, tenant_id, path, rows.get(path))
    if discarded:
        await database.query(_DISCARD, (discarded,))
    if rows:
        await database.query(_UPSERT, {"rows": json_argument(list(rows.values()))})


def _row(
    event: Event, tenant_id: UUID, path: str, former: Mapping[str, Any] | None
) -> dict[str, Any]:
    data, started = event.data, event.type == "recording.started"
    state = "recording" if started else "stopped" if data.get("may_continue") else "checking"
    return {
        "tenant_id": tenant_id,
        "path": path,
        "state": state,
        "call_id": event.call_id,
        "leg_id": event.leg_id,
        "extension_id": data.get("extension_id"),
        "node": event.node,
        "direction": data.get("direction"),
        "from_number": data.get("from"),
        "to_number": data.get("to"),
        "started_at": _started_at(event, former),
        "stopped_at": None if started else event.occurred_at,
        "duration_ms": None if started else data.get("duration_ms"),
        "told_at": event.occurred_at,
        "core_id": event.core_id,
        "sequence": event.sequence,
    }


def _started_at(event: Event, former: Mapping[str, Any] | None) -> datetime:
    if former is not None:
        started: datetime = former["started_at"]
        return started
    # Whoever hears of the end alone knows how long it was.
    return event.occurred_at - timedelta(milliseconds=event.data.get("duration_ms") or 0)
