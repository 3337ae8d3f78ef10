"""Leases: what only one instance at a time may do, and proof that one still is that instance.

A lease belongs to its holder until it ends; PostgreSQL's clock says when that is, since those of
the instances may differ. Its token rises with every change of the holder. Whoever works under a
lease checks the token in the transaction of the work (`hold`): what an instance does that was
taken for dead, and that does not know it yet, has no effect (fencing).
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import attrs

from nizam.store.pool import Transaction

_TAKE = """
insert into leases as l (name, holder, token, expires_at)
values (%(name)s, %(holder)s, 1, now() + make_interval(secs => %(seconds)s))
on conflict (name) do update
set holder = excluded.holder, expires_at = excluded.expires_at,
    token = l.token + (l.holder <> excluded.holder)::int
where l.holder = excluded.holder or l.expires_at <= now()
returning token
"""
_RELEASE = "update leases set expires_at = now() where name = %s and token = %s"
# The lock keeps the lease from changing hands before this transaction has ended.
_HOLD = "select from leases where name = %s and token = %s for share"
HOLDER: Final = "select holder from leases where name = %s and expires_at > now()"


class Database(Protocol):
    """A transaction or a pool: what runs one statement."""

    async def query(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        """The rows of the statement."""


class LeaseLostError(Exception):
    """Somebody else holds the lease now."""


@attrs.frozen
class Lease:
    """A lease that was taken: its name, by whom, and its token."""

    name: str
    holder: str
    token: int


async def take_lease(database: Database, name: str, holder: str, seconds: float) -> Lease | None:
    """Take the lease, or keep it, for so long from now on; None while it is another's."""
    rows = await database.query(_TAKE, {"name": name, "holder": holder, "seconds": seconds})
    return Lease(name, holder, rows[0][0]) if rows else None


async def release_lease(database: Database, lease: Lease) -> None:
    """Let the next one take it at once."""
    await database.query(_RELEASE, (lease.name, lease.token))


async def hold(transaction: Transaction, lease: Lease) -> None:
    """Have the lease until the end of the transaction; LeaseLostError if it is another's."""
    if not await transaction.query(_HOLD, (lease.name, lease.token)):
        raise LeaseLostError(f"the lease {lease.name} is no longer held by {lease.holder}")


async def holder_of(database: Database, name: str) -> str | None:
    """Who holds the lease at this moment."""
    rows = await database.query(HOLDER, (name,))
    return str(rows[0][0]) if rows else None
