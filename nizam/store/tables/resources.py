"""One table for each declared resource, derived from its declaration.

The public body is one JSON document. What must be unique, filtered or sorted by is a column that
PostgreSQL generates from it, so that each fact stands in one place.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    DateTime,
    Index,
    Integer,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.types import TypeEngine

from nizam.model.registry import resources
from nizam.model.resource import Column as BodyColumn
from nizam.model.resource import Resource
from nizam.store.tables import METADATA

_TYPES: dict[str, type[TypeEngine[Any]]] = {
    "text": Text,
    "integer": Integer,
    "boolean": Boolean,
    "uuid": UUID,
}


def _beside_the_body(resource: Resource) -> list[Column[Any]]:
    """What the system keeps of a resource that is no part of its body."""
    if resource.name == "tenant":
        return [
            Column("revision", BigInteger, nullable=False, server_default=text("0")),
            Column("terminated_at", DateTime(timezone=True)),
            Column("terminated_by", Text),
            Column("purge_at", DateTime(timezone=True)),
        ]
    if resource.name == "api_key":
        return [
            Column("key_hash", Text, nullable=False, unique=True),
            Column("key_start", Text),
            Column("previous_key_hash", Text, unique=True),
            Column("previous_key_expires_at", DateTime(timezone=True)),
            Column("last_used_at", DateTime(timezone=True)),
            Column("last_used_from", Text),
        ]
    if resource.name == "user":
        return [
            Column("last_login_at", DateTime(timezone=True)),
            Column("last_login_from", Text),
        ]
    return []


def _generated(column: BodyColumn) -> Column[Any]:
    value = f"body ->> '{column.name}'"
    expression = value if column.type == "text" else f"({value})::{column.type}"
    return Column(column.name, _TYPES[column.type], Computed(f"({expression})", persisted=True))


def _table(resource: Resource) -> Table:
    owner = ["tenant_id"] if resource.scope == "tenant" else []
    table = Table(
        resource.table,
        METADATA,
        Column("id", UUID, primary_key=True),
        *(Column(name, UUID, nullable=False) for name in owner),
        Column("version", BigInteger, nullable=False, server_default=text("1")),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("body", JSONB, nullable=False),
        Column("secrets", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
        *_beside_the_body(resource),
        *(_generated(column) for column in resource.columns),
    )
    Index(None, *(table.c[name] for name in (*owner, "created_at", "id")))
    for column in resource.columns:
        if column.type != "boolean":
            Index(None, *(table.c[name] for name in (*owner, column.name, "id")))
    for unique in resource.unique:
        names = unique.columns if unique.everywhere else (*owner, *unique.columns)
        Index(
            f"uq_{resource.table}_{'_'.join(unique.columns)}",
            *(table.c[name] for name in names),
            unique=True,
            postgresql_where=table.c[unique.columns[0]] if unique.only_true else None,
        )
    return table


@cache
def table(resource_name: str) -> Table:
    """The table of a resource; KeyError if there is no such resource."""
    return _table(resources()[resource_name])


for _name in resources():
    table(_name)
Index(
    "ix_users_memberships",
    text("(body -> 'memberships')"),
    _table=table("user"),
    postgresql_using="gin",
)
