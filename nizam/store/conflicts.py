"""Why a change is refused: another object has what must be unique, or somebody was faster."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg2

from nizam.document.describe import field_changes
from nizam.errors import Conflict, FieldError, VersionMismatch
from nizam.model.pointer import pointer
from nizam.model.registry import resources
from nizam.store.pool import Transaction
from nizam.store.stored import Stored, redacted

_FORMER = """
select body, secrets from resource_versions
where tenant_id = %s and resource_type = %s and resource_id = %s and version = %s
    and body is not null
order by revision desc limit 1
"""
_PATHS_IN_DETAIL = 5


async def mismatch(
    transaction: Transaction, owner: UUID | None, present: Stored, versions: frozenset[int]
) -> VersionMismatch:
    """The error that says how an object differs from the newest of `versions`, where that is
    still known: of what the tenant `owner` has, and of the tenant itself."""
    detail = f"the object is at version {present.version} now"
    asked = max((it for it in versions if it < present.version), default=None)
    former: list[tuple[Any, ...]] = []
    if asked is not None and owner is not None:
        former = await transaction.query(_FORMER, (owner, present.resource.name, present.id, asked))
    if not former:
        return VersionMismatch(detail, current_version=present.version)
    body, secrets = former[0]
    changes = field_changes(body, present.body, redacted)
    changes += [
        {"path": pointer(field.split("."))}
        for field in {*secrets, *present.secrets}
        if secrets.get(field) != present.secrets.get(field)
    ]
    changes.sort(key=lambda it: str(it["path"]))
    paths = ", ".join(it["path"] for it in changes[:_PATHS_IN_DETAIL])
    return VersionMismatch(
        f"{detail}; since version {asked} this has changed: {paths or 'nothing'}",
        current_version=present.version,
        changes=changes,
    )


def conflict_of(error: psycopg2.errors.UniqueViolation) -> Conflict | None:
    """The Conflict that names the fields, when a declared unique index stands in the way."""
    index = error.diag.constraint_name
    for resource in resources().values():
        for unique in resource.unique:
            if index == f"uq_{resource.table}_{'_'.join(unique.columns)}":
                fields = [
                    FieldError(f"/{name}", "taken", "is taken by another object")
                    for name in unique.columns
                ]
                words, these = resource.name.replace("_", " "), " and ".join(unique.columns)
                return Conflict(f"another {words} has this {these}", errors=fields)
    return None
