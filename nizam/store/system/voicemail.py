"""Messages of mailboxes as the system's own paths write them: what the switch said of them, what
was found of their files, and what was done with them.

A message's row is made by the first who hears of it: the intake from the event, or whoever
compares. What is left to do with it is done by whoever takes it, as with recordings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import attrs

from nizam.media.wav import WavFacts
from nizam.model.events import Event
from nizam.model.voicemail_files import voicemail_below
from nizam.store.system.events import Database, json_argument
from nizam.store.system.voicemail_comparing import compare_mailboxes, sweep_nodes

_MISSED: Final = ("node.gap", "node.up")
"""After which a node may have messages that nobody has told of."""
_TOLD: Final = ("voicemail.received", "voicemail.waiting", *_MISSED)

_COLUMNS: Final = (
    "id, tenant_id, mailbox, domain, node, switch_id, path, file, call_id, from_number,"
    " from_name, urgent, folder, received_at, is_read, read_at, duration_ms"
)
_INSERT: Final = f"""
insert into voicemail_messages ({_COLUMNS}, extension_id, next_attempt_at)
select {_COLUMNS}, coalesce(
    it.extension_id,
    (select e.id from extensions e where e.tenant_id = it.tenant_id and e.number = it.mailbox)),
    now()
from jsonb_to_recordset(%(rows)s::jsonb) as it(
    id uuid, tenant_id uuid, mailbox text, domain text, node text, switch_id text, path text,
    file text, call_id uuid, from_number text, from_name text, urgent boolean, folder text,
    received_at timestamptz, is_read boolean, read_at timestamptz, duration_ms bigint,
    extension_id uuid)
order by id
on conflict do nothing
returning id, extension_id
"""  # noqa: S608 - no values from outside
_TAKE: Final = """
update voicemail_messages m
set attempt_count = attempt_count + 1, updated_at = now(),
    next_attempt_at = now() + make_interval(secs => %(lease)s)
where m.id in (
    select id from voicemail_messages where next_attempt_at <= now() and state = any(%(states)s)
    order by next_attempt_at limit %(most)s for update skip locked)
