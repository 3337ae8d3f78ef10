"""Rows of a tenant in every table that tenants have rows in, made from what the tables say."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import UUID

from psycopg2.extras import Json
from sqlalchemy import Column, Table

from nizam.model.identifiers import new_id
from nizam.store.pool import Pool
from nizam.store.system.purge import NOT_IN_SLICES
from nizam.store.tables import all_tables

_numbers = itertools.count(1)
_WORDS = {("usage_entries", "kind"): "peak_calls"}
"""What columns take that hold one of a few words."""


async def fill_tables(pool: Pool, tenant_id: UUID, rows: int = 1) -> dict[str, int]:
    """Put so many rows into each table, what others refer to first; how many by table."""
    made: dict[str, int] = {}
    known: dict[str, Any] = {}
    for table in all_tables().sorted_tables:
        if "tenant_id" not in table.c or table.name in NOT_IN_SLICES:
            continue
        for _ in range(rows):
            row = {
                column.name: _value(column, tenant_id, known)
                for column in table.c
                if _is_given(column)
            }
            known[f"{table.name}.id"] = row.get("id")
            await pool.execute(
                f"insert into {table.name} ({', '.join(row)}) "  # noqa: S608 - declared names
                f"values ({', '.join(f'%({name})s' for name in row)})",
                row,
            )
        made[table.name] = rows
    return made


async def rows_of(pool: Pool, tenant_id: UUID) -> dict[str, list[str]]:
    """What every table holds of a tenant, as text."""
    found: dict[str, list[str]] = {}
    for table in all_tables().sorted_tables:
        if "tenant_id" in table.c:
            sql = f"select it::text from {table.name} it where tenant_id = %s order by 1"  # noqa: S608
            found[table.name] = [row[0] for row in await pool.query(sql, (tenant_id,))]
    return found


async def tables_that_name(pool: Pool, text: str) -> set[str]:
    """The tables in which a text stands anywhere."""
    return {
        table.name
        for table in all_tables().sorted_tables
        if await pool.query(
            f"select from {table.name} it where position(%s in it::text) > 0 limit 1", (text,)
        )
    }


def without_tenant() -> set[str]:
    """The tables that have no `tenant_id`."""
    tables: list[Table] = all_tables().sorted_tables
    return {it.name for it in tables if "tenant_id" not in it.c}


def _is_given(column: Column[Any]) -> bool:
    if column.computed is not None or column.identity is not None:
        return False
    return column.name == "tenant_id" or (not column.nullable and column.server_default is None)


def _value(column: Column[Any], tenant_id: UUID, known: dict[str, Any]) -> Any:
    if column.name == "tenant_id":
        return tenant_id
    if column.foreign_keys:
        return known[next(iter(column.foreign_keys)).target_fullname]
    number = next(_numbers)
    if (column.table.name, column.name) in _WORDS:
        return _WORDS[column.table.name, column.name]
    kind = type(column.type).__name__.lower()
    if kind in ("uuid", "text"):
        return new_id() if kind == "uuid" else f"text {number}"
    if kind == "datetime":
        return "2026-11-20T10:00:00Z"
    if kind in ("json", "jsonb"):
        # Some columns are computed from the body.
        return Json({"tenant_id": str(tenant_id)})
    values: dict[str, Any] = {
        "array": [],
        "boolean": True,
        "largebinary": b"bytes",
        "biginteger": number,
        "integer": number,
    }
    return values[kind]
