"""Who asks, and what they may do where. Default is deny."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Literal
from uuid import UUID

import attrs

from nizam.errors import FieldError, NotFound, ScopeMissing, ValidationFailed
from nizam.model.permissions import ROLES, Role, expand, role_permissions, roles_with
from nizam.realtime.filters import Filter

Network = IPv4Network | IPv6Network
Kind = Literal["anonymous", "api_key", "user"]


@attrs.frozen
class Grant:
    """What somebody may do in one place: by `roles`, or by the `scopes` of a key."""

    permissions: frozenset[str]
    roles: tuple[Role, ...] = ()
    scopes: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class SignIn:
    """How a user has signed in: the record's id, whether a browser's cookie or a program's token
    carries it, until when it can hold at most, and the page's proof against forged requests."""

    id: UUID
    kind: Literal["session", "token"]
    digest: str = attrs.field(repr=False)
    expires_at: datetime
    csrf_token: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class TicketGrant:
    """What a stream that was opened with a ticket shows at most: the subscription that the ticket
    was made for, and the tenant of its events."""

    tenant_id: UUID
    within: Filter


@attrs.frozen(kw_only=True)
class Principal:
    """Whoever asks. `grants` are by tenant; that under None is the platform's, and holds in every
    tenant. `sign_in` is there for users only, `key_digest`, the SHA-256 of the text, for keys.
    With a `ticket` the grants are the ticket's alone."""

    kind: Kind
    id: UUID
    name: str
    grants: Mapping[UUID | None, Grant]
    rate_limit_per_minute: int | None = None
    expires_at: datetime | None = None
    allowed_cidrs: tuple[str, ...] = ()
    email: str | None = None
    sign_in: SignIn | None = None
    key_digest: str | None = attrs.field(default=None, repr=False)
    ticket: TicketGrant | None = None

    @property
    def actor(self) -> str:
        """How the log names it."""
        return self.kind if self is NOBODY else f"{self.kind}:{self.id}"

    @property
    def home(self) -> UUID | None:
        """The one tenant that it belongs to; None for the platform's and members of several."""
        tenants = self.tenant_ids
        return next(iter(tenants)) if len(tenants) == 1 and not self.platform else None

    @property
    def platform(self) -> bool:
        """Whether it belongs to the platform, to which every tenant is visible."""
        return None in self.grants

    @property
    def tenant_ids(self) -> frozenset[UUID]:
        """The tenants that it belongs to."""
        return frozenset(it for it in self.grants if it is not None)

    def sees(self, tenant_id: UUID | None) -> bool:
        """Whether the tenant exists for it; None is the platform."""
        return self.platform or (tenant_id is not None and tenant_id in self.grants)

    def permissions(self, tenant_id: UUID | None) -> frozenset[str]:
        """What it may do in a tenant; with None, on the platform."""
        found: frozenset[str] = frozenset()
        for place in {None, tenant_id}:
            if place in self.grants:
                found |= self.grants[place].permissions
        return found

    def reach(self, permission: str) -> frozenset[UUID] | None:
        """The tenants in which it has the permission; None is every one, and the platform."""
        if permission in self.permissions(None):
            return None
        return frozenset(it for it in self.tenant_ids if permission in self.permissions(it))


NOBODY = Principal(kind="anonymous", id=UUID(int=0), name="anonymous", grants={})
"""Who asks for what needs no key."""


def key_grants(tenant_id: UUID | None, scopes: Iterable[str]) -> dict[UUID | None, Grant]:
    """The grants of an API key."""
    given = tuple(sorted(scopes))
    return {tenant_id: Grant(expand(given, of_tenant=tenant_id is not None), scopes=given)}


def member_grants(memberships: Iterable[tuple[UUID | None, Role]]) -> dict[UUID | None, Grant]:
    """The grants of a user."""
    found: dict[UUID | None, Grant] = {}
    for tenant_id, role in memberships:
        before = found.get(tenant_id, Grant(frozenset()))
        found[tenant_id] = Grant(
            before.permissions | role_permissions(role), roles=(*before.roles, role)
        )
    return found


def require(principal: Principal, permission: str, tenant_id: UUID | None = None) -> None:
    """Raise ScopeMissing, saying what is missing and who has it, unless the principal has the
    permission in the tenant; with None, on the platform."""
    if permission not in principal.permissions(tenant_id):
        roles = ("platform_admin",) if tenant_id is None else roles_with(permission)
        raise _denied(principal, permission, tenant_id, roles)


