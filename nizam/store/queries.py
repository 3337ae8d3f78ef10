"""Reading resources: one by its id, or a page of a list."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import ColumnElement

from nizam.errors import NotFound
from nizam.model.registry import resources
from nizam.model.resource import Resource
from nizam.store.listing import Field, Listing, Page, page_of, page_statement
from nizam.store.pool import Pool
from nizam.store.statements import compile_statement
from nizam.store.stored import Stored, columns, from_row
from nizam.store.tables.resources import table


def listing_fields(resource: Resource) -> Mapping[str, Field]:
    """What lists of a resource can be filtered and sorted by: its columns and its times."""
    return _listing_fields(resource.name)


@cache
def _listing_fields(name: str) -> Mapping[str, Field]:
    resource, its = resources()[name], table(name)
    times = {name: Field(its.c[name], "time") for name in ("created_at", "updated_at")}
    return MappingProxyType(
        times
        | {
            it.name: Field(its.c[it.name], it.type, sortable=it.type in ("text", "integer"))
            for it in resource.columns
        }
    )


async def get(pool: Pool, resource: Resource, tenant_id: UUID | None, identifier: UUID) -> Stored:
    """The object, under its tenant's row-level security; NotFound."""
    sql = (
        f"select {', '.join(columns(resource))} from {resource.table} "  # noqa: S608
        "where id = %s"
    )
    if resource.scope == "platform":
        rows = await pool.query(sql, (identifier,))
    elif tenant_id is None:
        raise NotFound
    else:
        rows = await pool.tenant_query(
            tenant_id, f"{sql} and tenant_id = %s", (identifier, tenant_id)
        )
    if not rows:
        raise NotFound
    return from_row(resource, rows[0])


async def page(pool: Pool, resource: Resource, tenant_id: UUID | None, listing: Listing) -> Page:
    """One page of objects as they are shown."""
    its = table(resource.name)
    wanted = [its.c[name] for name in columns(resource)]
    search: list[ColumnElement[str]] = [
        its.c[name] if name in its.c else its.c.body[name].astext for name in resource.search
    ]
    fields = listing_fields(resource)
    if resource.scope == "platform":
        statement = page_statement(wanted, fields, its.c.id, listing, search=search)
        rows = await pool.query(*compile_statement(statement))
    elif tenant_id is None:
        raise NotFound
    else:
        own = its.c.tenant_id == tenant_id
        statement = page_statement(wanted, fields, its.c.id, listing, own, search=search)
        rows = await pool.tenant_query(tenant_id, *compile_statement(statement))
    found = page_of([(row[:-2], *row[-2:]) for row in rows], ("row",), listing)
    shown = [from_row(resource, it["row"]).shown() for it in found.rows]
    return Page(shown, found.next_cursor)
