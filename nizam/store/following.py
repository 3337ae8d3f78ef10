"""A tenant's events in the order of the log, for clients that go on where they were."""

from __future__ import annotations

from uuid import UUID

import attrs
from sqlalchemy import select

from nizam.errors import NotFound
from nizam.store.history import CALL_EVENT_FIELDS, EVENT_COLUMNS, shown_event
from nizam.store.listing import Listing, Page
from nizam.store.pages import conditions
from nizam.store.pool import Pool
from nizam.store.statements import compile_statement
from nizam.store.system.event_log import (
    START,
    cursor_text,
    log_end,
    position_of_event,
    read_cursor,
)
from nizam.store.tables.events import CALL_EVENTS

FROM_START, FROM_END = "start", "end"


@attrs.frozen
class Following:
    """Events as envelopes, the cursor after which one goes on, and whether there is more now."""

    page: Page
    more: bool


async def place_of(pool: Pool, tenant_id: UUID, after: str) -> int:
    """The position that a client means: `start`, `end`, a cursor, or the id of an event.

    ValidationFailed for what is none of them, NotFound for an event that is not kept (any more).
    """
    if after == FROM_START:
        return START
    if after == FROM_END:
        return await log_end(pool)
    if after.startswith("evt_"):
        try:
            return await position_of_event(pool, tenant_id, after)
        except NotFound:
            raise NotFound(f"no event {after[:40]} is kept") from None
    return read_cursor(after)


async def follow_call_events(
    pool: Pool, tenant_id: UUID, after: int, listing: Listing
) -> Following:
    """The events after a position that pass the filters of `listing`, as many as its limit says.

    `pool` is the primary's. The cursor is there also when nothing was found.
    """
    end = await log_end(pool)
    if end <= after:
        return Following(Page([], cursor_text(after)), more=False)
    position = CALL_EVENTS.c.position
    statement = (
        select(*(CALL_EVENTS.c[name] for name in EVENT_COLUMNS), position)
        .where(
            CALL_EVENTS.c.tenant_id == tenant_id,
            position > after,
            position <= end,
            *conditions(CALL_EVENT_FIELDS, listing),
        )
        .order_by(position)
        .limit(listing.limit)
    )
    rows = await pool.tenant_query(tenant_id, *compile_statement(statement))
    more = len(rows) == listing.limit
    found = [shown_event(dict(zip(EVENT_COLUMNS, row, strict=False))) for row in rows]
    return Following(Page(found, cursor_text(rows[-1][-1] if more else end)), more)
