"""The log of events in the order in which it grew: read on from where one was, skip nothing.

Each row has a position, drawn from a sequence while it is written. Transactions overlap: one may
draw 7, another 8, and 8 be committed first; whoever had read 8 would never see 7. So a writer says
where the sequence stands before it draws: its transaction has a shared advisory lock whose key is
that number (`hold_event_log()`, in the condition `HELD` of every statement that draws). A reader
asks for the sequence first and for the lowest of those locks then (`event_log_end()`): what is at
or below the lower of the two is committed, since PostgreSQL makes a commit visible before it lets
go of its locks, and who takes a lock later draws beyond it. Readers go no further.

Why not the oldest running transaction (`pg_snapshot_xmin`): it holds readers up behind every long
transaction of the server, those of other databases included; here only those that write events
count, and they do so last. Why not a number given under an exclusive lock: changes of all tenants
would be committed one after another. Writers here never wait for each other.

The locks are those of the primary, so the log is read there, never on a replica.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import attrs

from nizam.errors import FieldError, NotFound, ValidationFailed
from nizam.model.events import Event, event_time
from nizam.store.pool import Pool
from nizam.store.system.events import Database

MOST: Final = 500
START: Final = 0
"""Before the first event."""

CURSOR_PREFIX: Final = "pos_"
_DIGITS: Final = 16
_COLUMNS: Final = (
    "position, type, occurred_at, core_id, sequence, node, tenant_id, call_id, leg_id, data"
)
_END: Final = "select event_log_end()"
_READ: Final = f"""
select {_COLUMNS} from call_events where position > %(after)s and position <= %(end)s
order by position limit %(most)s
"""  # noqa: S608 - no values from outside
_WANTED: Final = """
  and (type = any(%(types)s) or split_part(type, '.', 1) = any(%(families)s))
"""
_POSITION: Final = """
select position from call_events
where tenant_id = %s and id = %s and occurred_at >= %s and occurred_at < %s
"""


@attrs.frozen
class Logged:
    """An event and its place in the log: who has read it goes on after `position`."""

    position: int
    event: Event


@attrs.frozen
class LogPage:
    """Events in the order of the log.

    One goes on after `position`, also when nothing was found: what is up to there was looked at.
    With `more` there is more to read at once.
    """

    events: Sequence[Logged]
    position: int
    more: bool


async def log_end(database: Database) -> int:
    """The position up to which everything is committed: where a reader begins who wants what
    comes from now on."""
    rows = await database.query(_END)
    return int(rows[0][0])


async def read_log(database: Database, after: int, *, most: int = MOST) -> LogPage:
    """The events of all tenants, and the platform's own, after a position.

    An event whose tenant became known later has moved to a new position then: it comes again,
    with the same id.
    """
    end = await log_end(database)
    if end <= after:
        # Less where a writer holds a place that it has not gone beyond, and never will go back to.
        return LogPage((), after, more=False)
    rows = await database.query(_READ, {"after": after, "end": end, "most": most})
    return _page(rows, end, most)


async def read_tenant_log(
    pool: Pool,
    tenant_id: UUID,
    after: int,
    *,
    most: int = MOST,
    types: Collection[str] = (),
    call_id: UUID | None = None,
) -> LogPage:
    """The events of one tenant after a position, under its row-level security.

    `types` are types and families such as `call.*`, as webhooks subscribe to them; none of them,
    or `*`, is every type.
    """
    end = await log_end(pool)
    if end <= after:
        # Less where a writer holds a place that it has not gone beyond, and never will go back to.
        return LogPage((), after, more=False)
    conditions = "where tenant_id = %(tenant_id)s and position > %(after)s and position <= %(end)s"
    if types and "*" not in types:
        conditions += _WANTED
    if call_id is not None:
        conditions += " and call_id = %(call_id)s"
    rows = await pool.tenant_query(
        tenant_id,
        f"select {_COLUMNS} from call_events {conditions} order by position limit %(most)s",  # noqa: S608
        {
            "tenant_id": tenant_id,
            "after": after,
            "end": end,
            "most": most,
            "types": [it for it in types if not it.endswith(".*")],
            "families": [it.removesuffix(".*") for it in types if it.endswith(".*")],
            "call_id": call_id,
        },
    )
    return _page(rows, end, most)


async def position_of_event(pool: Pool, tenant_id: UUID, event_id: str) -> int:
    """Where the tenant's event with this id is in the log; NotFound."""
    try:
        moment = event_time(event_id)
        following = moment + timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise NotFound from None
    rows = await pool.tenant_query(tenant_id, _POSITION, (tenant_id, event_id, moment, following))
    if not rows:
        raise NotFound
    return int(rows[0][0])


def cursor_text(position: int) -> str:
    """A position as clients are given it; the texts sort as the positions do."""
    return f"{CURSOR_PREFIX}{position:0{_DIGITS}x}"


def read_cursor(text: str) -> int:
    """The position of such a text; ValidationFailed for any other."""
    digits = text.removeprefix(CURSOR_PREFIX)
    if not text.startswith(CURSOR_PREFIX) or len(digits) != _DIGITS or set(digits) - _HEX:
        message = f"is no cursor of the event log, as {cursor_text(4711)}"
        raise ValidationFailed("not a cursor", errors=[FieldError("after", "invalid", message)])
    return int(digits, 16)


_HEX: Final = frozenset("0123456789abcdef")


def _page(rows: Sequence[Sequence[Any]], end: int, most: int) -> LogPage:
    events = [Logged(int(row[0]), _event(row)) for row in rows]
    more = len(rows) == most
    return LogPage(events, events[-1].position if more else end, more)


def _event(row: Sequence[Any]) -> Event:
    _, kind, occurred_at, core_id, sequence, node, tenant_id, call_id, leg_id, data = row
    return Event(
        type=kind,
        occurred_at=occurred_at,
        core_id=core_id,
        sequence=sequence,
        node=node,
        tenant_id=tenant_id,
        call_id=call_id,
        leg_id=leg_id,
        data=data,
    )
