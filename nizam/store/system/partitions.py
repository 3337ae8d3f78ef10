"""The monthly partitions of events, call detail records, decisions on calls and usage: made ahead,
dropped by age."""

from __future__ import annotations

from datetime import date
from typing import Any, Final, Protocol

from nizam.store.pool import Transaction

PARTITIONED: Final = {
    "call_events": "occurred_at",
    "cdr_legs": "started_at",
    "cdrs": "started_at",
    "call_decisions": "decided_at",
    "usage_entries": "at",
}
"""Their names, and the column whose month they are divided by."""
MONTHS_AHEAD: Final = 3
"""This month and the following two."""

_MAKE = """
select make_month_partitions(%(table)s, %(key)s,
    coalesce(%(first)s::date, (now() at time zone 'UTC')::date), %(months)s)
"""
# Months are those of UTC. An estimate of 0 rows is -1 for a table that was never analysed.
_OLDEST = """
select c.relname, greatest(c.reltuples, 0)::bigint
from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = %(table)s::regclass and c.relname ~ '_\\d{4}_\\d{2}$'
  and (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') at time zone 'UTC'
      <= now() - make_interval(days => %(days)s)
order by c.relname limit 1
"""
_PRUNE_DEFAULT = """
delete from {table}_default where ctid = any(array(
    select ctid from {table}_default where {key} < now() - make_interval(days => %s) limit %s))
returning 1
"""


class Database(Protocol):
    """A transaction or a pool: what runs one statement."""

    async def query(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        """The rows of the statement."""


async def make_partitions(
    database: Database, months: int = MONTHS_AHEAD, first: date | None = None
) -> int:
    """Make the partitions of the month of `first`, by default today, and the following ones; how
    many were missing."""
    made = 0
    for table, key in PARTITIONED.items():
        place = {"table": table, "key": key, "first": first, "months": months}
        rows = await database.query(_MAKE, place)
        if rows[0][0]:
            made += int(rows[0][0])
            await database.query("select settle_partitions(%s)", (table,))
    return made


async def drop_oldest_partition(transaction: Transaction, table: str, days: int) -> int | None:
    """Drop the oldest month that ended more than so many days ago; about how many rows it had,
    None when there is no such month.

    Whoever uses the table waits for the drop, and it for them: it gives up after half a second.
    """
    found = await transaction.query(_OLDEST, {"table": table, "days": days})
    if not found:
        return None
    name, rows = found[0]
    transaction.add("set local lock_timeout = '500ms'")
    await transaction.query(f"drop table {name}")
    return int(rows)


async def prune_default_partition(database: Database, table: str, days: int, most: int) -> int:
    """Remove rows that are so old and have no month, at most so many; how many."""
    sql = _PRUNE_DEFAULT.format(table=table, key=PARTITIONED[table])
    return len(await database.query(sql, (days, most)))
