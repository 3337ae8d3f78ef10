"""Whose a change is: in whose feed, revision, audit log and events it counts."""

from __future__ import annotations

from uuid import UUID

from nizam.store.stored import Stored


def tenant_of(it: Stored) -> UUID | None:
    """Whom the change concerns: a tenant's keys, and users who are in one tenant only, are in
    the feed, the audit log and the events of that tenant."""
    if it.resource.name == "tenant":
        return it.id
    if it.resource.name == "api_key":
        named = {it.body.get("tenant_id")}
    elif it.resource.name == "user":
        named = {membership.get("tenant_id") for membership in it.body["memberships"]}
    else:
        return it.tenant_id
    only = next(iter(named)) if len(named) == 1 else None
    return None if only is None else UUID(only)


def owner_of(before: Stored | None, after: Stored | None) -> UUID | None:
    """Whose revision counts the change; a tenant that is gone has none any more. Whoever
    comes to a tenant or leaves it concerns others too: that is the platform's."""
    if after is None and before is not None and before.resource.name == "tenant":
        return None
    concerned = {tenant_of(it) for it in (before, after) if it is not None}
    return next(iter(concerned)) if len(concerned) == 1 else None
