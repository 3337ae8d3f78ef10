"""What is left to do with recorded files, and what was found.

It is done by whoever takes it: taking puts off the next attempt, so that another instance takes it
when this one dies. The rows are made by recordings_told.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import attrs

from nizam.media.wav import WavFacts
from nizam.model.events import Event
from nizam.store.system.events import Database

_CLOSE: Final = """
update recordings r
set state = 'checking', stopped_at = coalesce(r.stopped_at, l.ended_at), next_attempt_at = now(),
    attempt_count = 0, updated_at = now()
from cdr_legs l
where r.state in ('recording', 'stopped') and l.leg_id = r.leg_id
  and l.started_at between r.started_at - interval '2 days' and r.started_at + interval '1 hour'
  and l.ended_at < now() - interval '2 seconds'
returning 1
"""
_CLOSE_CONFERENCES: Final = """
update recordings
set state = 'checking', next_attempt_at = now(), attempt_count = 0, updated_at = now()
where state = 'recording' and leg_id is null and started_at < now() - interval '1 day'
returning 1
"""

_TAKE: Final = """
update recordings r
set attempt_count = attempt_count + 1, updated_at = now(),
    next_attempt_at = now() + make_interval(secs => %(lease)s)
where r.id in (
    select id from recordings where next_attempt_at <= now()
    order by next_attempt_at limit %(most)s for update skip locked)
returning {columns}
"""

_FOUND: Final = """
update recordings set state = %(state)s, problem = %(problem)s, bytes = %(bytes)s,
    sha256 = %(sha256)s, duration_ms = coalesce(%(duration_ms)s, duration_ms),
    sample_rate = %(sample_rate)s, channels = %(channels)s, completed_at = now(),
    direction = coalesce(
        (select c.direction from cdrs c where c.call_id = recordings.call_id
           and c.started_at between recordings.started_at - interval '2 days'
                                and recordings.started_at + interval '1 hour' limit 1), direction),
    next_attempt_at = case when %(more)s then now() end, attempt_count = 0, updated_at = now()
where id = %(id)s and sequence = %(sequence)s and state in ('checking', 'missing')
returning direction
"""
_MISSING: Final = """
update recordings set state = 'missing', problem = %(problem)s, updated_at = now(),
    next_attempt_at = case when %(wait)s::float is null then null
        else now() + make_interval(secs => %(wait)s) end
where id = %(id)s and sequence = %(sequence)s and state in ('checking', 'missing')
returning 1
"""
_PUT_OFF: Final = """
update recordings set problem = %(problem)s, updated_at = now(),
    next_attempt_at = now() + make_interval(secs => %(wait)s)
where id = %(id)s and sequence = %(sequence)s
returning 1
"""
_NOTHING: Final = """
delete from recordings where id = %(id)s and sequence = %(sequence)s and state = 'checking'
returning 1
"""


@attrs.frozen(kw_only=True)
class RecordingWork:
    """A recording with which something is left to do."""

    id: UUID
    tenant_id: UUID
    path: str
    state: str
    storage: str
    is_local: bool
    object_key: str | None
    call_id: UUID | None
    leg_id: UUID | None
    extension_id: UUID | None
    node: str | None
    direction: str | None
    from_number: str | None
    to_number: str | None
    started_at: datetime
    stopped_at: datetime | None
    duration_ms: int | None
    bytes: int | None
    sha256: str | None
    legal_hold: bool
    deleted_by: str | None
    deletion_reason: str | None
    told_at: datetime
    core_id: str
    sequence: int
    attempt_count: int
    problem: str | None

    def event(self, kind: str, **data: Any) -> Event:
        """What is told of it: once, however often it is found."""
        return Event(
            type=kind,
            occurred_at=self.stopped_at or self.told_at,
            core_id=self.core_id,
            sequence=self.sequence,
            node=self.node,
            tenant_id=self.tenant_id,
            call_id=self.call_id,
            leg_id=self.leg_id,
            data={
                "recording_id": str(self.id),
                "path": self.path,
                "extension_id": None if self.extension_id is None else str(self.extension_id),
                "direction": self.direction,
                "from": self.from_number,
                "to": self.to_number,
                **data,
            },
        )


WORK_COLUMNS: Final = tuple(it.name for it in attrs.fields(RecordingWork))


async def close_ended(database: Database) -> int:
    """Have those checked whose leg has ended without a word of the switch about them, and those of
    conferences, which no leg ends, a day after they have begun; how many."""
    return len(await database.query(_CLOSE)) + len(await database.query(_CLOSE_CONFERENCES))


async def take_recordings(
    database: Database, most: int, lease_seconds: float
) -> list[RecordingWork]:
    """Some with which something is left to do; nobody else is given them for `lease_seconds`."""
    sql = _TAKE.format(columns=", ".join(f"r.{it}" for it in WORK_COLUMNS))
    rows = await database.query(sql, {"most": most, "lease": lease_seconds})
    return [RecordingWork(**dict(zip(WORK_COLUMNS, row, strict=True))) for row in rows]


async def note_found(
    database: Database, it: RecordingWork, facts: WavFacts, *, more: bool
) -> RecordingWork | None:
    """The file is there; with `more` there is something left to do with it. The recording as it
    is then; None if the switch has gone on with it meanwhile."""
    rows = await database.query(
        _FOUND,
        {
            "id": it.id,
            "sequence": it.sequence,
            "state": "available" if facts.problem is None else "damaged",
            "problem": facts.problem,
            "bytes": facts.bytes,
            "sha256": facts.sha256,
            "duration_ms": facts.duration_ms,
            "sample_rate": facts.sample_rate,
            "channels": facts.channels,
            "more": more,
        },
    )
    return attrs.evolve(it, direction=rows[0][0]) if rows else None


async def note_missing(
    database: Database, it: RecordingWork, problem: str, wait_seconds: float | None
) -> bool:
    """The file is not there; it is looked for again after a wait, None for never."""
    arguments = {"id": it.id, "sequence": it.sequence, "problem": problem, "wait": wait_seconds}
    return bool(await database.query(_MISSING, arguments))


async def put_off(
    database: Database, it: RecordingWork, problem: str | None, wait_seconds: float
) -> None:
    """Try again after a wait."""
    arguments = {"id": it.id, "sequence": it.sequence, "problem": problem, "wait": wait_seconds}
    await database.query(_PUT_OFF, arguments)


async def forget_empty(database: Database, it: RecordingWork) -> None:
    """Nothing was recorded."""
    await database.query(_NOTHING, {"id": it.id, "sequence": it.sequence})


_ERASED: Final = """
with gone as (
    delete from recordings where id = %s and state = 'deleting' and not legal_hold returning *
)
insert into recording_receipts (tenant_id, recording_id, call_id, started_at, duration_ms, bytes,
    sha256, storage, reason, deleted_by)
