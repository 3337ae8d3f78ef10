"""What is done with messages of mailboxes, in the rows: marked, deleted, given up for their age.

Each change comes with the event that tells of it, for the same transaction.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import attrs

from nizam.model.events import Event
from nizam.store.system.events import Database
from nizam.store.system.voicemail import MESSAGE_COLUMNS, Message, messages

_OF_MAILBOX: Final = f"""
select {", ".join(MESSAGE_COLUMNS)}, created_at > now() - make_interval(secs => %(young)s)
from voicemail_messages
where tenant_id = %(tenant_id)s and mailbox = %(mailbox)s and node = %(node)s
"""  # noqa: S608 - no values from outside
_MARK: Final = f"""
update voicemail_messages m set is_read = %(read)s, changes = changes + 1, updated_at = now(),
    read_at = case when %(read)s then now() end
where id = %(id)s and is_read <> %(read)s and state <> 'deleting'
returning {", ".join(MESSAGE_COLUMNS)}, now()
"""  # noqa: S608 - no values from outside
_MARK_DELETED: Final = """
update voicemail_messages set state = 'deleting', deleted_by = %(by)s,
    deletion_reason = %(reason)s, next_attempt_at = now() + make_interval(secs => %(wait)s),
    attempt_count = 0, updated_at = now()
where id = %(id)s and state <> 'deleting' returning 1
"""
_SHARED: Final = """
select 1 from voicemail_messages
where node = %(node)s and switch_id = %(switch_id)s and id <> %(id)s limit 1
"""
_GONE: Final = f"""
delete from voicemail_messages where id = %(id)s
returning {", ".join(MESSAGE_COLUMNS)}, bytes
"""  # noqa: S608 - no values from outside
_RECEIPT: Final = """
insert into voicemail_receipts (tenant_id, message_id, extension_id, mailbox, call_id, received_at,
    duration_ms, bytes, sha256, reason, deleted_by)
values (%(tenant_id)s, %(id)s, %(extension_id)s, %(mailbox)s, %(call_id)s, %(received_at)s,
    %(duration_ms)s, %(bytes)s, %(sha256)s, %(reason)s, %(by)s)
returning id, message_id, extension_id, mailbox, call_id, received_at, duration_ms, bytes, sha256,
    reason, deleted_by, deleted_at
"""
_RECEIPT_COLUMNS: Final = (
    *("id", "message_id", "extension_id", "mailbox", "call_id", "received_at", "duration_ms"),
    *("bytes", "sha256", "reason", "deleted_by", "deleted_at"),
)


async def messages_of(
    database: Database, tenant_id: UUID, node: str, mailbox: str, young_seconds: float
) -> list[tuple[Message, bool]]:
    """The messages of a mailbox of a node, each with whether it came here within so many
    seconds."""
    arguments = {"tenant_id": tenant_id, "node": node, "mailbox": mailbox, "young": young_seconds}
    rows = await database.query(_OF_MAILBOX, arguments)
    return list(zip(messages(it[:-1] for it in rows), (it[-1] for it in rows), strict=True))


async def note_mark(database: Database, message_id: UUID, *, read: bool, by: str) -> Event | None:
    """The switch counts a message as listened to, or not: the event that tells of it, to be
    written in the same transaction. None if that was known."""
    rows = await database.query(_MARK, {"id": message_id, "read": read})
    if not rows:
        return None
    [message] = messages([rows[0][:-1]])
    return message.event(f"voicemail.{'read' if read else 'unread'}", rows[0][-1], by=by)


async def mark_deleted(
    database: Database, message_id: UUID, *, by: str, reason: str, wait_seconds: float
) -> bool:
    """Have a message deleted after a wait, unless it is being deleted; whether it was not."""
    arguments = {"id": message_id, "by": by, "reason": reason, "wait": wait_seconds}
    return bool(await database.query(_MARK_DELETED, arguments))


async def is_shared(database: Database, it: Message) -> bool:
    """Whether other messages have the id that the switch has for this one."""
    arguments = {"node": it.node, "switch_id": it.switch_id, "id": it.id}
    return bool(await database.query(_SHARED, arguments))


async def note_gone(
    database: Database, message_id: UUID, *, by: str, reason: str
) -> tuple[dict[str, Any], Event] | None:
    """The switch has removed a message: the receipt in its place, and the event that tells of it,
    to be written in the same transaction. Who marked it for deletion comes before `by`. None if
    somebody else has noted it."""
    rows = await database.query(_GONE, {"id": message_id})
    if not rows:
        return None
    [message] = messages([rows[0][:-1]])
    arguments = {name: getattr(message, name) for name in MESSAGE_COLUMNS}
    arguments |= {"bytes": rows[0][-1]}
    arguments |= {"by": message.deleted_by or by, "reason": message.deletion_reason or reason}
    [row] = await database.query(_RECEIPT, arguments)
    receipt = dict(zip(_RECEIPT_COLUMNS, row, strict=True))
    event = attrs.evolve(message, changes=message.changes + 1).event(
        "voicemail.deleted",
        receipt["deleted_at"],
        by=receipt["deleted_by"],
        receipt_id=str(receipt["id"]),
        reason=receipt["reason"],
    )
    return receipt, event


_RETAIN: Final = """
update voicemail_messages m set state = 'deleting', deleted_by = 'system',
    deletion_reason = due.reason, next_attempt_at = now(), attempt_count = 0, updated_at = now()
from (
    select o.id, case when e.id is null then 'extension deleted' else 'retention' end as reason
    from voicemail_messages o
    join tenants t on t.id = o.tenant_id
    left join extensions e on e.id = o.extension_id
    where o.state <> 'deleting' and (
        (o.extension_id is not null and e.id is null)
        or ((t.body ->> 'voicemail_retention_days')::integer > 0 and o.received_at < now()
            - make_interval(days => (t.body ->> 'voicemail_retention_days')::integer)))
    limit %(most)s) due
where m.id = due.id and m.state <> 'deleting'
returning 1
"""


async def mark_old_messages(database: Database, most: int) -> int:
    """Mark messages for deletion that are older than their tenants keep them, or whose extension
    is gone, lest the next one with its number hears them; at most so many, how many."""
    return len(await database.query(_RETAIN, {"most": most}))
