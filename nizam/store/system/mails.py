"""The outbox of emails: who is to be told of an emergency call or a message, until each has been.

Rows are inserted by the statement that inserts the event of an emergency call (see events.py), or
settles a message (see voicemail.py). Taking some puts off
their next attempt, so that another instance takes them when this one dies; an email may then be
sent twice, and is never forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, Protocol
from uuid import UUID

import attrs

MailKind = Literal["emergency", "voicemail"]
MAILED: Final = ("emergency.dialled",)
"""Types of events whose `notify` lists the addresses to be told."""

GIVEN_UP_HOURS: Final = 24

INSERT_MAILS: Final = """
    insert into mails (tenant_id, event_id, recipient, occurred_at, call_id, data)
    select i.tenant_id, i.id, it.recipient, i.occurred_at, i.call_id, i.data
    from inserted i, lateral (
        select distinct jsonb_array_elements_text(i.data -> 'notify') as recipient) it
    where i.type = any(%(mailed)s) and i.tenant_id is not null
      and jsonb_typeof(i.data -> 'notify') = 'array'
    on conflict do nothing
"""

_TAKE: Final = """
update mails m set attempt_count = attempt_count + 1, updated_at = now(),
    next_attempt_at = now() + make_interval(secs => %(lease)s)
where m.id in (
    select id from mails where status = 'pending' and next_attempt_at <= now() and kind = %(kind)s
    order by next_attempt_at limit %(most)s for update skip locked)
returning id, tenant_id, recipient, occurred_at, call_id, data, attempt_count,
    coalesce((select t.body ->> 'name' from tenants t where t.id = m.tenant_id),
             m.tenant_id::text)
"""
_SENT: Final = """
update mails set status = 'sent', last_error = null, updated_at = now() where id = %s
"""
_POINTLESS: Final = """
update mails set status = 'dead', last_error = 'what it tells of is gone', updated_at = now()
where id = %s
"""
_FAILED: Final = """
update mails set last_error = %(error)s, updated_at = now(),
    status = case when created_at < now() - make_interval(hours => %(hours)s)
             then 'dead' else 'pending' end,
    next_attempt_at = now() + make_interval(secs => %(wait)s)
where id = %(id)s returning status = 'dead'
"""
_PRUNE: Final = """
delete from mails where id in (
    select id from mails where status <> 'pending'
      and updated_at < now() - make_interval(days => %(days)s) limit %(most)s)
returning 1
"""


@attrs.frozen
class Mail:
    """One email that waits: `data` is that of the event that it tells of, `tenant` the name of
    the tenant."""

    id: UUID
    tenant_id: UUID
    recipient: str
    occurred_at: datetime
    call_id: UUID | None
    data: Mapping[str, Any]
    attempt: int
    tenant: str


class Database(Protocol):
    """A transaction or a pool: what runs one statement."""

    async def query(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        """The rows of the statement."""


async def take_mails(
    database: Database, most: int, lease_seconds: float, kind: MailKind = "emergency"
) -> list[Mail]:
    """Some emails that are due; nobody else is given them for `lease_seconds`."""
    rows = await database.query(_TAKE, {"most": most, "lease": lease_seconds, "kind": kind})
    return [Mail(*row) for row in rows]


async def note_sent(database: Database, mail_id: UUID) -> None:
    """The mail server has taken the email."""
    await database.query(f"{_SENT} returning 1", (mail_id,))


async def note_pointless(database: Database, mail_id: UUID) -> None:
    """What it would tell of is not there any more."""
    await database.query(f"{_POINTLESS} returning 1", (mail_id,))


async def note_failed(database: Database, mail_id: UUID, error: str, wait_seconds: float) -> bool:
    """It has not: try again after a wait, or (True) give up after a day."""
    rows = await database.query(
        _FAILED,
        {"id": mail_id, "error": error[:500], "wait": wait_seconds, "hours": GIVEN_UP_HOURS},
    )
    return bool(rows and rows[0][0])


async def prune_mails(database: Database, days: int, most: int) -> int:
    """Remove emails that were sent or given up so many days ago; how many."""
    return len(await database.query(_PRUNE, {"days": days, "most": most}))
