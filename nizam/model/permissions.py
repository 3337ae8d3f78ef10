"""Permissions: `resource:action`, derived from the declarations. Default is deny."""

from __future__ import annotations

from functools import cache

_BESIDE_RESOURCES: dict[str, tuple[str, ...]] = {
    "calls": ("read",),
    "call_events": ("read",),
    "cdrs": ("read",),
    "registrations": ("read",),
    "deliveries": ("read", "write"),
    "routing": ("explain",),
    "health": ("read",),
}
"""What can be asked for that is no declared resource."""


@cache
def permissions() -> frozenset[str]:
    """Every permission there is."""
    from nizam.model import registry

    found = {
        f"{area}:{action}" for area, actions in _BESIDE_RESOURCES.items() for action in actions
    }
    for resource in registry.resources().values():
        found |= {f"{resource.table}:read", f"{resource.table}:write"}
        if resource.secrets:
            found.add(f"{resource.table}:reveal")
    return frozenset(found)


def is_scope(value: str) -> bool:
    """Whether `value` is a permission, all actions of one area (`area:*`) or everything (`*`)."""
    if value == "*" or value in permissions():
        return True
    area, _, action = value.partition(":")
    return action == "*" and any(it.startswith(f"{area}:") for it in permissions())


def allows(scopes: frozenset[str], permission: str) -> bool:
    """Whether `scopes` hold `permission`."""
    area = permission.partition(":")[0]
    return permission in scopes or f"{area}:*" in scopes or "*" in scopes
