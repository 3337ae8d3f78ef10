"""Who asks: API keys, their scopes, and what tenant they belong to. Default is deny."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from uuid import UUID

import attrs

from nizam.errors import (
    FieldError,
    NotFound,
    RateLimited,
    ScopeMissing,
    Unauthenticated,
    ValidationFailed,
)
from nizam.http.limits import LocalMeter, Meter
from nizam.model.key_text import is_well_formed, key_hash
from nizam.model.permissions import allows

CACHE_SECONDS = 5.0
CACHE_ENTRIES = 10_000
TOUCH_SECONDS = 60.0
FAILURES_PER_MINUTE = 60

Network = IPv4Network | IPv6Network


@attrs.frozen
class Principal:
    """Whoever holds the key. Without a tenant it is the platform's own."""

    key_id: UUID
    name: str
    tenant_id: UUID | None
    scopes: frozenset[str]
    rate_limit_per_minute: int | None = None
    expires_at: datetime | None = None
    allowed_cidrs: tuple[str, ...] = ()

    @property
    def actor(self) -> str:
        """How the audit log names the key."""
        return f"api_key:{self.key_id}"


NOBODY = Principal(UUID(int=0), "anonymous", None, frozenset())
"""Who asks for what needs no key."""


def require(principal: Principal, permission: str) -> None:
    """Raise ScopeMissing, naming the scope, unless the key has the permission."""
    if not allows(principal.scopes, permission):
        raise ScopeMissing(f"this needs the scope {permission}", scope=permission)


def require_platform(principal: Principal) -> None:
    """Raise ScopeMissing for a key that belongs to a tenant."""
    if principal.tenant_id is not None:
        raise ScopeMissing("this needs a key of the platform", scope="platform")


def require_tenant(principal: Principal, tenant_id: UUID) -> None:
    """Raise NotFound for another tenant: to a key, other tenants do not exist."""
    if principal.tenant_id not in (None, tenant_id):
        raise NotFound


def require_covers(principal: Principal, scopes: Iterable[str]) -> None:
    """Raise ScopeMissing for scopes beyond those that the key has itself."""
    for scope in scopes:
        area, _, action = scope.partition(":")
        if scope == "*" or action == "*":
            covered = "*" in principal.scopes or (scope != "*" and scope in principal.scopes)
        else:
            covered = allows(principal.scopes, f"{area}:{action}")
        if not covered:
            raise ScopeMissing(f"a key can only give away scopes it has: {scope}", scope=scope)


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


Lookup = Callable[[str], Awaitable[Principal | None]]
Touch = Callable[[UUID, str], Awaitable[None]]


class Authenticator:
    """Finds the principal of a request.

    `lookup` finds an enabled key by its hash; what it found is kept for 5 s, so that is how long
    a revoked key lives at most on instances that did not hear of the change. `touch` notes that a
    key was used, at most once a minute for each.
    """

    def __init__(
        self,
        lookup: Lookup,
        touch: Touch,
        seconds: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._lookup = lookup
        self._touch = touch
        self._seconds = seconds
        self._now = now
        self._found: OrderedDict[str, tuple[float, Principal]] = OrderedDict()
        self._touched: OrderedDict[UUID, float] = OrderedDict()
        self._failures = LocalMeter(seconds)

    def forget(self) -> None:
        """Look every key up again; called when keys change."""
        self._found.clear()

    async def identify(self, authorization: str | None, remote: str) -> Principal:
        """The principal of an `Authorization: Bearer nzm_...` header.

        Raises Unauthenticated, whose answer does not say whether the key exists; RateLimited
        when the address has tried too many keys that do not.
        """
        if authorization is None:
            raise _refused("send Authorization: Bearer with an API key")
        scheme, _, key = authorization.partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not is_well_formed(key):
            raise _refused("the Authorization header holds no API key")
        principal = await self._find(key_hash(key), remote)
        if principal.expires_at is not None and principal.expires_at <= self._now():
            raise _refused("the API key is not valid")
        if principal.allowed_cidrs and not _within(remote, principal.allowed_cidrs):
            raise _refused("the API key is not valid from this address")
        await self._note_use(principal, remote)
        return principal

    async def _find(self, digest: str, remote: str) -> Principal:
        kept = self._found.get(digest)
        if kept is not None and kept[0] > self._seconds():
            return kept[1]
        if self._failures.exhausted(Meter(remote, FAILURES_PER_MINUTE)):
            raise RateLimited("too many keys that are not valid", headers=(("Retry-After", "1"),))
        principal = await self._lookup(digest)
        if principal is None:
            self._failures.take(Meter(remote, FAILURES_PER_MINUTE))
            self._found.pop(digest, None)
            raise _refused("the API key is not valid")
        self._found[digest] = (self._seconds() + CACHE_SECONDS, principal)
        if len(self._found) > CACHE_ENTRIES:
            self._found.popitem(last=False)
        return principal

    async def _note_use(self, principal: Principal, remote: str) -> None:
        last = self._touched.get(principal.key_id)
        if last is not None and self._seconds() - last < TOUCH_SECONDS:
            return
        self._touched[principal.key_id] = self._seconds()
        if len(self._touched) > CACHE_ENTRIES:
            self._touched.popitem(last=False)
        await self._touch(principal.key_id, remote)


def _refused(detail: str) -> Unauthenticated:
    return Unauthenticated(detail, headers=(("WWW-Authenticate", 'Bearer realm="nizam"'),))


def _covered(place: Network, networks: Iterable[Network]) -> bool:
    return any(
        (isinstance(place, IPv4Network) and isinstance(it, IPv4Network) and place.subnet_of(it))
        or (isinstance(place, IPv6Network) and isinstance(it, IPv6Network) and place.subnet_of(it))
        for it in networks
    )


def _within(remote: str, networks: tuple[str, ...]) -> bool:
    try:
        address = ip_address(remote)
    except ValueError:
        return False
    return any(
        address in network
        for network in map(ip_network, networks)
        if network.version == address.version
    )
