"""The scheduled work as seen from outside the daemon: what `nizam scheduler` and the doctor ask.

Blocking and reactor-free, directly on the database.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import attrs
import psycopg2

from nizam.errors import DatabaseUnavailable
from nizam.store.system.leases import HOLDER
from nizam.store.system.scheduled_tasks import REQUEST, SCHEDULER_LEASE, TASKS, TaskState

POLL_SECONDS = 0.2
_CONNECT_SECONDS = 5


@attrs.frozen
class ScheduledWork:
    """Which instance leads, None when none does, and the record of each task."""

    leader: str | None
    tasks: Sequence[TaskState]

    @property
    def late(self) -> list[str]:
        """The tasks that have not succeeded for long."""
        return [it.name for it in self.tasks if it.late]


def read_scheduled_work(dsn: str) -> ScheduledWork:
    """How the scheduled work is. Raises DatabaseUnavailable."""
    with _cursor(dsn) as cursor:
        return _read(cursor)


def run_task(dsn: str, name: str, seconds: float) -> TaskState:
    """Ask the leader to run a task now, and wait until it has, for so long at most.

    Gives the record of the task then. Raises DatabaseUnavailable, LookupError for a task that is
    not known, and TimeoutError when the task has not ended or nobody leads.
    """
    with _cursor(dsn) as cursor:
        cursor.execute(REQUEST, (name,))
        if not cursor.fetchall():
            known = ", ".join(it.name for it in _read(cursor).tasks)
            raise LookupError(f"there is no task {name}; there are {known or 'none yet'}")
        until = time.monotonic() + seconds
        while True:
            work = _read(cursor)
            task = next(it for it in work.tasks if it.name == name)
            if task.requested_at is None:
                return task
            if time.monotonic() > until:
                raise TimeoutError(_why_not(work, name, seconds))
            time.sleep(POLL_SECONDS)


def _why_not(work: ScheduledWork, name: str, seconds: float) -> str:
    if work.leader is None:
        return "no instance with the scheduler role leads the scheduled work"
    return f"{name} has not ended within {seconds:g} s; {work.leader} goes on with it"


def _read(cursor: Any) -> ScheduledWork:
    cursor.execute(HOLDER, (SCHEDULER_LEASE,))
    rows = cursor.fetchall()
    cursor.execute(TASKS)
    return ScheduledWork(
        str(rows[0][0]) if rows else None, [TaskState(*row) for row in cursor.fetchall()]
    )


@contextmanager
def _cursor(dsn: str) -> Iterator[Any]:
    try:
        with closing(psycopg2.connect(dsn, connect_timeout=_CONNECT_SECONDS)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise DatabaseUnavailable(str(error).strip()) from None
    except psycopg2.errors.UndefinedTable:
        raise DatabaseUnavailable("the database is not migrated: nizam migrate") from None
