"""Events into PostgreSQL, from the intake and from the API alike.

Events and the webhook deliveries that they cause are inserted by one statement, so that both are
stored or neither is. An event that is there already is left alone and causes nothing: whoever is
not sure whether a write succeeded simply writes again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol
from uuid import UUID

import attrs
import orjson

from nizam.model.events import Event, timestamp
from nizam.store.pool import Transaction
from nizam.store.system.deliveries import MATCH_DELIVERIES
from nizam.store.system.mails import INSERT_MAILS, MAILED

ONCE_PER_CALL: Final = ("call.started", "call.answered", "call.ended", "call.missed")
"""A call has at most one of each: reconciliation and a late event may both tell of it."""


class Database(Protocol):
    """A transaction or a pool: what runs one statement."""

    async def query(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        """The rows of the statement."""


@attrs.frozen
class WriteResult:
    """What a write really stored: the ids of new events, and (delivery id, webhook id) of the
    webhook deliveries that now wait."""

    event_ids: tuple[str, ...] = ()
    deliveries: tuple[tuple[UUID, UUID], ...] = ()


_EVENT_COLUMNS: Final = (
    "occurred_at, core_id, sequence, type, id, tenant_id, node, call_id, leg_id, data"
)

HELD: Final = "(select hold_event_log()) is not null"
"""A condition of every statement that draws positions, so that no reader goes beyond them before
they are committed: it is looked at once, before the first row."""
NEXT_POSITION: Final = "nextval('call_events_position')"

_STORED: Final = """
jsonb_build_array(array(select id from inserted),
    array(select id from deliveries), array(select webhook_id from deliveries))
"""

_NOT_YET: Final = """
    and (g.call_id is null or g.type <> all(%(once)s) or (
        -- A scalar subquery, because `not exists` may become a join that reads a whole day. No end
        -- of the time: of a partition without statistics, a beginning and an end are taken for so
        -- few rows that all events of the day are read instead of those of the call.
        select 1 from call_events e
        where e.call_id = g.call_id and e.type = g.type
          and e.occurred_at >= %(first)s::timestamptz - interval '1 day'
        limit 1) is null)
"""


def _insert(condition: str, more: str = "") -> str:
    return f"""
with given as (
    select * from jsonb_to_recordset(%(events)s::jsonb) as it(
        occurred_at timestamptz, core_id text, sequence bigint, type text, id text,
        tenant_id uuid, node text, call_id uuid, leg_id uuid, data jsonb)
), inserted as (
    insert into call_events ({_EVENT_COLUMNS}, position)
    select {_EVENT_COLUMNS}, {NEXT_POSITION} from given g
    where {HELD} {condition}
    on conflict do nothing
    returning id, occurred_at, type, tenant_id, call_id, data, call_events as stored
), {more}deliveries as (
    {MATCH_DELIVERIES}
)
"""  # noqa: S608 - no values from outside


_INSERT: Final = _insert(_NOT_YET)
_INSERT_OTHERS: Final = _insert("")
"""Where no event is one of those that a call has once: looking for them costs more, in planning
over all partitions, than everything else."""

_INSERT_AND_MAIL: Final = _insert(_NOT_YET, f"mails as ({INSERT_MAILS}), ")
"""Where people are to be told of one by email."""

_REPAIR: Final = f"""
with given as (
    select * from jsonb_to_recordset(%(calls)s::jsonb) as it(call_id uuid, tenant_id uuid)
), inserted as (
    -- A new position: who reads the tenant's log has gone beyond the old one.
    update call_events e set tenant_id = g.tenant_id, position = {NEXT_POSITION}
    from given g where {HELD} and e.call_id = g.call_id and e.tenant_id is null
    returning e.id, e as stored
), legs as (
    update cdr_legs l set tenant_id = g.tenant_id
    from given g where l.call_id = g.call_id and l.tenant_id is null
), deliveries as (
    {MATCH_DELIVERIES}
)
select {_STORED}
"""  # noqa: S608 - no values from outside


async def write_events(database: Database, events: Iterable[Event]) -> WriteResult:
    """Store `events`, those that are not there yet, with their webhook deliveries.

    One statement, however many there are. Raises what the pool raises.
    """
    sql, args = _statement(events)
    if not sql:
        return WriteResult()
    return _result((await database.query(f"{sql} select {_STORED}", args))[0][0])


async def write_events_and_commit(transaction: Transaction, events: Iterable[Event]) -> WriteResult:
    """Store events as `write_events` does and commit, in one round trip: what a transaction does
    last."""
    sql, args = _statement(events)
    if not sql:
        await transaction.commit()
        return WriteResult()
    return _result(await transaction.commit_with(sql, _STORED, args))


def _statement(events: Iterable[Event]) -> tuple[str, dict[str, Any]]:
    """What stores the events, and is followed by a select; nothing where there are none."""
    rows, seen, times = [], set(), []
    for event in events:
        if event.type in ONCE_PER_CALL and event.call_id is not None:
            if (event.type, event.call_id) in seen:
                continue
            seen.add((event.type, event.call_id))
        rows.append(_row(event))
        times.append(event.occurred_at)
    if not rows:
        return "", {}
    args = {
        "mailed": list(MAILED),
        "events": json_argument(rows),
        "once": list(ONCE_PER_CALL),
        "first": timestamp(min(times)),
    }
    if any(it["type"] in MAILED for it in rows):
        return _INSERT_AND_MAIL, args
    return _INSERT if seen else _INSERT_OTHERS, args


async def repair_tenants(database: Database, tenants: Sequence[tuple[UUID, UUID]]) -> WriteResult:
    """Give events and legs that were stored without a tenant theirs: (call id, tenant id) each."""
    if not tenants:
        return WriteResult()
    calls = [{"call_id": call_id, "tenant_id": tenant_id} for call_id, tenant_id in tenants]
    return _result((await database.query(_REPAIR, {"calls": json_argument(calls)}))[0][0])


def json_argument(rows: Any) -> str:
    """`rows` as the text of a jsonb argument; PostgreSQL has no NUL, so text loses its NULs."""
    document = orjson.dumps(rows).decode()
    if "\\u0000" in document:
        document = orjson.dumps(_without_nul(rows)).decode()
    return document


def ids_argument(ids: Iterable[UUID]) -> str:
    """UUIDs as the text of an array, in order, each once. A list becomes as many expressions as it
    has items, which take PostgreSQL longer to read, and make a statement of its own of each
    length in pg_stat_statements."""
    return f"{{{','.join(sorted(set(map(str, ids))))}}}"


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, dict):
        return {key.replace("\x00", ""): _without_nul(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nul(item) for item in value]
    return value


def _row(event: Event) -> dict[str, Any]:
    return {
        "occurred_at": event.occurred_at,
        "core_id": event.core_id,
        "sequence": event.sequence,
        "type": event.type,
        "id": event.id,
        "tenant_id": event.tenant_id,
        "node": event.node,
        "call_id": event.call_id,
        "leg_id": event.leg_id,
        "data": dict(event.data),
    }


def _result(stored: Sequence[Sequence[str]]) -> WriteResult:
    event_ids, delivery_ids, webhook_ids = stored
    pairs = zip(delivery_ids, webhook_ids, strict=True)
    return WriteResult(
        tuple(event_ids), tuple((UUID(delivery), UUID(webhook)) for delivery, webhook in pairs)
    )