select tenant_id, id, call_id, started_at, duration_ms, bytes, sha256, storage,
    coalesce(deletion_reason, 'asked for'), coalesce(deleted_by, 'system')
from gone
returning id, tenant_id, recording_id, call_id, started_at, duration_ms, bytes, sha256, storage,
    reason, deleted_by, deleted_at
"""
_RECEIPT: Final = (
    *("id", "tenant_id", "recording_id", "call_id", "started_at", "duration_ms", "bytes"),
    *("sha256", "storage", "reason", "deleted_by", "deleted_at"),
)


async def note_erased(
    database: Database, recording_id: UUID
) -> tuple[dict[str, Any], Event] | None:
    """The file is gone: the receipt in the place of the recording, and the event that tells of it,
    to be written in the same transaction. None if somebody else has noted it."""
    rows = await database.query(_ERASED, (recording_id,))
    if not rows:
        return None
    receipt = dict(zip(_RECEIPT, rows[0], strict=True))
    event = Event(
        type="recording.deleted",
        occurred_at=receipt["deleted_at"],
        core_id=str(recording_id),
        sequence=0,
        tenant_id=receipt.pop("tenant_id"),
        call_id=receipt["call_id"],
        data={
            "recording_id": str(recording_id),
            "receipt_id": str(receipt["id"]),
            "reason": receipt["reason"],
            "deleted_by": receipt["deleted_by"],
            "size_bytes": receipt["bytes"],
            "sha256": receipt["sha256"],
        },
    )
    return receipt, event


_RETAIN: Final = """
update recordings r set state = 'deleting', deleted_by = 'system', deletion_reason = 'retention',
    next_attempt_at = now(), attempt_count = 0, updated_at = now()
from (
    select d.id from tenants t, lateral (
        select o.id from recordings o
        where o.tenant_id = t.id and o.state in ('available', 'missing', 'damaged')
          and not o.legal_hold
          and o.started_at < now()
              - make_interval(days => (t.body ->> 'recording_retention_days')::integer)
        limit %(most)s) d
    where (t.body ->> 'recording_retention_days')::integer > 0
    limit %(most)s) due
where r.id = due.id and not r.legal_hold
returning 1
"""
_WAITING: Final = """
select state, count(*), extract(epoch from now() - min(coalesce(stopped_at, updated_at)))::float
from recordings where next_attempt_at is not null group by state
"""


async def mark_old_recordings(database: Database, most: int) -> int:
    """Mark recordings for deletion that are older than their tenants keep them, at most so many;
    how many. Those under legal hold stay."""
    return len(await database.query(_RETAIN, {"most": most}))


async def waiting_recordings(database: Database) -> list[tuple[str, int, float]]:
    """With how many recordings something is left to do, by state, and how long the oldest of them
    has waited, in seconds."""
    return [(row[0], row[1], row[2]) for row in await database.query(_WAITING)]


_STORED: Final = """
update recordings set storage = 's3', object_key = %(key)s, problem = null, updated_at = now(),
    next_attempt_at = now(), attempt_count = 0
where id = %(id)s and sequence = %(sequence)s and state in ('available', 'damaged')
returning 1
"""
_MOVED: Final = """
update recordings set is_local = false, next_attempt_at = null, attempt_count = 0, problem = null,
    updated_at = now()
where id = %(id)s and sequence = %(sequence)s and storage = 's3'
returning 1
"""
_MOVE: Final = """
update recordings set next_attempt_at = now(), attempt_count = 0, updated_at = now()
where id in (
    select id from recordings
    where is_local and state in ('available', 'damaged') and next_attempt_at is null
    limit %(most)s for update skip locked)
returning 1
"""


async def note_stored(database: Database, it: RecordingWork, key: str) -> bool:
    """The object storage has the file; False if the switch has gone on with it meanwhile."""
    arguments = {"id": it.id, "sequence": it.sequence, "key": key}
    return bool(await database.query(_STORED, arguments))


async def note_moved(database: Database, it: RecordingWork) -> None:
    """The media root does not have the file any more."""
    await database.query(_MOVED, {"id": it.id, "sequence": it.sequence})


async def have_moved(database: Database, most: int) -> int:
    """Have complete recordings moved that were left in the media root, at most so many."""
    return len(await database.query(_MOVE, {"most": most}))


_SETTLED: Final = """
update recordings set next_attempt_at = null, attempt_count = 0
where id = %(id)s and sequence = %(sequence)s and state in ('available', 'damaged')
returning 1
"""


async def note_settled(database: Database, it: RecordingWork) -> None:
    """Nothing is left to do with a complete recording."""
    await database.query(_SETTLED, {"id": it.id, "sequence": it.sequence})
