"""A working tenant in one transaction: itself, its first objects, its administrator, its key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

import attrs

from nizam.document.plan import Change
from nizam.errors import FieldError
from nizam.model.api_key import ApiKey
from nizam.model.base import Body
from nizam.model.registry import resources
from nizam.model.tenant import Tenant, TenantStatus
from nizam.model.user import Person, User
from nizam.slices import full_collections_wait
from nizam.store.bulk import write_changes
from nizam.store.context import ChangeContext
from nizam.store.document_checks import refuse, taken_by_others
from nizam.store.pool import Transaction
from nizam.store.store import Store
from nizam.store.stored import Stored
from nizam.store.unit_of_work import UnitOfWork

T = TypeVar("T")

DEADLINE_SECONDS = 20.0


@attrs.frozen(kw_only=True)
class NewTenant:
    """Everything that is made; `user` with its password hashed, `changes` planned and checked."""

    id: UUID
    tenant: Tenant
    status: TenantStatus
    changes: Sequence[Change]
    user: User | None
    key: ApiKey | None


@attrs.frozen(kw_only=True)
class Provisioned:
    """What was made; the key's text is in its `revealed`, the secrets of the objects, given or
    made, in theirs."""

    tenant: Stored
    objects: Sequence[Stored]
    user: Stored | None
    key: Stored | None


async def provision(
    store: Store,
    new: NewTenant,
    context: ChangeContext,
    answer: Callable[[Provisioned], Awaitable[T]],
) -> T:
    """Make the tenant with all that it begins with, or nothing at all; what `answer` makes of it,
    also kept for the idempotency key.

    Raises Conflict naming everything that is another's already.
    """

    async def work(unit: UnitOfWork) -> T:
        await unit.lock()
        refuse(await taken(unit.transaction, new.id, new.tenant, new.user, new.changes))
        tenant = await unit.create(
            resources()["tenant"], new.tenant, new.id, {"status": new.status}
        )
        user = None if new.user is None else await unit.create(resources()["user"], new.user)
        key = None if new.key is None else await unit.create(resources()["api_key"], new.key)
        unit.go_on_in(new.id)
        written = await write_changes(unit, store.primary.reactor, new.changes)
        counts = Counter(it.resource.table for it in new.changes)
        unit.note("provisioned", "tenant", new.id, after=dict(counts))
        objects = [_with_given(*it) for it in zip(new.changes, written, strict=True)]
        return await answer(Provisioned(tenant=tenant, objects=objects, user=user, key=key))

    with full_collections_wait():
        return await store.write(None, context, work, deadline=DEADLINE_SECONDS)


async def taken(
    transaction: Transaction,
    tenant_id: UUID,
    tenant: Tenant | None,
    admin: Person | None,
    changes: Sequence[Change],
) -> list[FieldError]:
    """What no two may have, and another has: slug and domain, the address of the administrator,
    public numbers. Asked with the system's rights."""
    errors: list[FieldError] = []
    bodies: Mapping[str, tuple[str, Body | None]] = {
        "/tenant": ("tenant", tenant),
        "/admin": ("user", admin),
    }
    for path, (name, body) in bodies.items():
        table = resources()[name].table
        for unique in resources()[name].unique if body is not None else ():
            (column,) = unique.columns
            rows: list[Any] = await transaction.query(
                f"select from {table} where {column} = %s",
                (getattr(body, column),),
            )
            if rows:
                message = f"is taken by another {name}"
                errors.append(FieldError(f"{path}/{column}", "taken", message))
    errors += await taken_by_others(transaction, tenant_id, changes)
    transaction.add("select set_config('role', 'none', true)")
    return errors


def _with_given(change: Change, made: Stored) -> Stored:
    return attrs.evolve(made, revealed={**change.given, **made.revealed})
