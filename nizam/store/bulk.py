"""Many changes of one tenant in few statements, and the reading of all that it has.

Rows are read through a cursor and written as JSON documents of a few hundred objects, each of
which becomes rows inside PostgreSQL. In between, the thread belongs to everybody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import attrs

from nizam.document.checks import Edge
from nizam.document.plan import Change, document_resources
from nizam.model.registry import resources
from nizam.model.resource import Resource
from nizam.slices import Sliced, in_slices
from nizam.store.connection import Row
from nizam.store.pool import Transaction
from nizam.store.secrets import SecretBox, generate
from nizam.store.stored import Stored
from nizam.store.system.events import json_argument
from nizam.store.unit_of_work import UnitOfWork

SLICE = 250
"""Rows that are read or written in one round trip."""

_COLUMNS = "id, version, created_at, updated_at, body, secrets"
_INSERT = """
insert into {table} (id, tenant_id, version, created_at, updated_at, body, secrets)
select id, %(tenant)s, version, created_at, %(now)s, body, secrets
from jsonb_to_recordset(%(rows)s::jsonb)
    as it(id uuid, version bigint, created_at timestamptz, body jsonb, secrets jsonb)
"""
_UPDATE = """
update {table} t
set version = it.version, updated_at = %(now)s, body = it.body, secrets = it.secrets
from jsonb_to_recordset(%(rows)s::jsonb)
    as it(id uuid, version bigint, body jsonb, secrets jsonb)
where t.id = it.id and t.tenant_id = %(tenant)s
"""
_UPDATE_TENANT = """
update tenants set version = version + 1, updated_at = %(now)s, body = %(body)s where id = %(id)s
"""
_DELETE = "delete from {table} where tenant_id = %(tenant)s and id = any(%(ids)s::uuid[])"
_FORGET_REFERENCES = """
delete from resource_references
where tenant_id = %(tenant)s and from_type = %(type)s and from_id = any(%(ids)s::uuid[])
"""
_FREE_NUMBERS = """
delete from dialable_numbers
where tenant_id = %(tenant)s and resource_type = %(type)s and resource_id = any(%(ids)s::uuid[])
"""
_SAVE_REFERENCES = """
insert into resource_references (tenant_id, from_type, from_id, path, to_type, to_id, by_itself)
select %(tenant)s, %(type)s, from_id, path, to_type, to_id, by_itself
from jsonb_to_recordset(%(rows)s::jsonb)
    as it(from_id uuid, path text, to_type text, to_id uuid, by_itself boolean)
"""
_TAKE_NUMBERS = """
insert into dialable_numbers (tenant_id, number, resource_type, resource_id)
select %(tenant)s, number, %(type)s, resource_id
from jsonb_to_recordset(%(rows)s::jsonb) as it(number text, resource_id uuid)
"""
_EDGES = """
select from_type, from_id, to_type, to_id from resource_references
where tenant_id = %(tenant)s and by_itself
"""


@attrs.frozen
class Everything:
    """A tenant with all that it has, as of one moment; the objects in the order of their making."""

    tenant: Stored
    revision: int
    present: Mapping[str, Sequence[Stored]]


async def in_pages(
    transaction: Transaction, sql: str, args: Mapping[str, Any]
) -> AsyncIterator[list[Row]]:
    """The rows of a query, some hundreds at a time; all of one moment."""
    transaction.add(f"declare pages no scroll cursor for {sql}", args)
    while True:
        rows = await transaction.query(f"fetch {SLICE} from pages")
        if rows:
            yield rows
        if len(rows) < SLICE:
            transaction.add("close pages")
            return


async def read_everything(transaction: Transaction, tenant_id: UUID) -> Everything | None:
    """The tenant and all its objects; None if there is no such tenant."""
    parts = [
        f"select 'tenant', revision, {_COLUMNS} "  # noqa: S608 - declared names
        "from tenants where id = %(tenant)s"
    ]
    parts += [
        f"select '{it.name}', 0, {_COLUMNS} "  # noqa: S608 - declared names
        f"from {it.table} where tenant_id = %(tenant)s"
        for it in document_resources()
    ]
    present: defaultdict[str, list[Stored]] = defaultdict(list)
    revision = 0
    async for rows in in_pages(transaction, " union all ".join(parts), {"tenant": tenant_id}):
        for name, number, *fields in rows:
            revision = number or revision
            present[name].append(_stored(resources()[name], tenant_id, fields))
    tenants = present.pop("tenant", [])
    if not tenants:
        return None
    for objects in present.values():
        objects.sort(key=lambda it: (it.created_at, it.id))
    return Everything(tenants[0], revision, present)


async def edges(transaction: Transaction, tenant_id: UUID) -> list[Edge]:
    """Which of the tenant's objects hand calls on to which by themselves."""
    found: list[Edge] = []
    async for rows in in_pages(transaction, _EDGES, {"tenant": tenant_id}):
        found += [((kind, str(it)), (other, str(to))) for kind, it, other, to in rows]
    return found


async def write_changes(unit: UnitOfWork, reactor: Any, changes: Sequence[Change]) -> list[Stored]:
    """Carry out `changes`, which have been checked, under the tenant's lock; the objects that
    were made or changed, with secrets that are new in `revealed`."""
    tenant_id = unit.tenant_id
    assert tenant_id is not None  # noqa: S101 - documents belong to tenants
    written = await in_slices(reactor, _prepared(unit, changes))
    by_type: defaultdict[str, list[tuple[Change, Stored | None]]] = defaultdict(list)
    for change, after in zip(changes, written, strict=True):
        by_type[change.resource.name].append((change, after))
    writer = _Writer(unit, tenant_id)
    for own, after in by_type.pop("tenant", []):
        assert after is not None  # noqa: S101 - documents delete no tenants
        unit.as_system(_UPDATE_TENANT, {"now": unit.now, "body": dict(after.body), "id": own.id})
    for name, pairs in by_type.items():
        await writer.remove(resources()[name], [it for it, _ in pairs if it.operation != "create"])
    for name, pairs in by_type.items():
        await writer.put(resources()[name], pairs)
    await in_slices(reactor, _told(unit, changes, written))
    return [it for it in written if it is not None]


