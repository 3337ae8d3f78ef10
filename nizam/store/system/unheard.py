"""Calls that have a CDR and whose end was told by no event: nobody heard them hang up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import attrs

from nizam.events.channels import Call
from nizam.events.endings import endings
from nizam.events.legs import Leg
from nizam.model.events import Event
from nizam.store.system.cdrs import legs_of_calls

# Nearly every call has its event, and looking for it is all the work: an index of few blocks finds
# the summaries, another one the event.
_UNHEARD: Final = """
select call_id, tenant_id, node, started_at from cdrs c
where created_at >= now() - make_interval(secs => %(from)s)
  and created_at < now() - make_interval(secs => %(to)s) and ended_at is not null
  and not exists (
    select from call_events e
    where e.call_id = c.call_id and e.type = 'call.ended'
      and e.occurred_at between c.started_at - interval '1 hour' and c.ended_at + interval '1 day')
limit %(most)s
"""


class Database(Protocol):
    """A transaction, or what makes one of each statement."""

    async def query(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        """The rows of the statement."""


@attrs.frozen
class Unheard:
    """A call whose end was not told. `node` is where it was."""

    call_id: UUID
    tenant_id: UUID | None
    node: str | None
    started_at: datetime


async def unheard_calls(
    database: Database, since: float, until: float, most: int
) -> Sequence[Unheard]:
    """Those whose summaries were made from `since` to `until` seconds ago."""
    args = {"from": since, "to": until, "most": most}
    return [Unheard(*row) for row in await database.query(_UNHEARD, args)]


async def ends_of(database: Database, calls: Iterable[Unheard]) -> list[Event]:
    """call.ended of each call, and call.missed where somebody missed it, marked as reconciled."""
    wanted = list(calls)
    by_call: dict[UUID, list[Leg]] = {}
    for leg in await legs_of_calls(database, [(it.call_id, it.started_at) for it in wanted]):
        if leg.call_id is not None:
            by_call.setdefault(leg.call_id, []).append(leg)
    return [event for it in wanted for event in _ends(it, by_call.get(it.call_id, []))]


def _ends(it: Unheard, legs: Sequence[Leg]) -> list[Event]:
    ended = [leg for leg in legs if leg.ended_at is not None]
    if not ended:
        return []
    last = max(ended, key=lambda leg: (leg.ended_at, leg.leg_id))
    call = Call(call_id=it.call_id, tenant_id=it.tenant_id, legs={leg.leg_id: leg for leg in legs})
    assert last.ended_at is not None  # noqa: S101 - chosen so
    told = endings(
        call,
        attrs.evolve(last, reconciled=True),
        last.ended_at,
        str(it.call_id),
        0,
        it.node or last.node or "",
    )
    # The first leg of a call that the API has placed is a phone that it rang: nobody missed that.
    placed = any(leg.leg_id == it.call_id and leg.direction == "outbound" for leg in legs)
    return told[:1] if placed else told
