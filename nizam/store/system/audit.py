"""The end of audit logs: what is old, and what belonged to a tenant that is gone."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import attrs

PLATFORM_CHAIN = UUID(int=0)
"""How audit_chains names the chain of the platform."""


class Database(Protocol):
    """A transaction or a pool: what runs one statement."""

    async def query(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        """The rows of the statement."""


@attrs.frozen
class Head:
    """A place in a chain: the sequence of a row and its hash. Before the first row both are
    zeros."""

    sequence: int = 0
    hash: str = "0" * 64


async def prune_chains(database: Database, before: datetime, limit: int = 5000) -> int:
    """Remove rows that are older from the beginnings of all chains, at most `limit` of each; how
    many. Called again until it says 0. What is left of each chain can still be verified."""
    rows = await database.query(
        "select coalesce(sum(prune_audit_chain(tenant_id, %s, %s)), 0)::bigint from audit_chains",
        (before, limit),
    )
    return int(rows[0][0])


async def forget_chain(database: Database, tenant_id: UUID) -> Head:
    """Remove the whole chain of a tenant whose data is purged; where it ended, for the receipt."""
    rows = await database.query(
        "with rows as (delete from audit_logs where tenant_id = %(id)s)"
        " delete from audit_chains where tenant_id = %(id)s returning sequence, hash",
        {"id": tenant_id},
    )
    return Head(*rows[0]) if rows else Head()
