"""Who refers to whom: checked when something is saved, asked when something is deleted.

Everything here runs under the tenant's row lock, so that nothing changes in between.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import orjson

from nizam.errors import Conflict, FieldError, InUse, ValidationFailed
from nizam.model.base import Body
from nizam.model.registry import resources
from nizam.model.resource import Resource
from nizam.store.connection import Select
from nizam.store.pool import Transaction

PLATFORM = UUID(int=0)
"""Stands where the tenant's id would, for what the platform's own objects refer to."""

_MOST_REFERRERS = 50

_SAVE = """
insert into resource_references (tenant_id, from_type, from_id, path, to_type, to_id, by_itself)
select %(tenant)s, %(type)s, %(id)s, path, to_type, to_id, by_itself
from jsonb_to_recordset(%(references)s::jsonb)
    as it(path text, to_type text, to_id uuid, by_itself boolean)
"""
_FORGET = (
    "delete from resource_references "
    "where tenant_id = %(tenant)s and from_type = %(type)s and from_id = %(id)s"
)
_REFERRERS = f"""
select from_type, from_id, path from resource_references
where tenant_id = %(tenant)s and to_type = %(type)s and to_id = %(id)s
  and (from_type, from_id) <> (%(type)s, %(id)s)
order by from_type, from_id, path limit {_MOST_REFERRERS}
"""  # noqa: S608 - no values from outside
# A call passes some references by itself; elsewhere a person answers, presses a digit or hangs up.
_LOOP = """
with recursive reached (type, id) as (
    select r.to_type, r.to_id from resource_references r
    where r.tenant_id = %(tenant)s and r.from_type = %(type)s and r.from_id = %(id)s
      and r.by_itself
    union
    select r.to_type, r.to_id from resource_references r
    join reached on r.from_type = reached.type and r.from_id = reached.id
    where r.tenant_id = %(tenant)s and r.by_itself
)
select true from reached where type = %(type)s and id = %(id)s
"""
_TAKE_NUMBERS = (
    "insert into dialable_numbers (tenant_id, number, resource_type, resource_id) "
    "select %s, unnest(%s::text[]), %s, %s"
)
_FREE_NUMBERS = (
    "delete from dialable_numbers where tenant_id = %s and resource_type = %s and resource_id = %s"
)


def reference_questions(
    tenant_id: UUID, resource: Resource, identifier: UUID, body: Body
) -> list[Select]:
    """The queries that `missing_references` reads the answers of: one for each type."""
    wanted: defaultdict[str, set[UUID]] = defaultdict(set)
    for reference in resource.references(body):
        if (reference.type, reference.id) != (resource.name, identifier):
            wanted[reference.type].add(reference.id)
    return [
        _presence(tenant_id, resources()[name], [str(it) for it in ids])
        for name, ids in wanted.items()
    ]


def _presence(tenant_id: UUID, resource: Resource, ids: list[str]) -> Select:
    sql = f"select %s as type, id from {resource.table} where id = any(%s::uuid[])"  # noqa: S608
    if resource.scope == "platform":
        return sql, (resource.name, ids)
    return f"{sql} and tenant_id = %s", (resource.name, ids, tenant_id)


def check_references(
    answers: Iterable[list[dict[str, Any]]], resource: Resource, identifier: UUID, body: Body
) -> None:
    """Raise ValidationFailed that names each path whose object the tenant does not have."""
    present = {(row["type"], row["id"]) for rows in answers for row in rows}
    present.add((resource.name, str(identifier)))
    errors = [
        FieldError(it.path, "not_found", f"there is no {it.type} with this id")
        for it in resource.references(body)
        if (it.type, str(it.id)) not in present
    ]
    if errors:
        raise ValidationFailed("references to what does not exist", errors=errors)


def save_references(
    transaction: Transaction,
    tenant_id: UUID,
    resource: Resource,
    identifier: UUID,
    body: Body,
    *,
    new: bool,
) -> None:
    """Put the references that `body` holds in the place of the object's former ones, which a
    `new` one has none of."""
    place = {"tenant": tenant_id, "type": resource.name, "id": identifier}
    if not new:
        transaction.add(_FORGET, place)
    listed = [
        {"path": it.path, "to_type": it.type, "to_id": it.id, "by_itself": it.by_itself}
        for it in resource.references(body)
    ]
    if listed:
        transaction.add(_SAVE, {**place, "references": orjson.dumps(listed).decode()})


async def check_loop(
    transaction: Transaction, tenant_id: UUID, resource: Resource, identifier: UUID, body: Body
) -> None:
    """Raise ValidationFailed if a call to the object, as it is saved now, would go round without
    ever reaching a person. Nothing refers to an object that was just made."""
    first = next((it for it in resource.references(body) if it.by_itself), None)
    place = {"tenant": tenant_id, "type": resource.name, "id": identifier}
    if first is not None and await transaction.query(_LOOP, place):
        raise ValidationFailed(
            "calls would go round without reaching anybody",
            errors=[FieldError(first.path, "loop", "leads back here without anybody answering")],
        )


async def forget_references(
    transaction: Transaction, tenant_id: UUID, resource: Resource, identifier: UUID
) -> None:
    """Remove what the object, which goes away, refers to; InUse, listing them, if others refer
    to it."""
    place = {"tenant": tenant_id, "type": resource.name, "id": identifier}
    rows = await transaction.query(_REFERRERS, place)
    if rows:
        referrers = [{"type": type_, "id": str(id_), "path": path} for type_, id_, path in rows]
        names = ", ".join(sorted({it["type"] for it in referrers}))
        raise InUse(f"still referred to by: {names}", referrers=referrers)
    transaction.add(_FORGET, place)


def numbers_question(tenant_id: UUID, resource: Resource, identifier: UUID, body: Body) -> Select:
    """The query that `check_numbers` reads the answer of: who else has one of these numbers."""
    return (
        "select number, resource_type, resource_id from dialable_numbers where tenant_id = %s "
        "and number = any(%s::text[]) and (resource_type, resource_id) <> (%s, %s)",
        (tenant_id, list(resource.numbers(vars(body))), resource.name, identifier),
    )


def check_numbers(answer: list[dict[str, Any]], resource: Resource, body: Body) -> None:
    """Raise Conflict that says which objects have numbers that the body claims."""
    if not answer:
        return
    paths = resource.numbers(vars(body))
    taken = sorted(answer, key=lambda it: it["number"])
    errors = [
        FieldError(
            paths[it["number"]],
            "taken",
            f"{it['number']} belongs to {it['resource_type']} {it['resource_id']}",
        )
        for it in taken
    ]
    first = taken[0]
    raise Conflict(
        f"the number {first['number']} belongs to a {first['resource_type'].replace('_', ' ')}",
        errors=errors,
        holder={"type": first["resource_type"], "id": first["resource_id"]},
    )


def take_numbers(
    transaction: Transaction, tenant_id: UUID, resource: Resource, identifier: UUID, body: Body
) -> None:
    """Make the body's numbers the object's, among all the tenant's dialable numbers."""
    free_numbers(transaction, tenant_id, resource, identifier)
    numbers = list(resource.numbers(vars(body)))
    if numbers:
        transaction.add(_TAKE_NUMBERS, (tenant_id, numbers, resource.name, identifier))


def free_numbers(
    transaction: Transaction, tenant_id: UUID, resource: Resource, identifier: UUID
) -> None:
    """Let others have the object's numbers."""
    transaction.add(_FREE_NUMBERS, (tenant_id, resource.name, identifier))
