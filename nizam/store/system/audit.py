"""The end of audit logs: what is old, and what belonged to a tenant that is gone."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import attrs

PLATFORM_CHAIN = UUID(int=0)
"""How audit_chains names the chain of the platform."""

# The first row that is left says whether a chain has any that are old enough.
_PRUNE = """
select coalesce(sum(prune_audit_chain(tenant_id, %(before)s, %(limit)s)), 0)::bigint
from (
    select c.tenant_id from audit_chains c
    where c.sequence > c.pruned_sequence and exists (
        select from audit_logs a
        where a.tenant_id = c.tenant_id and a.sequence = c.pruned_sequence + 1
          and a.occurred_at < %(before)s
        union all
        select from audit_logs a
        where a.tenant_id is null and c.tenant_id = %(platform)s
          and a.sequence = c.pruned_sequence + 1 and a.occurred_at < %(before)s)
    limit %(chains)s
) it
"""


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


async def prune_chains(
    database: Database, before: datetime, limit: int = 1000, chains: int = 20
) -> int:
    """Remove rows that are older from the beginnings of chains, at most `limit` of each and of so
    many chains; how many. Called again until it says 0. What is left of each chain can still be
    verified."""
    arguments = {"before": before, "limit": limit, "chains": chains, "platform": PLATFORM_CHAIN}
    rows = await database.query(_PRUNE, arguments)
    return int(rows[0][0])


async def prune_chain(database: Database, tenant_id: UUID, limit: int) -> int:
    """Remove rows from the beginning of a tenant's chain, however young; how many."""
    rows = await database.query("select prune_audit_chain(%s, 'infinity', %s)", (tenant_id, limit))
    return int(rows[0][0])


async def forget_chain(database: Database, tenant_id: UUID) -> Head:
    """Remove the whole chain of a tenant whose data is purged; where it ended, for the receipt."""
    rows = await database.query(
        "with rows as (delete from audit_logs where tenant_id = %(id)s)"
        " delete from audit_chains where tenant_id = %(id)s returning sequence, hash",
        {"id": tenant_id},
    )
    return Head(*rows[0]) if rows else Head()
