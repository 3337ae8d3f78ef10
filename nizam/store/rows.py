"""The row of one object: read, inserted, updated, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from nizam.errors import NotFound
from nizam.model.resource import Resource
from nizam.store.pool import Transaction
from nizam.store.stored import Stored, columns, from_row


async def find_row(
    transaction: Transaction,
    resource: Resource,
    tenant_id: UUID | None,
    identifier: UUID,
    *,
    lock: bool,
) -> Stored:
    """The object, of that tenant if it is a tenant's; locked against changes if `lock`. Raises
    NotFound."""
    where, args = "id = %s", [identifier]
    if resource.scope == "tenant":
        if tenant_id is None:
            raise NotFound
        where, args = "id = %s and tenant_id = %s", [identifier, tenant_id]
    rows = await transaction.query(
        f"select {', '.join(columns(resource))} from {resource.table} "  # noqa: S608 - declared
        f"where {where}{' for update' if lock else ''}",
        args,
    )
    if not rows:
        raise NotFound
    return from_row(resource, rows[0])


def insert_row(transaction: Transaction, stored: Stored, extra: Mapping[str, Any]) -> None:
    """Add the row of a new object; `extra` are columns that are no part of it."""
    resource = stored.resource
    row = {name: getattr(stored, name) for name in columns(resource) if name not in stored.extra}
    row |= extra
    transaction.add(
        f"insert into {resource.table} ({', '.join(row)}) "  # noqa: S608 - declared names
        f"values ({', '.join(f'%({name})s' for name in row)})",
        row,
    )


def update_row(transaction: Transaction, stored: Stored) -> None:
    """Give a row the body and the secrets of its next version."""
    transaction.add(
        f"update {stored.resource.table} set version = version + 1, updated_at = %s, "  # noqa: S608
        "body = %s, secrets = %s where id = %s",
        (stored.updated_at, stored.body, stored.secrets, stored.id),
    )


def delete_row(transaction: Transaction, resource: Resource, identifier: UUID) -> None:
    """Remove a row."""
    transaction.add(
        f"delete from {resource.table} where id = %s",  # noqa: S608 - a declared name
        (identifier,),
    )