def lacking(principal: Principal, permissions: Iterable[str], tenant_id: UUID | None) -> list[str]:
    """Those of the permissions that the principal does not have in the tenant."""
    return sorted(frozenset(permissions) - principal.permissions(tenant_id))


def require_somewhere(principal: Principal, permission: str) -> None:
    """Raise ScopeMissing unless the principal has the permission in some place."""
    if not any(permission in it.permissions for it in principal.grants.values()):
        raise _denied(principal, permission, None, roles_with(permission))


def require_platform(principal: Principal) -> None:
    """Raise ScopeMissing for whoever belongs to tenants only."""
    if not principal.platform:
        raise ScopeMissing(
            "this is the platform's: a tenant's key or user cannot do it",
            scope="platform",
            roles=["platform_admin"],
            yours=_held(principal, None),
        )


def require_user(principal: Principal) -> SignIn:
    """How the user has signed in; ScopeMissing for an API key."""
    if principal.sign_in is None:
        raise ScopeMissing(
            "this is for users who have signed in, not for API keys",
            scope="user",
            roles=list(ROLES),
            yours=_held(principal, None),
        )
    return principal.sign_in


def require_tenant(principal: Principal, tenant_id: UUID | None) -> None:
    """Raise NotFound for another tenant: to whoever is not in it, it does not exist."""
    if not principal.sees(tenant_id):
        raise NotFound


def require_covers(
    principal: Principal, tenant_id: UUID | None, permissions: Iterable[str], what: str
) -> None:
    """Raise ScopeMissing for permissions beyond those that the principal has itself; `what` says
    whose they would be, or what needs them."""
    beyond = lacking(principal, permissions, tenant_id)
    if beyond:
        raise ScopeMissing(
            f"{what} has what you lack: {', '.join(beyond[:5])}",
            scope=beyond[0],
            missing=beyond,
            yours=_held(principal, tenant_id),
        )


def require_within_limits(
    principal: Principal, expires_at: datetime | None, allowed_cidrs: Iterable[str]
) -> None:
    """Raise ValidationFailed for a key that would hold longer, or in more places, than this."""
    errors = []
    own_end, own_places = principal.expires_at, tuple(map(ip_network, principal.allowed_cidrs))
    if own_end is not None and (expires_at is None or expires_at > own_end):
        message = f"the key that makes it holds until {own_end.isoformat()}"
        errors.append(FieldError("/expires_at", "beyond_own", message))
    places = tuple(map(ip_network, allowed_cidrs))
    if own_places and not (places and all(_covered(it, own_places) for it in places)):
        message = f"the key that makes it holds in {', '.join(map(str, own_places))}"
        errors.append(FieldError("/allowed_cidrs", "beyond_own", message))
    if errors:
        raise ValidationFailed("a key can only give away what it has", errors=errors)


def _denied(
    principal: Principal, permission: str, tenant_id: UUID | None, roles: Iterable[str]
) -> ScopeMissing:
    held = _held(principal, tenant_id)
    you = ", ".join((*held["roles"], *held["scopes"])) or "nothing"
    return ScopeMissing(
        f"this needs the scope {permission} (roles: {', '.join(roles)}); you have {you}",
        scope=permission,
        tenant_id=tenant_id,
        roles=list(roles),
        yours=held,
    )


def _held(principal: Principal, tenant_id: UUID | None) -> dict[str, Any]:
    """What the principal has there, in the words in which it was given."""
    grants = principal.grants
    # Without a tenant in the path it is all that it has anywhere.
    places = grants if tenant_id is None else [it for it in (None, tenant_id) if it in grants]
    return {
        "roles": sorted({role for place in places for role in grants[place].roles}),
        "scopes": sorted({scope for place in places for scope in grants[place].scopes}),
    }


def _covered(place: Network, networks: Iterable[Network]) -> bool:
    return any(
        (isinstance(place, IPv4Network) and isinstance(it, IPv4Network) and place.subnet_of(it))
        or (isinstance(place, IPv6Network) and isinstance(it, IPv6Network) and place.subnet_of(it))
        for it in networks
    )
