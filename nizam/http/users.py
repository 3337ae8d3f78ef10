"""Users: as every resource, with passwords that are hashed, and memberships that nobody grants
beyond what they have themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import attrs

from nizam.errors import Conflict, FieldError, IdempotencyMismatch, NizamError, ScopeMissing
from nizam.http.changes import change_context
from nizam.http.passwords import Passwords
from nizam.http.principal import require_covers
from nizam.http.problems import wrong_fields
from nizam.http.reply import Reply
from nizam.http.resets import Reset, Resets
from nizam.http.route import BASE, Call, Route
from nizam.http.schema_parts import Schema, identifier, object_of, text, time
from nizam.http.shared import Shared
from nizam.http.sign_ins import SignIns
from nizam.model.base import Body
from nizam.model.permissions import role_permissions
from nizam.model.user import Membership, User
from nizam.store.stored import Stored
from nizam.store.unit_of_work import UnitOfWork

_OWN_FIELDS = ("email", "name", "enabled")
_RESET_TOKEN: Schema = {
    "title": "ResetToken",
    **object_of(
        "With what a person chooses a password.",
        user_id=identifier("The user."),
        reset_token=text("Give it to the person; it is shown this once.", "nzr_..."),
        expires_at=time("Until when it holds."),
    ),
}


@attrs.frozen
class Users(Shared):
    """The handlers."""

    passwords: Passwords
    sign_ins: SignIns
    resets: Resets

    def owners(self, present: Stored) -> frozenset[UUID | None]:
        """The tenants of the memberships."""
        return frozenset(it.tenant_id for it in _memberships(present))

    def guard(self, call: Call, present: Stored, *, whole: bool = True) -> None:
        """Nobody touches a user who has a role that they could not give; a user who is in other
        tenants too is changed as a whole by the platform only."""
        reach = self.reach(call)
        for it in _memberships(present):
            if reach is None or it.tenant_id in reach:
                self._require_role(call, it)
            elif whole:
                raise ScopeMissing(
                    "the user belongs to other tenants too; take away the membership of yours",
                    scope="platform",
                )

    def part(self, call: Call, document: dict[str, Any]) -> dict[str, Any]:
        """Without the memberships of tenants that do not exist for whoever asks."""
        reach = self.reach(call)
        if reach is None:
            return document
        shown = [it for it in document["memberships"] if _in_reach(reach, it["tenant_id"])]
        return {**document, "memberships": shown}

    async def create(self, call: Call) -> Reply:
        """Make a user; the answer has no password."""
        given = call.json()
        self._refuse_foreign(given, {})
        body = self.admitted(call, None, self._accepted(call, given))
        assert isinstance(body, User)  # noqa: S101 - the resource's body
        if body.password is not None:
            body = _with_hash(body, await self.passwords.hash(body.password))
        return await self.store.create(
            self.resource, None, body, change_context(call), self._created
        )

    def admitted(self, call: Call, present: Stored | None, body: Body) -> Body:
        """Refuse roles beyond those of whoever asks; keep what they do not see of the user."""
        assert isinstance(body, User)  # noqa: S101 - the resource's body
        reach = self.reach(call)
        errors = []
        for number, it in enumerate(body.memberships):
            if reach is None or it.tenant_id in reach:
                self._require_role(call, it)
            else:
                path = f"/memberships/{number}/tenant_id"
                errors.append(FieldError(path, "not_found", "there is no tenant with this id"))
        if reach is None:
            return body
        if present is None and not body.memberships:
            message = "a user of a tenant has a membership in it"
            errors.append(FieldError("/memberships", "too_short", message))
        if errors:
            raise wrong_fields(errors)
        hidden = (
            []
            if present is None
            else [it for it in _memberships(present) if it.tenant_id not in reach]
        )
        if present is not None and hidden and _changes_person(present, body):
            raise ScopeMissing(
                "the user belongs to other tenants too: yours can change its own membership only",
                scope="platform",
            )
        return body.model_copy(update={"memberships": (*body.memberships, *hidden)})

    async def prepared(
        self, call: Call, change: Callable[[Stored], Body]
    ) -> Callable[[Stored], Body]:
        """Hash a new password before the transaction, once everything else is known to be right."""
        wanted = change(await self.present(call))
        assert isinstance(wanted, User)  # noqa: S101 - the resource's body
        if wanted.password is None:
            return change
        hashed = await self.passwords.hash(wanted.password)

        def with_hash(present: Stored) -> Body:
            body = change(present)
            assert isinstance(body, User)  # noqa: S101 - the resource's body
            return _with_hash(body, hashed)

        return with_hash

    async def removed(self, present: Stored) -> None:
        """End the sessions and tokens of a user who is no more."""
        await self._end_sign_ins(present.id)

    async def reset_token(self, call: Call) -> Reply:
        """A token, shown this once, with which the person chooses a password."""
        call.no_body()
        present = await self.present(call)
        self.guard(call, present)
        user = await self.store.find_user(present.id)
        if user is None:
            raise Conflict("the user is disabled")

        async def work(unit: UnitOfWork) -> Reply:
            unit.note("reset_token_issued", "user", user.id)
            text, expires_at = await self.resets.issue(Reset(user.id, user.credential))
            return Reply({"user_id": user.id, "reset_token": text, "expires_at": expires_at})

        return await self.store.write(user.home, change_context(call), work)

    def _require_role(self, call: Call, it: Membership) -> None:
        require_covers(
            call.principal, it.tenant_id, role_permissions(it.role), f"the role {it.role}"
        )

    async def _end_sign_ins(self, user_id: UUID) -> None:
        try:
            await self.sign_ins.revoke_all(user_id)
        except NizamError:
            # They are refused all the same: the user is gone. Redis forgets them in time.
            return

    def routes(self) -> list[Route]:
        """Those of every resource, and the reset token."""
        return [
            *Shared.routes(self),
            Route(
                method="POST",
                path=f"{BASE}/users/{{id}}/reset-token",
                handler=self.reset_token,
                summary="A token with which the person chooses a password; it is shown once.",
                operation="issue_reset_token",
                tag="users",
                access="members",
                permission="users:write",
                response=_RESET_TOKEN,
                errors=(Conflict, IdempotencyMismatch),
            ),
        ]


def _memberships(present: Stored) -> list[Membership]:
    return [Membership.model_validate(it) for it in present.body["memberships"]]


def _in_reach(reach: frozenset[UUID], tenant_id: str | None) -> bool:
    return tenant_id is not None and UUID(tenant_id) in reach


def _changes_person(present: Stored, body: User) -> bool:
    return body.password is not None or any(
        getattr(body, name) != present.body[name] for name in _OWN_FIELDS
    )


def _with_hash(body: User, hashed: str) -> User:
    return body.model_copy(update={"password": hashed})
