"""Sending ended deliveries again, a slice at a time and no faster than is asked for.

A replay is a row that says how far it has come, along the deliveries' order of creation; whoever
finds it due moves it on by a slice (see `go_on`, which the workers call), so that a million
deliveries are never held in memory and the rate holds however many workers there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import attrs

from nizam.store.deliveries import PENDING, Pairs
from nizam.store.system.deliveries import Queries

Ended = Literal["dead", "succeeded"]

COUNTED: Final = 1_000_000
"""How far deliveries are counted before they are replayed."""

# Written out, so that the planner sees that the index of the dead ones will do.
_STATUS = {
    ("dead",): "d.status = 'dead'",
    ("succeeded",): "d.status = 'succeeded'",
    ("dead", "succeeded"): "d.status in ('dead', 'succeeded')",
}
_OF_REPLAY = """
    d.tenant_id = %(tenant)s and d.webhook_id = %(webhook)s and {status}
    and (%(since)s::timestamptz is null or d.created_at >= %(since)s)
    and d.created_at < %(until)s
"""
_BEGIN = """
with counted as (
    select count(*) as total from (
        select from webhook_deliveries d where {of_replay} limit {counted}) it
)
insert into webhook_replays
    (tenant_id, webhook_id, statuses, since, until, rate_per_second, total)
select %(tenant)s, %(webhook)s, %(statuses)s, %(since)s, %(until)s, %(rate)s, total from counted
on conflict (webhook_id) where status = 'running' do nothing
returning id, total
"""
_SLICE = """
with chosen as (
    select d.id, d.created_at from webhook_deliveries d
    where {of_replay}
      and (%(after_at)s::timestamptz is null
           or (d.created_at, d.id) > (%(after_at)s, %(after_id)s::uuid))
    order by d.created_at, d.id limit %(most)s
), moved as (
    update webhook_deliveries d set {pending} from chosen
    where d.id = chosen.id and {status} returning d.id, d.webhook_id
)
select moved.id, moved.webhook_id, chosen.created_at, chosen.id
from chosen left join moved on moved.id = chosen.id order by chosen.created_at, chosen.id
"""
_STEP = """
update webhook_replays set replayed = replayed + %(replayed)s,
    after_created_at = coalesce(%(after_at)s, after_created_at),
    after_id = coalesce(%(after_id)s, after_id), next_at = now() + interval '1 second',
    status = case when %(over)s then 'done' else status end,
    ended_at = case when %(over)s then now() end
where id = %(id)s
"""
_COLUMNS = (
    "r.id, r.tenant_id, r.webhook_id, r.statuses, r.since, r.until, r.rate_per_second,"
    " r.after_created_at, r.after_id"
)


@attrs.frozen
class Replay:
    """One that is under way: which deliveries, how fast, and after which of them it goes on."""

    id: UUID
    tenant_id: UUID
    webhook_id: UUID
    statuses: Sequence[Ended]
    since: datetime | None
    until: datetime
    rate: int
    after_at: datetime | None = None
    after_id: UUID | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """What the statements name."""
        return {
            "tenant": self.tenant_id,
            "webhook": self.webhook_id,
            "since": self.since,
            "until": self.until,
            "after_at": self.after_at,
            "after_id": self.after_id,
            "statuses": list(self.statuses),
            "rate": self.rate,
        }


async def replay_these(
    database: Queries, webhook_id: UUID, ids: Sequence[UUID], statuses: Sequence[Ended]
) -> Pairs:
    """Send these deliveries again, those that have ended, with a whole new schedule."""
    rows = await database.query(
        f"update webhook_deliveries d set {PENDING}"  # noqa: S608 - our own text
        f" where d.webhook_id = %(webhook)s and {_status(statuses)}"
        " and d.id = any(%(ids)s::uuid[]) returning d.id, d.webhook_id",
        {"webhook": webhook_id, "ids": list(ids)},
    )
    return [(row[0], row[1]) for row in rows]


async def begin(
    database: Queries,
    tenant_id: UUID,
    webhook_id: UUID,
    *,
    since: datetime | None,
    until: datetime,
    statuses: Sequence[Ended],
    rate: int,
) -> tuple[UUID, int, Pairs] | None:
    """Begin a replay and make its first slice pending: its id, of how many deliveries it is, and
    the slice. None while another of the webhook is under way."""
    wanted = Replay(UUID(int=0), tenant_id, webhook_id, statuses, since, until, rate)
    rows = await database.query(
        _BEGIN.format(of_replay=_of(statuses), counted=COUNTED), wanted.arguments
    )
    if not rows:
        return None
    begun = attrs.evolve(wanted, id=rows[0][0])
    return begun.id, int(rows[0][1]), await _go_on(database, begun)


async def cancel(database: Queries, webhook_id: UUID) -> bool:
    """End the replay that is under way; False when there is none. What it has made pending is
    delivered."""
    rows = await database.query(
        "update webhook_replays set status = 'cancelled', ended_at = now()"
        " where webhook_id = %s and status = 'running' returning id",
        (webhook_id,),
    )
    return bool(rows)


async def take_due(database: Queries) -> Replay | None:
    """A replay that is due, locked for this transaction; None when there is none. That of a webhook
    which was paused waits."""
    rows = await database.query(
        f"select {_COLUMNS} from webhook_replays r"  # noqa: S608 - our own text
        " where r.status = 'running' and r.next_at <= now() and not exists ("
        " select from webhooks w where w.id = r.webhook_id and w.enabled and w.status = 'paused')"
        " order by r.next_at limit 1 for update skip locked"
    )
    return Replay(*rows[0]) if rows else None


async def go_on(database: Queries, it: Replay) -> Pairs:
    """Make the next second's deliveries of a replay pending. One whose webhook is disabled or gone
    is cancelled."""
    rows = await database.query(
        "select from webhooks where id = %s and enabled and status <> 'disabled'",
        (it.webhook_id,),
    )
    if not rows:
        await cancel(database, it.webhook_id)
        return []
    return await _go_on(database, it)


async def _go_on(database: Queries, it: Replay) -> Pairs:
    status = _status(it.statuses)
    sql = _SLICE.format(of_replay=_of(it.statuses), status=status, pending=PENDING)
    rows = await database.query(sql, {**it.arguments, "most": it.rate})
    moved = [(row[0], row[1]) for row in rows if row[0] is not None]
    last = rows[-1][2:] if rows else (None, None)
    step = {
        "id": it.id,
        "replayed": len(moved),
        "after_at": last[0],
        "after_id": last[1],
        "over": len(rows) < it.rate,
    }
    await database.query(f"{_STEP} returning 1", step)
    return moved


def _status(statuses: Sequence[Ended]) -> str:
    return _STATUS[tuple(sorted(set(statuses)))]


def _of(statuses: Sequence[Ended]) -> str:
    return _OF_REPLAY.format(status=_status(statuses))
