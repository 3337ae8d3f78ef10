"""What the resident snapshots are loaded from and follow: the routed rows of every tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import cache
from uuid import UUID

import attrs

from nizam.model.registry import resources
from nizam.model.resource import Resource
from nizam.routing.rows import Row
from nizam.store.pool import Pool

PAGE_ROWS = 1000
ROWS_AT_ONCE = 250
"""Rows of one change that are read at once: a change of thousands must not hold the thread."""
_FIRST_ID = UUID(int=0)
_LAST_ID = 2**63 - 1
_LOAD_SECONDS = 30.0

_STATE = """
select (select revision from platform_state), count(*), coalesce(sum(revision), 0)::bigint
from tenants
"""
_CHANGES = """
select revision, resource_type, resource_id, operation, id from changes
where tenant_id is not distinct from %s and (revision, id) > (%s, %s) order by revision, id
limit %s
"""


@attrs.frozen
class State:
    """Three numbers that differ whenever anything was changed: every change raises a revision,
    and a tenant that goes away raises the platform's."""

    platform_revision: int
    tenants: int
    revisions: int


@attrs.frozen
class Change:
    """One line of the change feed."""

    revision: int
    resource: str
    id: UUID
    operation: str


@cache
def routed() -> tuple[Resource, ...]:
    """The resources that snapshots hold."""
    return tuple(it for it in resources().values() if it.routed)


async def state(pool: Pool) -> State:
    """The state now: one cheap query."""
    rows = await pool.query(_STATE)
    return State(*map(int, rows[0]))


async def revisions(pool: Pool) -> dict[UUID, int]:
    """Tenant id -> its revision."""
    return dict(await pool.query("select id, revision from tenants", deadline=_LOAD_SECONDS))


async def changes(pool: Pool, tenant_id: UUID | None, after: int) -> list[Change]:
    """The changes after a revision, of a tenant or (None) of the platform, in their order."""
    found: list[Change] = []
    place = (after, _LAST_ID)
    while True:
        args = (tenant_id, *place, PAGE_ROWS)
        rows = await pool.query(_CHANGES, args, deadline=_LOAD_SECONDS)
        found += [Change(*row[:-1]) for row in rows]
        if len(rows) < PAGE_ROWS:
            return found
        place = (rows[-1][0], rows[-1][-1])


async def pages(pool: Pool, resource: Resource) -> AsyncIterator[list[Row]]:
    """Every row of a resource, of every tenant, a page at a time."""
    after = _FIRST_ID
    while True:
        rows = await pool.query(
            f"{_select(resource)} where id > %s order by id limit {PAGE_ROWS}",
            (after,),
            deadline=_LOAD_SECONDS,
        )
        if rows:
            after = rows[-1][0]
            yield [_row(resource, row) for row in rows]
        if len(rows) < PAGE_ROWS:
            return


async def rows_by_id(pool: Pool, resource: Resource, ids: Sequence[UUID]) -> list[Row]:
    """Those rows of a resource that are (still) there."""
    found: list[Row] = []
    for start in range(0, len(ids), ROWS_AT_ONCE):
        some = [str(it) for it in ids[start : start + ROWS_AT_ONCE]]
        rows = await pool.query(f"{_select(resource)} where id = any(%s::uuid[])", (some,))
        found += [_row(resource, row) for row in rows]
    return found


async def tenant_rows(pool: Pool, tenant_id: UUID) -> tuple[int, list[Row]] | None:
    """A tenant's revision and all its rows, which may be newer; None if there is no such tenant."""
    found = await pool.query("select revision from tenants where id = %s", (tenant_id,))
    if not found:
        return None
    held: list[Row] = []
    for resource in routed():
        if resource.scope == "tenant" or resource.name == "tenant":
            own = "tenant_id" if resource.scope == "tenant" else "id"
            rows = await pool.query(
                f"{_select(resource)} where {own} = %s", (tenant_id,), deadline=_LOAD_SECONDS
            )
            held += [_row(resource, row) for row in rows]
    return int(found[0][0]), held


@cache
def _select(resource: Resource) -> str:
    owner = "tenant_id" if resource.scope == "tenant" else "null::uuid"
    body = "".join(["body", *(f" - '{it}'" for it in resource.unrouted)])
    return (
        f"select id, {owner}, version, ({body})::text, secrets::text "  # noqa: S608 - declared
        f"from {resource.table}"
    )


def _row(resource: Resource, row: Sequence[object]) -> Row:
    identifier, tenant_id, version, body, secrets = row
    return Row(
        resource.name,
        identifier,  # type: ignore[arg-type]
        tenant_id,  # type: ignore[arg-type]
        version,  # type: ignore[arg-type]
        str(body).encode(),
        str(secrets).encode(),
    )
