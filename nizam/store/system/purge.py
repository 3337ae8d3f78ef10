"""The end of a tenant's data: which rows there are, and their removal in slices.

What belongs to tenants is read off the tables themselves: whatever has a `tenant_id`. The receipt
counts with each slice, in its transaction, so that a purge goes on after a crash where it was. The
tenant itself and the end of its audit log go last, in the transaction that ends the receipt.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, Protocol
from uuid import UUID

from nizam.model.events import timestamp
from nizam.model.identifiers import new_id
from nizam.model.purge_receipt import receipt_hash
from nizam.model.registry import resources
from nizam.model.user import User
from nizam.store.connection import Statement
from nizam.store.receipts import RECEIPT_COLUMNS
from nizam.store.stored import Stored, columns, from_row
from nizam.store.system.audit import forget_chain, prune_chain
from nizam.store.tables import all_tables
from nizam.store.unit_of_work import UnitOfWork

SLICE: Final = 1000
NOT_IN_SLICES: Final = frozenset({"audit_logs", "audit_chains", "purge_receipts"})
"""Tables with a `tenant_id` that are not emptied row by row: the audit log goes from its beginning,
so that what is left of it still verifies, and the receipts stay."""

_DUE = """
select id from tenants where status = 'terminated' and purge_at <= now() order by purge_at limit 100
"""
_BEGIN = """
insert into purge_receipts (id, tenant_id, name, slug, domain, terminated_at, terminated_by)
select %(id)s, id, name, slug, domain, terminated_at, terminated_by from tenants
where id = %(tenant)s and status = 'terminated' and purge_at <= now()
on conflict (tenant_id) do nothing
"""
_LEAVES = "select relid::regclass::text from pg_partition_tree(%s) where isleaf"
_COUNT = """
update purge_receipts
set counts = counts || jsonb_build_object(%(what)s::text,
    coalesce((counts ->> %(what)s)::bigint, 0) + %(count)s)
where tenant_id = %(tenant)s and purged_at is null
"""
_REMOVE = """
delete from {table} where tenant_id = %(tenant)s and ctid = any(array(
    select ctid from {table} where tenant_id = %(tenant)s limit %(most)s))
returning 1
"""
_ALONE = """
select not exists (
    select from jsonb_array_elements(body -> 'memberships') it
    where it ->> 'tenant_id' is distinct from %(tenant)s::text)
"""
_MEMBERS = f"""
select id, ({_ALONE}) from users
where body -> 'memberships' @> jsonb_build_array(jsonb_build_object('tenant_id', %(tenant)s::text))
order by id limit 50
"""  # noqa: S608 - no values from outside
_RECEIPT = f"""
select {", ".join(RECEIPT_COLUMNS)}, now() from purge_receipts
where tenant_id = %s and purged_at is null for update
"""  # noqa: S608 - declared names
_END = """
update purge_receipts
set purged_at = %(purged_at)s, purged_by = %(purged_by)s, counts = %(counts)s,
    audit_head = %(audit_head)s, hash = %(hash)s
