"""Reading users and API keys, the platform's resources of which a part belongs to tenants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, bindparam, cast, false, or_
from sqlalchemy.dialects.postgresql import JSONB

from nizam.errors import NotFound
from nizam.model.resource import Resource
from nizam.store.connection import Row
from nizam.store.listing import Listing, Page, page_of
from nizam.store.pages import page_statement
from nizam.store.pool import Pool
from nizam.store.queries import listing_fields
from nizam.store.statements import compile_statement
from nizam.store.stored import Stored, columns, from_row
from nizam.store.tables.resources import table

Reach = frozenset[UUID] | None
"""The tenants whose part is read; None is everything, the platform's own included."""


async def get_shared(pool: Pool, resource: Resource, identifier: UUID, reach: Reach) -> Stored:
    """The object, if it belongs to one of the tenants; NotFound."""
    its = table(resource.name)
    statement = (
        its.select()
        .with_only_columns(*(its.c[name] for name in columns(resource)))
        .where(its.c.id == bindparam("identifier", identifier), *_within(resource, reach))
    )
    rows = await _query(pool, reach, *compile_statement(statement))
    if not rows:
        raise NotFound
    return from_row(resource, rows[0])


async def page_shared(pool: Pool, resource: Resource, listing: Listing, reach: Reach) -> Page:
    """One page of those that belong to the tenants, as mappings."""
    its = table(resource.name)
    statement = page_statement(
        [its.c[name] for name in columns(resource)],
        listing_fields(resource),
        its.c.id,
        listing,
        *_within(resource, reach),
        search=[its.c[name] for name in resource.search],
    )
    rows = await _query(pool, reach, *compile_statement(statement))
    found = page_of([(row[:-2], *row[-2:]) for row in rows], ("row",), listing)
    return Page([from_row(resource, it["row"]).shown() for it in found.rows], found.next_cursor)


def _within(resource: Resource, reach: Reach) -> list[ColumnElement[bool]]:
    if reach is None:
        return []
    its = table(resource.name)
    if not reach:
        return [false()]
    if "tenant_id" in its.c:
        return [or_(*(its.c.tenant_id == it for it in sorted(reach)))]
    member = [
        its.c.body["memberships"].op("@>")(
            cast(bindparam(f"member_{number}", f'[{{"tenant_id": "{it}"}}]', Text()), JSONB)
        )
        for number, it in enumerate(sorted(reach))
    ]
    return [or_(*member)]


async def _query(pool: Pool, reach: Reach, sql: str, args: dict[str, Any]) -> Sequence[Row]:
    """Under row-level security where it can be: a transaction sees one tenant, not several."""
    if reach is not None and len(reach) == 1:
        return await pool.tenant_query(next(iter(reach)), sql, args)
    return await pool.query(sql, args)
