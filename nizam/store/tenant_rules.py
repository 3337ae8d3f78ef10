"""What must hold between an object and the tenants it concerns, before it is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from nizam.errors import FieldError, InUse, InvalidTransition, QuotaExceeded, ValidationFailed
from nizam.model.api_key import ApiKey
from nizam.model.base import Body
from nizam.model.registry import resources
from nizam.model.resource import Resource
from nizam.model.user import User
from nizam.store.connection import Select
from nizam.store.pool import Transaction
from nizam.store.stored import Stored

# Counts no further than the quota; without one it counts nothing.
_QUOTA = """
select count(*) from (
    select from {table} where tenant_id = %s
    limit (select coalesce((body -> 'quotas' ->> %s)::integer, 0) from tenants where id = %s)
) it
"""


def quota_question(resource: Resource, tenant_id: UUID | None) -> list[Select]:
    """How many of these the tenant has, as far as its quota; none where there is no quota."""
    if resource.quota is None or tenant_id is None:
        return []
    sql = _QUOTA.format(table=resource.table)
    return [(sql, (tenant_id, resource.quota, tenant_id))]


def check_quota(resource: Resource, tenant: Mapping[str, Any], count: int) -> None:
    """Raises QuotaExceeded when a tenant with that body has `count` and may have no more."""
    limit = tenant.get("quotas", {}).get(resource.quota, 0)
    if limit and count >= limit:
        raise QuotaExceeded(
            f"the tenant may have {limit} {resource.table.replace('_', ' ')}",
            quota=resource.quota,
            limit=limit,
        )


async def check_tenants_of(
    transaction: Transaction, body: Body, present: Stored | None = None
) -> None:
    """Refuse a key or a membership of a tenant that does not exist or is terminated; one that
    it has had may outlive its tenant."""
    had = [] if present is None else [present.body, *present.body.get("memberships", ())]
    known = {it.get("tenant_id") for it in had}
    named: list[tuple[str, UUID]] = []
    if isinstance(body, ApiKey) and body.tenant_id is not None:
        named = [("/tenant_id", body.tenant_id)] if str(body.tenant_id) not in known else []
    elif isinstance(body, User):
        named = [
            (f"/memberships/{number}/tenant_id", it.tenant_id)
            for number, it in enumerate(body.memberships)
            if it.tenant_id is not None and str(it.tenant_id) not in known
        ]
    if not named:
        return
    rows = await transaction.query(
        "select id from tenants where id = any(%s::uuid[]) and status <> 'terminated'",
        ([str(it) for _, it in named],),
    )
    errors = [
        FieldError(path, "not_found", "there is no tenant with this id, or it is terminated")
        for path, identifier in named
        if (identifier,) not in rows
    ]
    if errors:
        raise ValidationFailed("references to what does not exist", errors=errors)


async def check_owns_nothing(transaction: Transaction, tenant_id: UUID) -> None:
    """Raises InUse naming something that a tenant still has."""
    owned = [it.table for it in resources().values() if it.scope == "tenant" and not it.defaults]
    tables = (*owned, "api_keys")
    answers = await transaction.query_all(
        [
            (f"select id from {table} where tenant_id = %s limit 1", (tenant_id,))  # noqa: S608
            for table in tables
        ]
    )
    for table, rows in zip(tables, answers, strict=True):
        if rows:
            raise InUse(
                f"the tenant still has {table.replace('_', ' ')}",
                referrers=[{"type": table, "id": rows[0]["id"]}],
            )


def refuse_terminated(it: Stored) -> None:
    """Raises InvalidTransition for a tenant that is terminated."""
    if it.resource.name == "tenant" and it.body["status"] == "terminated":
        raise InvalidTransition("the tenant is terminated", status="terminated")
