"""Permissions: `resource:action`, derived from the declarations; roles as sets of them.

Default is deny: what no rule below gives to a role, the role does not have. A new resource of a
tenant is everything to its administrators and readable to those who only look.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final, Literal, get_args

from nizam.model.call_control import VERBS

Role = Literal["platform_admin", "tenant_admin", "supervisor", "agent", "read_only"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

_BESIDE_RESOURCES: dict[str, tuple[str, ...]] = {
    "calls": ("read", *VERBS),
    "call_events": ("read",),
    "cdrs": ("read",),
    "registrations": ("read",),
    "deliveries": ("read", "write"),
    "routing": ("explain",),
    "audit_logs": ("read",),
    "recordings": ("read", "download", "delete", "hold"),
    "voicemail_messages": ("read", "download", "write"),
    "stats": ("read",),
    "usage": ("read",),
    "document": ("read", "plan", "apply", "reveal"),
    "revisions": ("read", "rollback"),
}
"""What can be asked of a tenant that is no declared resource."""

_BESIDE_RESOURCES_OF_PLATFORM: dict[str, tuple[str, ...]] = {
    "health": ("read",),
}
"""What can be asked of the platform alone that is no declared resource."""

_SHARED_WITH_TENANTS: Final = frozenset(
    {"tenants:read", "users:read", "users:write", "api_keys:read", "api_keys:write"}
)
"""Of the platform's own resources, what a tenant may do with the part that is its own."""

_READING: Final = frozenset({"read", "explain", "plan"})
"""Actions that change nothing and show no secret."""

_ADMINISTRATION: Final = frozenset(
    {"users", "api_keys", "webhooks", "deliveries", "audit_logs", "document", "revisions"}
)
"""What a supervisor has no part in: who signs in, and what leaves the system."""

_SUPERVISED: Final = frozenset(
    {
        "calls",
        "queues",
        "agents",
        "recordings",
        "voicemail_messages",
        "blocked_numbers",
        "time_conditions",
    }
)
"""What a supervisor steers from day to day."""

_BEYOND: Final = frozenset({"recordings:delete", "recordings:hold"})
"""What a supervisor cannot do even there."""

_SEEN_BY_AGENTS: Final = frozenset(
    {
        "extensions",
        "ring_groups",
        "conference_rooms",
        "parking_lots",
        "feature_codes",
        "queues",
        "agents",
        "registrations",
    }
)
"""The telephone book: whom an agent can call, and who is there."""


@cache
def permissions() -> frozenset[str]:
    """Every permission there is."""
    from nizam.model import registry

    beside = _BESIDE_RESOURCES | _BESIDE_RESOURCES_OF_PLATFORM
    found = {f"{area}:{action}" for area, actions in beside.items() for action in actions}
    for resource in registry.resources().values():
        found |= {f"{resource.table}:read", f"{resource.table}:write"}
        if any(not it.one_way for it in resource.secrets):
            found.add(f"{resource.table}:reveal")
    return frozenset(found)


@cache
def tenant_permissions() -> frozenset[str]:
    """Those that can be had within one tenant; the others are the platform's alone."""
    from nizam.model import registry

    platform = {it.table for it in registry.resources().values() if it.scope == "platform"}
    platform |= _BESIDE_RESOURCES_OF_PLATFORM.keys()
    return frozenset(
        it for it in permissions() if _area(it) not in platform or it in _SHARED_WITH_TENANTS
    )


@cache
def role_permissions(role: Role) -> frozenset[str]:
    """What a role may do: `platform_admin` everywhere, the others in one tenant."""
    if role == "platform_admin":
        return permissions()
    within = tenant_permissions()
    readable = frozenset(it for it in within if it.partition(":")[2] in _READING)
    if role == "tenant_admin":
        return within
    if role == "read_only":
        return readable
    if role == "supervisor":
        steered = {
            it
            for it in within
            if _area(it) in _SUPERVISED and it not in _BEYOND and not it.endswith(":reveal")
        }
        return frozenset(it for it in readable if _area(it) not in _ADMINISTRATION) | steered
    return frozenset(it for it in readable if _area(it) in _SEEN_BY_AGENTS)


def roles_with(permission: str) -> tuple[Role, ...]:
    """The roles that have `permission`, the strongest first."""
    return tuple(role for role in ROLES if permission in role_permissions(role))


def expand(scopes: Iterable[str], *, of_tenant: bool) -> frozenset[str]:
    """The permissions that a key's `scopes` stand for; a tenant's key has no others than a
    tenant can have."""
    given = frozenset(scopes)
    possible = tenant_permissions() if of_tenant else permissions()
    return frozenset(it for it in possible if allows(given, it))


def is_scope(value: str) -> bool:
    """Whether `value` is a permission, all actions of one area (`area:*`) or everything (`*`)."""
    if value == "*" or value in permissions():
        return True
    area, _, action = value.partition(":")
    return action == "*" and any(it.startswith(f"{area}:") for it in permissions())


def allows(scopes: frozenset[str], permission: str) -> bool:
    """Whether `scopes` hold `permission`."""
    return permission in scopes or f"{_area(permission)}:*" in scopes or "*" in scopes


def _area(permission: str) -> str:
    return permission.partition(":")[0]
