"""The record of the scheduled tasks: what is due, what was asked for, how the last turn ended.

All times are PostgreSQL's, so that it does not matter which instance works.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import attrs

from nizam.store.connection import Statement

SCHEDULER_LEASE: Final = "scheduler"
LATE_SECONDS: Final = 600
"""How long after its second missed run a task is called late."""

_KNOW = """
with gone as (delete from scheduled_tasks where name <> all(%(names)s))
insert into scheduled_tasks (name, interval_seconds)
select * from unnest(%(names)s, %(intervals)s::int[])
on conflict (name) do update set interval_seconds = excluded.interval_seconds
where scheduled_tasks.interval_seconds <> excluded.interval_seconds
"""
TASKS: Final = f"""
select name, interval_seconds, next_at, requested_at, started_at, ended_at, succeeded_at,
    duration_ms, removed, error,
    now() >= next_at or coalesce(requested_at <= now(), false),
    coalesce(succeeded_at, known_since)
        < now() - make_interval(secs => 2 * interval_seconds + {LATE_SECONDS})
from scheduled_tasks order by name
"""  # noqa: S608 - our own number
_BEGIN = "update scheduled_tasks set started_at = clock_timestamp() where name = %s"
# A run that was asked for while this one was under way is still to come.
_END = """
update scheduled_tasks
set ended_at = clock_timestamp(),
    succeeded_at = case when %(error)s::text is null then clock_timestamp() else succeeded_at end,
    duration_ms = (extract(epoch from clock_timestamp() - started_at) * 1000)::int,
    removed = %(removed)s, error = %(error)s,
    next_at = clock_timestamp() + make_interval(secs => %(pause)s),
    requested_at = case
        when requested_at > started_at or %(more)s and %(error)s::text is null
        then requested_at end
where name = %(name)s
"""
REQUEST: Final = (
    "update scheduled_tasks set requested_at = clock_timestamp() where name = %s"
    " returning requested_at"
)


class Database(Protocol):
    """A transaction or a pool: what runs one statement."""

    async def query(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        """The rows of the statement."""


@attrs.frozen
class TaskState:
    """What is recorded of one task. It is `late` when it has not succeeded for two intervals and
    ten minutes."""

    name: str
    interval_seconds: int
    next_at: datetime
    requested_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    succeeded_at: datetime | None
    duration_ms: int | None
    removed: int | None
    error: str | None
    due: bool
    late: bool


async def know_tasks(database: Database, intervals: Mapping[str, int]) -> None:
    """Record which tasks there are, and every how many seconds each is due."""
    await database.query(_KNOW, {"names": list(intervals), "intervals": list(intervals.values())})


async def task_states(database: Database) -> list[TaskState]:
    """What is recorded of every task."""
    return [TaskState(*row) for row in await database.query(TASKS)]


def begun(name: str) -> Statement:
    """The statement that says that a turn of the task begins."""
    return _BEGIN, (name,)


def ended(
    name: str, *, removed: int, more: bool, pause_seconds: float, error: str | None
) -> Statement:
    """The statement that says how a turn has ended, and in how many seconds the next is due."""
    args: dict[str, Any] = {"name": name, "removed": removed, "more": more}
    return _END, {**args, "pause": pause_seconds, "error": error}


def late(states: Sequence[TaskState]) -> list[str]:
    """The names of those that are late."""
    return [it.name for it in states if it.late]
