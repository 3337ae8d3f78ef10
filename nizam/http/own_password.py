"""A user's own password: changed, and chosen anew with a reset token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import attrs
from pydantic import StringConstraints

from nizam.errors import FieldError, KeyValueUnavailable, LoginLocked, PageNotAllowed
from nizam.http.auth import Authenticator
from nizam.http.body import validate
from nizam.http.openapi import model_schema
from nizam.http.principal import require_user
from nizam.http.problems import wrong_fields
from nizam.http.reply import Reply
from nizam.http.resets import Resets
from nizam.http.route import BASE, Call, Route
from nizam.http.sign_ins import SignIns
from nizam.http.verifier import Given, Verifier, context_of
from nizam.model.base import Body, Value
from nizam.model.password import weakness
from nizam.model.registry import resource
from nizam.model.user import Password, User
from nizam.store.stored import Stored
from nizam.store.system.users import FoundUser


class NewPassword(Value):
    """A password in the place of the present one."""

    current_password: Given
    """The present password."""
    new_password: Password
    """The one in its place."""


class PasswordReset(Value):
    """A password for whoever holds a reset token."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    """The reset token."""
    new_password: Password
    """The new password."""


@attrs.frozen(kw_only=True)
class OwnPassword:
    """The handlers."""

    verifier: Verifier
    authenticator: Authenticator
    sign_ins: SignIns
    resets: Resets

    async def change_password(self, call: Call) -> Reply:
        """A new password; every other session and token of the user ends."""
        wanted = validate(NewPassword, call.json())
        sign_in = require_user(call.principal)
        email = call.principal.email or ""
        _check_strength(wanted.new_password, "/new_password", (email, call.principal.name))
        user = await self.verifier.verified(call, email, wanted.current_password)
        if user is None:
            raise wrong_fields(
                [FieldError("/current_password", "wrong", "is not the present password")]
            )
        after = await self._set_password(call, user, wanted.new_password, "password_changed")
        present = [it for it in await self.sign_ins.of_user(user.id) if it.id == sign_in.id]
        for it in present:
            await self.sign_ins.rebind(it, after.credential)
        await self.sign_ins.revoke_all(user.id, but=sign_in.id)
        return Reply(None, 204)

    async def reset_password(self, call: Call) -> Reply:
        """A new password for whoever holds a reset token, which ends with it."""
        self.verifier.check_page(call)
        wanted = validate(PasswordReset, call.json())
        await self.verifier.count("reset", call.remote)
        reset = await self.resets.find(wanted.token)
        user = None if reset is None else await self.verifier.store.find_user(reset.user_id)
        if reset is None or user is None or user.credential != reset.credential:
            raise wrong_fields(
                [FieldError("/token", "not_valid", "is no reset token that still holds")]
            )
        _check_strength(wanted.new_password, "/new_password", (user.email, user.name))
        await self._set_password(call, user, wanted.new_password, "password_reset")
        await self.resets.forget(wanted.token)
        await self.verifier.lockout.clear(user.email)
        await self.sign_ins.revoke_all(user.id)
        return Reply(None, 204)

    async def _set_password(
        self, call: Call, user: FoundUser, password: str, action: str
    ) -> FoundUser:
        hashed = await self.verifier.passwords.hash(password)

        def change(present: Stored) -> Body:
            # Between the look at the present password and now somebody else may have changed it.
            if self.verifier.store.credential_of(present) != user.credential:
                raise wrong_fields(
                    [FieldError("/new_password", "outdated", "the password has just been changed")]
                )
            kept = User.model_validate(present.body)
            return kept.model_copy(update={"password": hashed})

        context = attrs.evolve(context_of(call, user), idempotency=None)
        await self.verifier.store.update(resource("user"), None, user.id, change, context)
        self.authenticator.forget()
        await self.verifier.audit(call, action, user)
        return attrs.evolve(user, password_hash=hashed)

    def routes(self) -> list[Route]:
        """The routes of this file."""
        return [
            Route(
                method="POST",
                path=f"{BASE}/auth/password",
                handler=self.change_password,
                summary="Change your password; your other sessions and tokens end.",
                operation="change_password",
                tag="auth",
                access="user",
                status=204,
                request=model_schema(NewPassword),
                request_example={
                    "current_password": "a long walk to the analytical engine",
                    "new_password": "a longer walk to the difference engine",
                },
                errors=(LoginLocked, KeyValueUnavailable),
            ),
            Route(
                method="POST",
                path=f"{BASE}/auth/reset",
                handler=self.reset_password,
                summary="Choose a password with a reset token.",
                operation="reset_password",
                tag="auth",
                access="public",
                status=204,
                request=model_schema(PasswordReset),
                request_example={
                    "token": "nzr_...",
                    "new_password": "a longer walk to the difference engine",
                },
                errors=(PageNotAllowed, KeyValueUnavailable),
            ),
        ]


def _check_strength(password: str, path: str, known: Iterable[str]) -> None:
    problem = weakness(password, known)
    if problem is not None:
        raise wrong_fields([FieldError(path, "weak", problem)])
