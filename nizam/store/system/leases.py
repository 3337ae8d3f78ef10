"""Leases: what only one instance at a time may do, and proof that one still is that instance.

A lease belongs to its holder until it ends; PostgreSQL's clock says when that is, since those of
the instances may differ. Its token rises with every change of the holder. Whoever works under a
lease checks the token in the transaction of the work (`hold`, or `fence` where the work may not
wait for one more answer): what an instance does that was taken for dead, and that does not know it
yet, has no effect (fencing).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import attrs
import psycopg2

from nizam.store.pool import Transaction

_TAKE = """
insert into leases as l (name, holder, token, expires_at, note)
values (%(name)s, %(holder)s, 1, now() + make_interval(secs => %(seconds)s), %(note)s)
on conflict (name) do update
set holder = excluded.holder, expires_at = excluded.expires_at,
    token = l.token + (l.holder <> excluded.holder)::int, note = coalesce(excluded.note, l.note)
where l.holder = excluded.holder or l.expires_at <= now()
returning token, note
"""
_LOOK: Final = "select holder, token, expires_at > now(), note from leases where name = %s"
_RELEASE = """
update leases set expires_at = now(), note = coalesce(%s, note) where name = %s and token = %s
"""
# The lock keeps the lease from changing hands before this transaction has ended.
_HOLD = "select from leases where name = %s and token = %s for share"
_FENCE: Final = "select hold_leases(%s, %s)"
_LOST: Final = "NZ002"
HOLDER: Final = "select holder from leases where name = %s and expires_at > now()"

Note = Mapping[str, Any]
"""What the holder of a lease tells the others, as JSON data."""


class Database(Protocol):
    """A transaction or a pool: what runs one statement."""

    async def query(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        """The rows of the statement."""


class LeaseLostError(Exception):
    """Somebody else holds the lease now; `names` are the leases, where there may be several."""

    def __init__(self, message: str, names: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.names = tuple(names)


@attrs.frozen
class Lease:
    """A lease that was taken: its name, by whom, and its token. `note` is its note since."""

    name: str
    holder: str
    token: int
    note: Note | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen
class Standing:
    """How a lease stands: who held it last, with which token, whether still, and the note."""

    holder: str
    token: int
    held: bool
    note: Note | None


async def take_lease(
    database: Database, name: str, holder: str, seconds: float, note: Note | None = None
) -> Lease | None:
    """Take the lease, or keep it, for so long from now on; None while it is another's. Without a
    `note` the one that is there stays."""
    args = {
        "name": name,
        "holder": holder,
        "seconds": seconds,
        "note": None if note is None else dict(note),
    }
    rows = await database.query(_TAKE, args)
    return Lease(name, holder, rows[0][0], rows[0][1]) if rows else None


async def look_at_lease(database: Database, name: str) -> Standing | None:
    """How the lease stands; None when nobody has ever held it."""
    rows = await database.query(_LOOK, (name,))
    return Standing(*rows[0]) if rows else None


async def release_lease(database: Database, lease: Lease, note: Note | None = None) -> None:
    """Let the next one take it at once."""
    told = None if note is None else dict(note)
    await database.query(_RELEASE, (told, lease.name, lease.token))


async def hold(transaction: Transaction, lease: Lease) -> None:
    """Have the lease until the end of the transaction; LeaseLostError if it is another's."""
    if not await transaction.query(_HOLD, (lease.name, lease.token)):
        raise LeaseLostError(f"the lease {lease.name} is no longer held by {lease.holder}")


def fence(transaction: Transaction, leases: Sequence[Lease]) -> None:
    """Have the transaction fail if one of the leases is another's: to be called last, so that it
    goes with the commit, in the same message.

    The lease is locked only while PostgreSQL does that, never while the client does anything: one
    that hangs amid its transaction keeps nobody from taking the lease. `lost` reads the error.
    """
    if leases:
        transaction.add(_FENCE, ([it.name for it in leases], [it.token for it in leases]))


def lost(error: Exception) -> LeaseLostError | None:
    """What a transaction with a `fence` failed of, if that was the fence."""
    if not isinstance(error, psycopg2.Error) or error.pgcode != _LOST:
        return None
    return LeaseLostError("the lease is another's", (error.diag.message_detail or "").split(" "))


async def holder_of(database: Database, name: str) -> str | None:
    """Who holds the lease at this moment."""
    rows = await database.query(HOLDER, (name,))
    return str(rows[0][0]) if rows else None
