"""How far the readers of the log of events are that go on from there after a restart."""

from __future__ import annotations

from nizam.store.pool import Pool, Transaction
from nizam.store.system.leases import Lease, hold

_MOVE = """
insert into log_readers (name, position) values (%s, %s)
on conflict (name) do update set position = excluded.position
"""


async def position_of_reader(database: Pool, name: str) -> int | None:
    """Where the reader is; None if it has not begun."""
    rows = await database.query("select position from log_readers where name = %s", (name,))
    return int(rows[0][0]) if rows else None


async def move_reader(database: Pool, lease: Lease, name: str, position: int) -> None:
    """Note that it has read up to here; LeaseLostError if another instance reads now."""

    async def move(transaction: Transaction) -> None:
        await hold(transaction, lease)
        await transaction.execute(_MOVE, (name, position))

    await database.transaction(move)