def _told(
    unit: UnitOfWork, changes: Sequence[Change], written: Sequence[Stored | None]
) -> Sliced[None]:
    """Have feed, history, audit log and events say what was done."""
    for change, after in zip(changes, written, strict=True):
        before = change.before
        assert before is None or isinstance(before, Stored)  # noqa: S101 - read_everything's
        unit.changed(
            change.resource,
            "deleted" if after is None else "created" if before is None else "updated",
            before,
            None if after is None else attrs.evolve(after, revealed={}),
        )
        yield


def _prepared(unit: UnitOfWork, changes: Sequence[Change]) -> Sliced[list[Stored | None]]:
    found: list[Stored | None] = []
    for change in changes:
        found.append(None if change.operation == "delete" else _after(unit, change))
        yield
    return found


def _after(unit: UnitOfWork, change: Change) -> Stored:
    before = change.before
    secrets, revealed = _secrets(unit.box, change)
    created_at = unit.now if change.created_at is None else change.created_at
    return Stored(
        resource=change.resource,
        id=change.id,
        tenant_id=unit.tenant_id if change.resource.scope == "tenant" else None,
        version=change.version,
        created_at=created_at if before is None else before.created_at,
        updated_at=unit.now,
        body=change.body,
        secrets=secrets,
        revealed=revealed,
    )


def _secrets(box: SecretBox, change: Change) -> tuple[dict[str, str], dict[str, str]]:
    """The secrets as stored, and those that were made for the object."""
    if change.sealed is not None:
        return dict(change.sealed), {}
    before = {} if change.before is None else change.before.secrets
    kept = {field: text for field, text in before.items() if field not in change.cleared}
    revealed: dict[str, str] = {}
    for secret in change.resource.secrets:
        text = change.given.get(secret.field)
        if text is None and secret.field not in kept and secret.generate is not None:
            text = revealed[secret.field] = generate(secret.generate)
        if text is not None:
            kept[secret.field] = box.encrypt(text, change.resource.name, change.id, secret.field)
    return kept, revealed


@attrs.frozen
class _Writer:
    """Writes the objects of one type after the other."""

    unit: UnitOfWork
    tenant_id: UUID

    async def remove(self, resource: Resource, changes: Sequence[Change]) -> None:
        """Take away what goes, and the links of what is about to change."""
        for some in _pieces(changes):
            place = {
                "tenant": self.tenant_id,
                "type": resource.name,
                "ids": [str(it.id) for it in some],
            }
            self._add(_FORGET_REFERENCES, place)
            self._add(_FREE_NUMBERS, place)
            # What changes in a unique field goes and comes back: two may change places.
            gone = [str(it.id) for it in some if _goes(it)]
            await self._run(_DELETE.format(table=resource.table), {**place, "ids": gone})

    async def put(self, resource: Resource, pairs: Sequence[tuple[Change, Stored | None]]) -> None:
        """Write what is new or changed."""
        there = [(change, after) for change, after in pairs if after is not None]
        for some in _pieces(there):
            for sql, wanted in ((_INSERT, True), (_UPDATE, False)):
                rows = [
                    {
                        "id": after.id,
                        "version": after.version,
                        "created_at": after.created_at,
                        "body": after.body,
                        "secrets": after.secrets,
                    }
                    for change, after in some
                    if (change.operation == "create" or _goes(change)) is wanted
                ]
                if rows:
                    self._add_rows(sql.format(table=resource.table), resource, rows)
            links = [
                {
                    "from_id": change.id,
                    "path": it.path,
                    "to_type": it.type,
                    "to_id": it.id,
                    "by_itself": it.by_itself,
                }
                for change, _ in some
                for it in change.references
            ]
            self._add_rows(_SAVE_REFERENCES, resource, links)
            numbers = [
                {"number": number, "resource_id": after.id}
                for _, after in some
                for number in (resource.numbers(after.body) if resource.is_dialled else ())
            ]
            self._add_rows(_TAKE_NUMBERS, resource, numbers)
            await self.unit.transaction.query("select")

    def _add(self, sql: str, args: Mapping[str, Any]) -> None:
        self.unit.transaction.add(sql, args)

    def _add_rows(self, sql: str, resource: Resource, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            place = {"tenant": self.tenant_id, "type": resource.name, "now": self.unit.now}
            self._add(sql, {**place, "rows": json_argument(rows)})

    async def _run(self, sql: str, args: Mapping[str, Any]) -> None:
        await self.unit.transaction.execute(sql, args)


def _goes(change: Change) -> bool:
    before = change.before
    return change.operation == "delete" or (
        before is not None
        and any(
            before.body.get(name) != change.body.get(name)
            for unique in change.resource.unique
            for name in unique.columns
        )
    )


def _pieces(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[start : start + SLICE] for start in range(0, len(items), SLICE))


def _stored(resource: Resource, tenant_id: UUID, fields: Sequence[Any]) -> Stored:
    identifier, version, created_at, updated_at, body, secrets = fields
    return Stored(
        resource=resource,
        id=identifier,
        tenant_id=tenant_id if resource.scope == "tenant" else None,
        version=version,
        created_at=created_at,
        updated_at=updated_at,
        body=body,
        secrets=secrets,
    )
