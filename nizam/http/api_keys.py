"""API keys: nobody makes or changes one that may do more than they may themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

import attrs
from pydantic import Field

from nizam.errors import FieldError, IdempotencyMismatch, VersionMismatch
from nizam.http.body import validate
from nizam.http.changes import change_context
from nizam.http.crud import shown
from nizam.http.openapi import model_schema
from nizam.http.principal import require_covers, require_within_limits
from nizam.http.problems import wrong_fields
from nizam.http.reply import Reply
from nizam.http.route import BASE, Call, Route
from nizam.http.schemas import ref
from nizam.http.shared import Shared
from nizam.model.api_key import ApiKey
from nizam.model.base import Body, Value
from nizam.model.permissions import expand, permissions
from nizam.store.stored import Stored
from nizam.store.unit_of_work import UnitOfWork

GRACE_SECONDS: Final = 24 * 3600
MAX_GRACE_SECONDS: Final = 30 * 24 * 3600


class Rotation(Value):
    """How long the former key goes on working beside the new one."""

    grace_seconds: Annotated[int, Field(ge=0, le=MAX_GRACE_SECONDS)] = GRACE_SECONDS
    """How long the former key goes on working."""


@attrs.frozen
class ApiKeys(Shared):
    """The handlers. `now` is the time; `default_rate` the requests a minute of keys without a
    limit of their own."""

    now: Callable[[], datetime]
    default_rate: int

    def owners(self, present: Stored) -> frozenset[UUID | None]:
        """The tenant of the key."""
        return frozenset({_tenant_of(present)})

    def guard(self, call: Call, present: Stored, *, whole: bool = True) -> None:
        """A weaker key or user does not touch a stronger key."""
        tenant_id = _tenant_of(present)
        scopes = expand(present.body["scopes"], of_tenant=tenant_id is not None)
        require_covers(call.principal, tenant_id, scopes, "the key")

    async def create(self, call: Call) -> Reply:
        """Make a key; its text is in this answer and in no other."""
        given = call.json()
        self._refuse_foreign(given, {})
        body = self.admitted(call, None, self._accepted(call, given))
        return await self.store.create(
            self.resource, None, body, change_context(call), self._created
        )

    def admitted(self, call: Call, present: Stored | None, body: Body) -> Body:
        """Refuse scopes that whoever asks lacks, and limits wider than their own."""
        assert isinstance(body, ApiKey)  # noqa: S101 - the resource's body
        who, tenant_id = call.principal, body.tenant_id
        if tenant_id is None and self.reach(call) is not None:
            # Whoever belongs to one tenant need not say which.
            tenant_id = who.home
        reach = self.reach(call)
        if reach is not None and tenant_id not in reach:
            message = "there is no tenant with this id" if tenant_id else "names the key's tenant"
            raise wrong_fields([FieldError("/tenant_id", "not_found", message)])
        require_covers(
            who, tenant_id, expand(body.scopes, of_tenant=tenant_id is not None), "the key"
        )
        require_within_limits(who, body.expires_at, body.allowed_cidrs)
        rate = body.rate_limit_per_minute
        if present is None or rate != present.body["rate_limit_per_minute"]:
            rate = self._rate(call, rate)
        return body.model_copy(update={"tenant_id": tenant_id, "rate_limit_per_minute": rate})

    async def rotate(self, call: Call) -> Reply:
        """A new text for the key, shown this once; the former one holds for the grace."""
        wanted = validate(Rotation, call.json() if call.raw_body.strip() else {})
        present = await self.present(call)
        self.guard(call, present)
        keep_until = self.now() + timedelta(seconds=wanted.grace_seconds)

        async def work(unit: UnitOfWork) -> Reply:
            return shown(await unit.rotate_key(present.id, keep_until))

        reply = await self.store.write(None, change_context(call), work)
        self.forget()
        return reply

    def _rate(self, call: Call, wanted: int | None) -> int | None:
        """The limit that a key is given: at most that of whoever gives it, by default the same.

        Who may do everything sets what they like.
        """
        who = call.principal
        own = who.rate_limit_per_minute
        if permissions() <= who.permissions(None):
            return wanted
        if wanted is None:
            return own
        most = own or self.default_rate
        if wanted > most:
            message = f"is more than the {most} requests a minute of whoever makes the key"
            raise wrong_fields([FieldError("/rate_limit_per_minute", "beyond_own", message)])
        return wanted

    def routes(self) -> list[Route]:
        """Those of every resource, and rotation."""
        return [
            *Shared.routes(self),
            Route(
                method="POST",
                path=f"{BASE}/api-keys/{{id}}/rotate",
                handler=self.rotate,
                summary="A new text for the key; the former one holds for a grace.",
                operation="rotate_api_key",
                tag="api-keys",
                access="members",
                permission="api_keys:write",
                request=model_schema(Rotation),
                request_example={"grace_seconds": 3600},
                request_required=False,
                response=ref("ApiKey"),
                errors=(IdempotencyMismatch, VersionMismatch),
            ),
        ]


def _tenant_of(key: Stored) -> UUID | None:
    named = key.body.get("tenant_id")
    return None if named is None else UUID(named)
