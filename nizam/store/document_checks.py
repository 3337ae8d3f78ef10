"""What is wrong with a plan that only the database knows, and telling all that is wrong at once."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from nizam.document.plan import Change
from nizam.errors import Conflict, FieldError, QuotaExceeded, UnknownField, ValidationFailed
from nizam.store.pool import Transaction, scope_sql

MOST_ERRORS = 500
"""How many of the things that are wrong are named."""

_CONFLICTS = frozenset({"taken", "in_use", "quota_exceeded"})


async def taken_by_others(
    transaction: Transaction, tenant_id: UUID, changes: Sequence[Change]
) -> list[FieldError]:
    """What no two tenants may share, and another one has: asked with the system's rights."""
    errors: list[FieldError] = []
    for resource in {it.resource.name: it.resource for it in changes}.values():
        for unique in resource.unique:
            (column, *more) = unique.columns
            if not unique.everywhere or more:
                continue
            wanted = {
                str(it.body[column]): it
                for it in changes
                if it.resource is resource
                and it.operation != "delete"
                and (it.before is None or it.before.body.get(column) != it.body[column])
            }
            if not wanted:
                continue
            transaction.add("select set_config('role', 'none', true)")
            rows = await transaction.query(
                f"select {column} from {resource.table} "  # noqa: S608 - declared names
                f"where {column} = any(%s::text[]) and tenant_id <> %s",
                (list(wanted), tenant_id),
            )
            transaction.add(scope_sql(tenant_id))
            errors += [
                FieldError(f"{wanted[value].path}/{column}", "taken", "is taken by another object")
                for (value,) in rows
            ]
    return errors


def refuse(errors: Sequence[FieldError]) -> None:
    """Raise everything that is wrong as one problem; nothing if nothing is."""
    if not errors:
        return
    codes = {it.code for it in errors}
    kind: type[ValidationFailed | Conflict]
    if codes <= {"quota_exceeded"}:
        kind = QuotaExceeded
    elif codes <= _CONFLICTS:
        kind = Conflict
    elif codes <= {"unknown_field"}:
        kind = UnknownField
    else:
        kind = ValidationFailed
    raise kind(
        f"{len(errors)} things are wrong, the first: {errors[0].path} {errors[0].message}",
        errors=errors[:MOST_ERRORS],
        error_count=len(errors),
    )
