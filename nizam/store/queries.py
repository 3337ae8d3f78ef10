"""Reading resources: one by its id, or a page of a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Text, bindparam, cast

from nizam.errors import NotFound
from nizam.model.events import timestamp
from nizam.model.registry import resources
from nizam.model.resource import Resource
from nizam.store.listing import Field, Listing, Page, page_of
from nizam.store.pages import CompiledPages, time_text
from nizam.store.pool import Pool
from nizam.store.stored import EXTRA_COLUMNS, Stored, columns, from_row
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
    """One page of objects as they are shown, each as JSON text.

    PostgreSQL writes the texts; they are put together here and never parsed.
    """
    pages = _pages(resource.name)
    if resource.scope == "platform":
        rows = await pool.query(*pages.sql(listing))
    elif tenant_id is None:
        raise NotFound
    else:
        rows = await pool.tenant_query(tenant_id, *pages.sql(listing, tenant_id=tenant_id))
    found = page_of([(row[:-2], *row[-2:]) for row in rows], ("row",), listing)
    owner = f'"tenant_id":"{tenant_id}",' if resource.scope == "tenant" else ""
    beside = EXTRA_COLUMNS.get(resource.name, ())
    return Page([_shown(it["row"], owner, beside) for it in found.rows], found.next_cursor)


@cache
def _pages(name: str) -> CompiledPages:
    resource, its = resources()[name], table(name)
    owned = [its.c.tenant_id == bindparam("tenant_id")] if resource.scope == "tenant" else []
    search: list[ColumnElement[str]] = [
        its.c[it] if it in its.c else its.c.body[it].astext for it in resource.search
    ]
    return CompiledPages(_texts(name), _listing_fields(name), its.c.id, *owned, search=search)


def _texts(name: str) -> tuple[ColumnElement[Any], ...]:
    """The columns that `_shown` reads."""
    its = table(name)
    times = (time_text(its.c[it]) for it in ("created_at", "updated_at"))
    beside = (its.c[it] for it in EXTRA_COLUMNS.get(name, ()))
    return (cast(its.c.id, Text), cast(its.c.body, Text), its.c.version, *times, *beside)


def _shown(row: Sequence[Any], owner: str, names: Sequence[str]) -> str:
    """What `Stored.shown` says, from a row with `_texts`; a body is never empty."""
    identifier, body, version, created_at, updated_at, *beside = row
    extra = ""
    if names:
        values = {
            name: timestamp(it) if isinstance(it, datetime) else it
            for name, it in zip(names, beside, strict=True)
        }
        extra = orjson.dumps(values)[1:-1].decode() + ","
    return (
        f'{{"id":"{identifier}",{owner}{body[1:-1]},{extra}"version":{version},'
        f'"created_at":"{created_at}","updated_at":"{updated_at}"}}'
    )
