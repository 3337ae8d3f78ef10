"""Who may have a stream, when it is opened and for as long as it is open."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final
from uuid import UUID

import attrs

from nizam.errors import (
    Conflict,
    DatabaseUnavailable,
    KeyValueUnavailable,
    NizamError,
    Unauthenticated,
)
from nizam.http.auth import Authenticator, Holder
from nizam.http.principal import Principal, require, require_tenant
from nizam.http.stream_tickets import STREAM_PERMISSION
from nizam.model.registry import resource
from nizam.realtime.closing import Close
from nizam.routing.snapshot import Snapshot
from nizam.store.store import Store

LISTENING: Final = ("trial", "active")
"""The states of a tenant in which its streams are open."""


@attrs.frozen
class StreamHolder:
    """Whom a stream is for, and which tenant it shows; None is all of them."""

    credentials: Holder
    tenant_id: UUID | None


@attrs.frozen
class StreamAccess:
    """Who may have a stream, when it is opened and for as long as it is open."""

    authenticator: Authenticator
    store: Store
    snapshot: Snapshot

    async def require(self, principal: Principal, tenant_id: UUID | None) -> None:
        """Raise NotFound, ScopeMissing, or Conflict while the tenant is suspended or gone; those
        of the platform go on listening to it."""
        if tenant_id is not None:
            require_tenant(principal, tenant_id)
        require(principal, STREAM_PERMISSION, tenant_id)
        if tenant_id is not None and not principal.platform:
            status = await self._status(tenant_id)
            if status not in LISTENING:
                raise Conflict(f"the tenant is {status}: it has no streams")

    async def check(self, holder: Hashable) -> Close | None:
        """Why streams of this holder must end now; None if they may go on, or nobody can say."""
        assert isinstance(holder, StreamHolder)  # noqa: S101 - nizam.http.stream_answers makes no others
        try:
            principal = await self.authenticator.again(holder.credentials)
        except Unauthenticated:
            return Close.SIGNED_OUT
        except (DatabaseUnavailable, KeyValueUnavailable):
            return None
        try:
            await self.require(principal, holder.tenant_id)
        except DatabaseUnavailable:
            return None
        except NizamError:
            return Close.FORBIDDEN
        return None

    async def _status(self, tenant_id: UUID) -> str:
        view = self.snapshot.tenant(tenant_id)
        if view is not None:
            return view.tenant.status
        found = await self.store.get(resource("tenant"), None, tenant_id)
        return str(found.body["status"])