where id = %(id)s
"""
_IN_FIELD = "tenant_id = %(tenant)s and coalesce(body ->> %(field)s, '[]') <> '[]' limit 1"
_LOCAL_RECORDING = "select from recordings where tenant_id = %(tenant)s and is_local limit 1"
_LEFT_MESSAGE = (
    "select from voicemail_messages where tenant_id = %(tenant)s and file is not null limit 1"
)
_STORED_RECORDING = (
    "select from recordings where tenant_id = %(tenant)s and object_key is not null limit 1"
)
_STRAYS = """
select tenant_id from purge_receipts r
where purged_at is not null and exists (select from {table} it where it.tenant_id = r.tenant_id)
limit 20
"""


class Queries(Protocol):
    """A transaction, or what makes one of each statement."""

    async def query(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        """The rows of the statement."""


@cache
def tenant_tables() -> tuple[str, ...]:
    """The tables that are emptied row by row. Webhooks are first, so that nobody is told of the
    rest; what refers to others is before them."""
    tables = [it.name for it in reversed(all_tables().sorted_tables) if "tenant_id" in it.c]
    others = (it for it in tables if it not in NOT_IN_SLICES and it != "webhooks")
    return ("webhooks", *others)


async def due_purges(database: Queries) -> list[UUID]:
    """The terminated tenants whose grace is over."""
    return [row[0] for row in await database.query(_DUE)]


async def begin_purge(database: Queries, tenant_id: UUID) -> None:
    """Have a receipt to count on, the one that an earlier beginning has made if there was one."""
    await database.query(_BEGIN, {"id": new_id(), "tenant": tenant_id})


def counted(tenant_id: UUID, what: str, count: int) -> Statement:
    """The statement by which the receipt counts what was removed."""
    return _COUNT, {"tenant": tenant_id, "what": what, "count": count}


async def leaves(database: Queries, table: str) -> list[str]:
    """The tables in which the rows of a table are: itself, or its partitions."""
    partitions = [row[0] for row in await database.query(_LEAVES, (table,))]
    return partitions or [table]


async def remove_rows(database: Queries, leaf: str, tenant_id: UUID) -> int:
    """Remove some rows of a tenant; how many, 0 when there are none left."""
    place = {"tenant": tenant_id, "most": SLICE}
    return len(await database.query(_REMOVE.format(table=leaf), place))


async def owns_files(database: Queries, tenant_id: UUID) -> bool:
    """Whether the tenant has objects, recordings or messages with files in the media root."""
    held = [
        (f"select from {it.table} where {_IN_FIELD}", {"tenant": tenant_id, "field": field})
        for it in resources().values()
        for field in ("audio", "files")
        if it.scope == "tenant" and field in it.body.model_fields
    ]
    for sql, args in [
        *held,
        *((it, {"tenant": tenant_id}) for it in (_LOCAL_RECORDING, _LEFT_MESSAGE)),
    ]:
        if await database.query(sql, args):
            return True
    return False


async def owns_stored_objects(database: Queries, tenant_id: UUID) -> bool:
    """Whether the tenant has recordings with files in the object storage."""
    return bool(await database.query(_STORED_RECORDING, {"tenant": tenant_id}))


async def members(database: Queries, tenant_id: UUID) -> list[tuple[UUID, bool]]:
    """Some of the users who belong to the tenant, and whether to it alone."""
    rows = await database.query(_MEMBERS, {"tenant": tenant_id})
    return [(row[0], row[1]) for row in rows]


async def remove_member(unit: UnitOfWork, user_id: UUID, tenant_id: UUID) -> str:
    """Delete a user who belongs to this tenant alone, or end the membership; which of the two,
    as the receipt calls it. Raises NotFound."""
    users = resources()["user"]
    rows = await unit.transaction.query(
        f"{_ALONE} from users where id = %(user)s for update",
        {"tenant": tenant_id, "user": user_id},
    )
    if rows and rows[0][0]:
        await unit.delete(users, user_id)
        return "users"

    def leave(present: Stored) -> User:
        user = User.model_validate(present.body)
        kept = tuple(it for it in user.memberships if it.tenant_id != tenant_id)
        return user.model_copy(update={"memberships": kept})

    await unit.update(users, user_id, leave)
    return "memberships"


async def end_purge(unit: UnitOfWork, tenant_id: UUID, by: str) -> None:
    """Remove the tenant itself and the end of its audit log, and write the receipt."""
    tenants = resources()["tenant"]
    transaction = unit.transaction
    rows = await transaction.query(
        f"select {', '.join(columns(tenants))} from tenants "  # noqa: S608 - declared names
        "where id = %s and status = 'terminated' and purge_at <= now() for update",
        (tenant_id,),
    )
    ((*values, now),) = await transaction.query(_RECEIPT, (tenant_id,))
    receipt = dict(zip(RECEIPT_COLUMNS, values, strict=True))
    last_rows = await prune_chain(transaction, tenant_id, SLICE)
    head = await forget_chain(transaction, tenant_id)
    transaction.add("delete from tenants where id = %s", (tenant_id,))
    counts = dict(receipt["counts"])
    counts["audit_logs"] = counts.get("audit_logs", 0) + last_rows
    counts["tenants"] = 1
    receipt |= {"purged_at": now, "purged_by": by, "counts": counts, "audit_head": head.hash}
    shown = {
        name: timestamp(it) if name.endswith("_at") else str(it) if name.endswith("id") else it
        for name, it in receipt.items()
    }
    receipt["hash"] = receipt_hash(shown)
    transaction.add(_END, receipt)
    unit.changed(tenants, "deleted", from_row(tenants, rows[0]), None, told=False)
    unit.note(
        "purged",
        "tenant",
        tenant_id,
        after={"receipt_id": str(receipt["id"]), "hash": receipt["hash"]},
    )


async def strays(database: Queries, table: str) -> list[UUID]:
    """Some purged tenants of which rows have come into the table since."""
    return [row[0] for row in await database.query(_STRAYS.format(table=table))]