returning {columns}
"""
_MAIL: Final = """
insert into mails (tenant_id, event_id, recipient, kind, occurred_at, call_id, data)
select m.tenant_id, 'voicemail ' || m.id, e.body #>> '{voicemail,email}', 'voicemail',
    m.received_at, m.call_id, jsonb_build_object(
        'message_id', m.id, 'mailbox', m.mailbox, 'name', e.body ->> 'display_name',
        'from', m.from_number, 'from_name', m.from_name, 'duration_ms', m.duration_ms,
        'urgent', m.urgent,
        'time_zone', coalesce(e.body ->> 'time_zone', t.body ->> 'time_zone', 'UTC'),
        'attach', coalesce((e.body #>> '{voicemail,attach_audio}')::boolean, true),
        'delete', coalesce((e.body #>> '{voicemail,delete_after_email}')::boolean, false))
from voicemail_messages m
join extensions e on e.id = m.extension_id and e.tenant_id = m.tenant_id
join tenants t on t.id = m.tenant_id
where m.id = %(id)s and not m.is_read and m.state <> 'deleting'
  and m.received_at > now() - interval '1 day'
  and e.body #>> '{voicemail,email}' is not null
on conflict do nothing
returning 1
"""
"""What is older, or was listened to, is no news: a mailbox may have been found with all it has."""
_SOUND: Final = """
select file, bytes from voicemail_messages where id = %s and state <> 'deleting'
"""
_FOUND: Final = """
update voicemail_messages set state = %(state)s, problem = %(problem)s, bytes = %(bytes)s,
    sha256 = %(sha256)s, duration_ms = coalesce(%(duration_ms)s, duration_ms),
    next_attempt_at = null, attempt_count = 0, updated_at = now()
where id = %(id)s and state in ('checking', 'missing') returning 1
"""
_MISSING: Final = """
update voicemail_messages set state = 'missing', problem = %(problem)s, updated_at = now(),
    next_attempt_at = case when %(wait)s::float is null then null
        else now() + make_interval(secs => %(wait)s) end
where id = %(id)s and state in ('checking', 'missing') returning 1
"""
_PUT_OFF: Final = """
update voicemail_messages set problem = %(problem)s, updated_at = now(),
    next_attempt_at = now() + make_interval(secs => %(wait)s)
where id = %(id)s returning 1
"""


@attrs.frozen(kw_only=True)
class Message:
    """A message as it is stored."""

    id: UUID
    tenant_id: UUID
    extension_id: UUID | None
    mailbox: str
    domain: str
    node: str | None
    switch_id: str | None
    path: str
    file: str | None
    call_id: UUID | None
    from_number: str | None
    from_name: str | None
    urgent: bool
    folder: str
    received_at: datetime
    is_read: bool
    duration_ms: int | None
    state: str
    sha256: str | None
    deleted_by: str | None
    deletion_reason: str | None
    changes: int
    attempt_count: int
    problem: str | None

    def event(self, kind: str, at: datetime, **data: Any) -> Event:
        """What is told of it next."""
        return Event(
            type=kind,
            occurred_at=at,
            core_id=str(self.id),
            sequence=self.changes,
            node=self.node,
            tenant_id=self.tenant_id,
            call_id=self.call_id,
            data={
                "mailbox": self.mailbox,
                "domain": self.domain,
                "message_id": str(self.id),
                "extension_id": None if self.extension_id is None else str(self.extension_id),
                "from": self.from_number,
                "from_name": self.from_name,
                "duration_ms": self.duration_ms,
                "urgent": self.urgent,
                **data,
            },
        )


MESSAGE_COLUMNS: Final = tuple(it.name for it in attrs.fields(Message))


def messages(rows: Iterable[tuple[Any, ...]]) -> list[Message]:
    """Those that rows with MESSAGE_COLUMNS hold."""
    return [Message(**dict(zip(MESSAGE_COLUMNS, row, strict=True))) for row in rows]


async def write_voicemail(
    database: Database, events: Iterable[Event], stored: Collection[str]
) -> None:
    """Keep what the events say of mailboxes; those whose ids are not in `stored` were stored
    before. What belongs to no tenant is not NIZAM's."""
    told = [it for it in events if it.type in _TOLD]
    if not told:
        return
    new = frozenset(stored)
    told = [it for it in told if it.id in new]
    own = [it for it in told if it.tenant_id is not None]
    left = [it for it in own if it.type == "voicemail.received" and it.data.get("path")]
    if left:
        await insert_messages(database, [message_row(it) for it in left])
    await compare_mailboxes(
        database,
        [
            (it.tenant_id, it.node, str(it.data["mailbox"]), str(it.data["domain"]))
            for it in own
            if it.type == "voicemail.waiting" and it.tenant_id is not None and it.node is not None
        ],
    )
    await sweep_nodes(database, {it.node for it in told if it.type in _MISSED and it.node})


def message_row(event: Event) -> dict[str, Any]:
    """The row of a message, from voicemail.received."""
    data = event.data
    below = voicemail_below(str(data["path"]))
    # Nobody is given the file of another tenant, whatever the switch says.
    own = below is not None and below[0] == event.tenant_id
    return {
        "id": data["message_id"],
        "tenant_id": event.tenant_id,
        "extension_id": below[1] if own and below is not None else None,
        "mailbox": data["mailbox"],
        "domain": data["domain"],
        "node": event.node,
        "switch_id": data["switch_id"],
        "path": data["path"],
        "file": below[2] if own and below is not None else None,
        "call_id": event.call_id,
        "from_number": data["from"],
        "from_name": data["from_name"],
        "urgent": data["urgent"],
        "folder": data["folder"],
        "received_at": event.occurred_at,
        "is_read": False,
        "read_at": None,
        "duration_ms": data["duration_ms"],
    }


async def insert_messages(
    database: Database, rows: list[dict[str, Any]]
) -> list[tuple[UUID, UUID | None]]:
    """Store messages, those that are not there yet: their ids, and whose mailbox each is in."""
    found = await database.query(_INSERT, {"rows": json_argument(rows)})
    return [(row[0], row[1]) for row in found]


async def take_messages(
    database: Database, states: Collection[str], most: int, lease_seconds: float
) -> list[Message]:
    """Some with which something is left to do; nobody else is given them for `lease_seconds`."""
    sql = _TAKE.format(columns=", ".join(f"m.{it}" for it in MESSAGE_COLUMNS))
    arguments = {"most": most, "lease": lease_seconds, "states": list(states)}
    return messages(await database.query(sql, arguments))


@attrs.frozen
class Sound:
    """Where the sound of a message is below the media root, and its size in bytes."""

    file: str | None
    size: int | None


async def sound_of(database: Database, message_id: UUID) -> Sound | None:
    """The sound of a message; None if the message is gone."""
    rows = await database.query(_SOUND, (message_id,))
    return Sound(*rows[0]) if rows else None


async def mail_of(database: Database, message_id: UUID) -> None:
    """Have an email sent about a message that is news, if its mailbox has an address; once."""
    await database.query(_MAIL, {"id": message_id})


async def note_found(database: Database, it: Message, facts: WavFacts) -> bool:
    """The file is there; False if somebody else has settled the message."""
    arguments = {
        "id": it.id,
        "state": "available" if facts.problem is None else "damaged",
        "problem": facts.problem,
        "bytes": facts.bytes,
        "sha256": facts.sha256,
        "duration_ms": facts.duration_ms,
    }
    return bool(await database.query(_FOUND, arguments))


async def note_missing(
    database: Database, it: Message, problem: str, wait_seconds: float | None
) -> None:
    """The file is not there; it is looked for again after a wait, None for never."""
    await database.query(_MISSING, {"id": it.id, "problem": problem, "wait": wait_seconds})


async def put_off(
    database: Database, it: Message, problem: str | None, wait_seconds: float
) -> None:
    """Try again after a wait."""
    await database.query(_PUT_OFF, {"id": it.id, "problem": problem, "wait": wait_seconds})
