"""Mailboxes that are to be compared with those of the switch: one whose lamp has changed, and all
of a node that may have changed unheard.

A row is there until it was done, whichever instance does it: taking puts off the next attempt.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

import attrs

from nizam.store.system.events import Database, json_argument

SWEPT_AT_ONCE: Final = 200
"""How many mailboxes of a node wait at most because all are to be compared."""

_COMPARE: Final = """
insert into voicemail_comparisons as c (tenant_id, node, mailbox, domain)
select tenant_id, node, mailbox, domain from jsonb_to_recordset(%(rows)s::jsonb) as it(
    tenant_id uuid, node text, mailbox text, domain text)
order by 1, 2, 3
on conflict (tenant_id, node, mailbox) do update
set mark = c.mark + 1, domain = excluded.domain, attempt_count = 0, next_attempt_at = now()
"""

_TAKE_COMPARISONS: Final = """
update voicemail_comparisons c
set attempt_count = attempt_count + 1,
    next_attempt_at = now() + make_interval(secs => %(lease)s)
where (c.tenant_id, c.node, c.mailbox) in (
    select tenant_id, node, mailbox from voicemail_comparisons where next_attempt_at <= now()
    order by next_attempt_at limit %(most)s for update skip locked)
returning tenant_id, node, mailbox, domain, mark, attempt_count
"""
_COMPARED: Final = """
delete from voicemail_comparisons
where tenant_id = %(tenant_id)s and node = %(node)s and mailbox = %(mailbox)s and mark = %(mark)s
returning 1
"""
_COMPARE_AGAIN: Final = """
update voicemail_comparisons set next_attempt_at = now() + make_interval(secs => %(wait)s)
where tenant_id = %(tenant_id)s and node = %(node)s and mailbox = %(mailbox)s and mark = %(mark)s
returning 1
"""


_SWEEP: Final = """
insert into voicemail_sweeps (node)
select distinct unnest(%(nodes)s::text[]) order by 1
on conflict (node) do update set after_tenant = null, after_mailbox = null
returning 1
"""
_TAKE_SWEEP: Final = """
select s.node, s.after_tenant, s.after_mailbox from voicemail_sweeps s
where (select count(*) from voicemail_comparisons c where c.node = s.node) < %(most)s
order by s.node limit 1 for update skip locked
"""
_NEXT: Final = """
select e.tenant_id, e.number, t.body ->> 'domain' from extensions e
join tenants t on t.id = e.tenant_id
where (e.tenant_id, e.number) > (
    coalesce(%(tenant)s, '00000000-0000-0000-0000-000000000000'::uuid), coalesce(%(mailbox)s, ''))
order by e.tenant_id, e.number limit %(most)s
"""
_ADD: Final = """
insert into voicemail_comparisons (tenant_id, node, mailbox, domain)
select tenant_id, node, mailbox, domain from jsonb_to_recordset(%(rows)s::jsonb) as it(
    tenant_id uuid, node text, mailbox text, domain text)
on conflict do nothing
returning 1
"""
_SWEPT: Final = """
update voicemail_sweeps set after_tenant = %(tenant)s, after_mailbox = %(mailbox)s
where node = %(node)s returning 1
"""


async def compare_mailboxes(
    database: Database, mailboxes: Iterable[tuple[UUID, str, str, str]]
) -> None:
    """Have mailboxes compared with those of the switch: (tenant id, node, mailbox, domain)."""
    names = ("tenant_id", "node", "mailbox", "domain")
    # One row for each, or PostgreSQL refuses to update it twice.
    unique = {it[:3]: dict(zip(names, it, strict=True)) for it in mailboxes}
    if unique:
        rows = json_argument(list(unique.values()))
        await database.query(f"{_COMPARE} returning 1", {"rows": rows})


@attrs.frozen
class Comparison:
    """A mailbox that is to be compared with the switch's."""

    tenant_id: UUID
    node: str
    mailbox: str
    domain: str
    mark: int
    attempt_count: int

    @property
    def id(self) -> str:
        """What the log calls it."""
        return f"{self.mailbox}@{self.domain} of {self.node}"


async def take_comparisons(database: Database, most: int, lease_seconds: float) -> list[Comparison]:
    """Some that are due; nobody else is given them for `lease_seconds`."""
    rows = await database.query(_TAKE_COMPARISONS, {"most": most, "lease": lease_seconds})
    return [Comparison(*row) for row in rows]


async def note_compared(database: Database, it: Comparison) -> None:
    """It agrees; unless the switch has told of it again meanwhile, that is all."""
    await database.query(_COMPARED, attrs.asdict(it))


async def compare_later(database: Database, it: Comparison, wait_seconds: float) -> None:
    """Compare it after a wait."""
    await database.query(_COMPARE_AGAIN, attrs.asdict(it) | {"wait": wait_seconds})


async def sweep_nodes(database: Database, nodes: Iterable[str]) -> None:
    """Have every mailbox of these nodes compared, from the first on."""
    names = sorted(nodes)
    if names:
        await database.query(_SWEEP, {"nodes": names})


async def sweep_on(transaction: Database) -> bool:
    """Have some more mailboxes of a node compared, unless enough wait; whether there was one to
    go on with. Everything is in the transaction."""
    found = await transaction.query(_TAKE_SWEEP, {"most": SWEPT_AT_ONCE})
    if not found:
        return False
    node, tenant, mailbox = found[0]
    after = {"tenant": tenant, "mailbox": mailbox, "most": SWEPT_AT_ONCE}
    some = await transaction.query(_NEXT, after)
    if not some:
        await transaction.query("delete from voicemail_sweeps where node = %s returning 1", (node,))
        return True
    names = ("tenant_id", "mailbox", "domain", "node")
    rows = [dict(zip(names, (*it, node), strict=True)) for it in some]
    await transaction.query(_ADD, {"rows": json_argument(rows)})
    last = {"tenant": some[-1][0], "mailbox": some[-1][1], "node": node}
    await transaction.query(_SWEPT, last)
    return True
