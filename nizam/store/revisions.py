"""The history of a tenant's configuration: who changed what, and how it was before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import attrs

from nizam.document.describe import field_changes, hidden_changes
from nizam.document.keys import key_text
from nizam.errors import NotFound
from nizam.model.registry import resources
from nizam.slices import Sliced, in_slices
from nizam.store.bulk import in_pages
from nizam.store.listing import Field, Listing, Page
from nizam.store.pages import tenant_page
from nizam.store.pool import Pool, Transaction
from nizam.store.stored import redacted
from nizam.store.tables.revisions import REVISIONS

REVISION_FIELDS: Mapping[str, Field] = {
    "revision": Field(REVISIONS.c.revision, "integer"),
    "created_at": Field(REVISIONS.c.created_at, "time"),
    "kind": Field(REVISIONS.c.kind, "text", sortable=False),
    "actor_name": Field(REVISIONS.c.actor_name, "text", sortable=False),
    "actor_id": Field(REVISIONS.c.actor_id, "uuid", sortable=False),
}
MOST_CHANGES = 200
"""How many objects of one revision are shown."""

_COLUMNS = tuple(it for it in REVISIONS.c if it.name != "tenant_id")
_CHANGES = """
select n.resource_type, n.resource_id, n.operation, n.body, n.secrets, p.body, p.secrets,
       count(*) over ()
from resource_versions n
left join lateral (
    select body, secrets from resource_versions p
    where p.tenant_id = n.tenant_id and p.resource_type = n.resource_type
      and p.resource_id = n.resource_id and p.revision < n.revision
    order by p.revision desc limit 1
) p on true
where n.tenant_id = %s and n.revision = %s
order by n.resource_type, n.resource_id limit %s
"""
_AS_OF = """
select distinct on (v.resource_type, v.resource_id)
    v.resource_type, v.resource_id, v.created_at, v.body, v.secrets, (
        select max(version) from resource_versions l
        where l.tenant_id = v.tenant_id and l.resource_type = v.resource_type
          and l.resource_id = v.resource_id)
from resource_versions v
where v.tenant_id = %(tenant)s and v.revision <= %(revision)s
order by v.resource_type, v.resource_id, v.revision desc
"""
_PRUNE = """
with old as (
    -- One revision before that moment stays: it says what the tenant was from then on.
    select tenant_id from revisions where created_at < %(before)s
    group by tenant_id having count(*) > 1 limit %(tenants)s
), horizon as (
    select o.tenant_id, max(it.revision) as revision
    from old o, lateral (
        select revision from revisions r
        where r.tenant_id = o.tenant_id and r.created_at < %(before)s
        order by revision limit %(most)s) it
    group by o.tenant_id
), ended as (
    delete from revisions r using horizon h
    where r.tenant_id = h.tenant_id and r.revision < h.revision
    returning r.tenant_id
), replaced as (
    delete from resource_versions v using horizon h
    where v.tenant_id = h.tenant_id and v.revision <= h.revision
      and (v.body is null or exists (
        select from resource_versions n
        where n.tenant_id = v.tenant_id and n.resource_type = v.resource_type
          and n.resource_id = v.resource_id
          and n.revision > v.revision and n.revision <= h.revision))
    returning v.tenant_id
)
select (select count(*) from ended), (select count(*) from replaced)
"""


class Database(Protocol):
    """A pool, or a transaction with the system's rights."""

    async def query(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        """The rows of the statement."""


@attrs.frozen(kw_only=True)
class Version:
    """An object as it was; without a body it was deleted. `latest` is the highest version that it
    has ever had."""

    resource: str
    id: UUID
    created_at: datetime
    body: Mapping[str, Any] | None
    secrets: Mapping[str, str] = attrs.field(repr=False)
    latest: int


async def list_revisions(pool: Pool, tenant_id: UUID, listing: Listing) -> Page:
    """Revisions of a tenant: when, by whom, and how many objects of which types."""
    its = REVISIONS.c
    own = its.tenant_id == tenant_id
    return await tenant_page(pool, tenant_id, _COLUMNS, REVISION_FIELDS, its.revision, listing, own)


async def get_revision(pool: Pool, tenant_id: UUID, revision: int) -> dict[str, Any]:
    """One revision with what it changed, field by field, secrets left out; NotFound."""
    listing = Listing(1, "revision", False)
    its = REVISIONS.c
    page = await tenant_page(
        pool,
        tenant_id,
        _COLUMNS,
        REVISION_FIELDS,
        its.revision,
        listing,
        its.tenant_id == tenant_id,
        its.revision == revision,
    )
    if not page.rows:
        raise NotFound
    found = dict(page.rows[0])
    changed = await pool.tenant_query(tenant_id, _CHANGES, (tenant_id, revision, MOST_CHANGES))
    total = changed[0][-1] if changed else 0
    changes = await in_slices(pool.reactor, _changes(changed))
    return {**found, "changes": changes, "omitted_changes": total - len(changed)}


async def configuration_as_of(
    transaction: Transaction, tenant_id: UUID, revision: int
) -> list[Version]:
    """Every object that there was at a revision or before it, as it was then; NotFound for a
    revision that there was not, or that is no longer kept."""
    there = await transaction.query(
        "select true from revisions where tenant_id = %s and revision = %s", (tenant_id, revision)
    )
    if not there:
        raise NotFound(f"there is no revision {revision}, or it is no longer kept")
    found: list[Version] = []
    place = {"tenant": tenant_id, "revision": revision}
    async for rows in in_pages(transaction, _AS_OF, place):
        found += [
            Version(
                resource=name,
                id=identifier,
                created_at=created_at,
                body=body,
                secrets=secrets,
                latest=latest,
            )
            for name, identifier, created_at, body, secrets, latest in rows
        ]
    return found


async def prune_revisions(
    database: Database, before: datetime, *, tenants: int = 20, most: int = 500
) -> tuple[int, int]:
    """Forget how tenants were before that moment: (revisions, versions of objects) removed, of so
    many tenants, fewer than `most` revisions each. Called again until it says (0, 0). What each
    tenant was at that moment can still be restored."""
    rows = await database.query(_PRUNE, {"before": before, "tenants": tenants, "most": most})
    return int(rows[0][0]), int(rows[0][1])


def _changes(rows: Iterable[Sequence[Any]]) -> Sliced[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []
    for row in rows:
        found.append(_change(*row[:-1]))
        yield
    return found


def _change(
    name: str,
    identifier: UUID,
    operation: str,
    body: Mapping[str, Any] | None,
    secrets: Mapping[str, str],
    former: Mapping[str, Any] | None,
    former_secrets: Mapping[str, str] | None,
) -> dict[str, Any]:
    it = resources().get(name)
    shown = body or former or {}
    fields = [] if body is None else field_changes(former or {}, body, redacted)
    known = former_secrets or {}
    if body is not None:
        changed = {it for it in {*secrets, *known} if secrets.get(it) != known.get(it)}
        fields += hidden_changes(changed, known, secrets)
    return {
        "operation": operation,
        "type": name,
        "id": identifier,
        "key": None if it is None else key_text(it, shown),
        "fields": fields,
    }
