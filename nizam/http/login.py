"""Signing in and out: sessions for browsers, tokens for programs, passwords.

All of this refuses while Redis is away: what cannot be counted or revoked is not given out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import attrs
from pydantic import Field, StringConstraints

from nizam.errors import (
    FieldError,
    KeyValueUnavailable,
    LoginLocked,
    NotFound,
    PageNotAllowed,
    Unauthenticated,
)
from nizam.http.auth import Authenticator
from nizam.http.body import validate
from nizam.http.changes import change_context
from nizam.http.cookies import ended_cookie, session_cookie
from nizam.http.cors import may_use_session
from nizam.http.limits import Limiter, Meter
from nizam.http.lockout import Lockout
from nizam.http.openapi import model_schema
from nizam.http.passwords import Passwords
from nizam.http.principal import require_user
from nizam.http.problems import wrong_fields
from nizam.http.reply import Reply
from nizam.http.resets import Resets
from nizam.http.route import BASE, Call, Route, Schema
from nizam.http.schema_parts import (
    identifier,
    list_of,
    object_of,
    or_null,
    text,
    time,
    words,
    yes_or_no,
)
from nizam.http.sign_ins import (
    MAX_TOKEN_SECONDS,
    SESSION_SECONDS,
    TOKEN_SECONDS,
    SignInRecord,
    SignIns,
    csrf_token,
)
from nizam.model.base import Body, Value
from nizam.model.extension import Email
from nizam.model.password import weakness
from nizam.model.registry import resource
from nizam.model.user import Password, User
from nizam.model.values import Label
from nizam.store.audit import AuditEntry, record
from nizam.store.context import ChangeContext
from nizam.store.store import Store
from nizam.store.stored import Stored
from nizam.store.system.users import FoundUser
from nizam.store.unit_of_work import UnitOfWork

LOGINS_PER_MINUTE: Final = 5
"""From one address, and for one account."""

Given = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""A password as somebody typed it, right or wrong."""


class Login(Value):
    """Who logs in. `token` asks for a bearer token in the answer in place of a cookie."""

    email: Email
    """The user's address."""
    password: Given
    """The user's password."""
    token: bool = False
    """Whether to give a bearer token in place of a cookie."""
    name: Label | None = None
    """What to call the session or token."""
    expires_in_seconds: Annotated[int, Field(ge=60, le=MAX_TOKEN_SECONDS)] | None = None
    """How long it holds."""


class NewToken(Value):
    """A bearer token for a program."""

    name: Label
    """What it is for."""
    expires_in_seconds: Annotated[int, Field(ge=60, le=MAX_TOKEN_SECONDS)] = TOKEN_SECONDS
    """How long it holds."""


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
class SigningIn:
    """The handlers. `origins` are the pages that may log in from elsewhere; with `secure` the
    cookie is for HTTPS only."""

    store: Store
    authenticator: Authenticator
    sign_ins: SignIns
    passwords: Passwords
    lockout: Lockout
    resets: Resets
    limiter: Limiter
    now: Callable[[], datetime]
    secure: bool
    origins: tuple[str, ...]

    # -- in and out -----------------------------------------------------------------------------

    async def login(self, call: Call) -> Reply:
        """Give a session in a cookie, or a token, for an address and its password.

        Whether there is such a user shows neither in the answer nor in the time that it takes.
        """
        self._check_page(call)
        wanted = validate(Login, call.json())
        email = wanted.email.lower()
        await self._count("login", call.remote)
        user = await self._verified(call, email, wanted.password)
        if user is None:
            raise Unauthenticated(
                "the address or the password is wrong",
                headers=(("WWW-Authenticate", 'Bearer realm="nizam"'),),
            )
        seconds = wanted.expires_in_seconds or (TOKEN_SECONDS if wanted.token else SESSION_SECONDS)
        if not wanted.token:
            seconds = min(seconds, SESSION_SECONDS)
        text, begun = await self.sign_ins.begin(
            "token" if wanted.token else "session",
            user.id,
            user.credential,
            name=wanted.name or ("token" if wanted.token else "browser"),
            address=call.remote,
            user_agent=call.header("user-agent") or "",
            expires_at=self.now() + timedelta(seconds=seconds),
        )
        await self.store.note_login(user.id, call.remote)
        await self._audit(call, "logged_in", user)
        return self._welcome(user, text, begun)

    def _welcome(self, user: FoundUser, text: str, begun: SignInRecord) -> Reply:
        body: dict[str, Any] = {
            "id": begun.id,
            "user": {"id": user.id, "email": user.email, "name": user.name},
            "expires_at": begun.expires_at,
            "token": text if begun.kind == "token" else None,
            "csrf_token": csrf_token(text) if begun.kind == "session" else None,
        }
        if begun.kind == "token":
            return Reply(body)
        seconds = int((begun.expires_at - begun.created_at).total_seconds())
        return Reply(body, 200, (session_cookie(text, seconds, secure=self.secure),))

    async def logout(self, call: Call) -> Reply:
        """End the session or token that the request came with."""
        call.no_body()
        sign_in = require_user(call.principal)
        await self.sign_ins.revoke(call.principal.id, sign_in.id)
        await self._audit_own(call, "logged_out")
        return Reply(None, 204, (ended_cookie(secure=self.secure),))

    # -- sessions and tokens --------------------------------------------------------------------

    async def list_tokens(self, call: Call) -> Reply:
        """The sessions and tokens of the user."""
        sign_in = require_user(call.principal)
        found = await self.sign_ins.of_user(call.principal.id)
        rows = [{**_shown(it), "current": it.id == sign_in.id} for it in found]
        return Reply({"data": rows, "next_cursor": None, "has_more": False})

    async def create_token(self, call: Call) -> Reply:
        """A bearer token of the user, shown this once; made with a token, it does not outlive
        that one."""
        wanted = validate(NewToken, call.json())
        user = await self._user(call)
        sign_in = require_user(call.principal)
        expires_at = self.now() + timedelta(seconds=wanted.expires_in_seconds)
        if sign_in.kind == "token":
            expires_at = min(expires_at, sign_in.expires_at)

        async def work(unit: UnitOfWork) -> Reply:
            text, begun = await self.sign_ins.begin(
                "token",
                user.id,
                user.credential,
                name=wanted.name,
                address=call.remote,
                user_agent=call.header("user-agent") or "",
                expires_at=expires_at,
            )
            unit.note("token_created", "user", user.id, after={"id": str(begun.id)})
            return Reply({**_shown(begun), "current": False, "token": text}, 201)

        return await self.store.write(user.home, change_context(call), work)

    async def revoke_token(self, call: Call) -> Reply:
        """End one of the user's sessions or tokens."""
        if not await self.sign_ins.revoke(call.principal.id, call.id()):
            raise NotFound
        await self._audit_own(call, "token_revoked")
        return Reply(None, 204)

    async def revoke_tokens(self, call: Call) -> Reply:
        """End all of the user's sessions and tokens but the one that the request came with."""
        sign_in = require_user(call.principal)
        await self.sign_ins.revoke_all(call.principal.id, but=sign_in.id)
        await self._audit_own(call, "token_revoked")
        return Reply(None, 204)

    # -- passwords ------------------------------------------------------------------------------

    async def change_password(self, call: Call) -> Reply:
        """A new password; every other session and token of the user ends."""
        wanted = validate(NewPassword, call.json())
        sign_in = require_user(call.principal)
        email = call.principal.email or ""
        _check_strength(wanted.new_password, "/new_password", (email, call.principal.name))
        user = await self._verified(call, email, wanted.current_password)
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
        self._check_page(call)
        wanted = validate(PasswordReset, call.json())
        await self._count("reset", call.remote)
        reset = await self.resets.find(wanted.token)
        user = None if reset is None else await self.store.find_user(reset.user_id)
        if reset is None or user is None or user.credential != reset.credential:
            raise wrong_fields(
                [FieldError("/token", "not_valid", "is no reset token that still holds")]
            )
        _check_strength(wanted.new_password, "/new_password", (user.email, user.name))
        await self._set_password(call, user, wanted.new_password, "password_reset")
        await self.resets.forget(wanted.token)
        await self.lockout.clear(user.email)
        await self.sign_ins.revoke_all(user.id)
        return Reply(None, 204)

    # -- steps ----------------------------------------------------------------------------------

    async def _verified(self, call: Call, email: str, password: str) -> FoundUser | None:
        """The user, if the password is right; each try counts, and too many wrong ones lock."""
        await self.lockout.check(email)
        await self._count("account", email)
        user = await self.store.find_login(email)
        right = await self.passwords.verify(password, user.password_hash if user else None)
        if user is None or not right:
            await self.lockout.failed(email)
            await self._audit(call, "login_failed", user, email)
            return None
        await self.lockout.clear(email)
        return user

    async def _count(self, what: str, whose: str) -> None:
        await self.limiter.take_strictly(
            f"{what}:{whose}", Meter("minute", LOGINS_PER_MINUTE, policy=what)
        )

    async def _set_password(
        self, call: Call, user: FoundUser, password: str, action: str
    ) -> FoundUser:
        hashed = await self.passwords.hash(password)

        def change(present: Stored) -> Body:
            # Between the look at the present password and now somebody else may have changed it.
            if self.store.credential_of(present) != user.credential:
                raise wrong_fields(
                    [FieldError("/new_password", "outdated", "the password has just been changed")]
                )
            kept = User.model_validate(present.body)
            return kept.model_copy(update={"password": hashed})

        context = attrs.evolve(_context(call, user), idempotency=None)
        await self.store.update(resource("user"), None, user.id, change, context)
        self.authenticator.forget()
        await self._audit(call, action, user)
        return attrs.evolve(user, password_hash=hashed)

    async def _user(self, call: Call) -> FoundUser:
        user = await self.store.find_user(call.principal.id)
        if user is None:
            raise Unauthenticated
        return user

    async def _audit_own(self, call: Call, action: str) -> None:
        await self._audit(call, action, await self.store.find_user(call.principal.id))

    async def _audit(
        self, call: Call, action: str, user: FoundUser | None, email: str | None = None
    ) -> None:
        entry = AuditEntry(
            action=action,
            resource_type="user",
            resource_id=user.id if user else None,
            tenant_id=user.home if user else None,
            after={"email": email or (user.email if user else None)},
        )
        # A wrong password does not make anybody the user.
        actor = _context(call, None if email else user, email)
        await record(self.store.primary, actor, self.now(), entry)

    def _check_page(self, call: Call) -> None:
        """Refuse another site's page, which could sign its visitor in as somebody else."""
        origin = call.header("origin")
        if origin is not None and not may_use_session(origin, call.header("host"), self.origins):
            raise PageNotAllowed(f"pages of {origin[:200]} may not log in here")

    # -- routes ---------------------------------------------------------------------------------

    def routes(self) -> list[Route]:
        """The routes of this file."""
        return [
            Route(
                method="POST",
                path=f"{BASE}/auth/login",
                handler=self.login,
                summary="Log in: a session in a cookie, or with `token` a bearer token.",
                operation="login",
                tag="auth",
                access="public",
                headers=("Set-Cookie",),
                request=model_schema(Login),
                request_example={"email": "ada@example.com", "password": "...", "token": True},
                response=_WELCOME,
                errors=(Unauthenticated, PageNotAllowed, LoginLocked, KeyValueUnavailable),
            ),
            Route(
                method="POST",
                path=f"{BASE}/auth/logout",
                handler=self.logout,
                summary="End the session or token of this request.",
                operation="logout",
                tag="auth",
                access="user",
                status=204,
                errors=(KeyValueUnavailable,),
            ),
            Route(
                method="GET",
                path=f"{BASE}/auth/tokens",
                handler=self.list_tokens,
                summary="Your sessions and tokens.",
                operation="list_tokens",
                tag="auth",
                access="user",
                response=list_of(_SIGN_IN),
                errors=(KeyValueUnavailable,),
            ),
            Route(
                method="POST",
                path=f"{BASE}/auth/tokens",
                handler=self.create_token,
                summary="A bearer token for a program; it is shown once.",
                operation="create_token",
                tag="auth",
                access="user",
                status=201,
                request=model_schema(NewToken),
                request_example={"name": "report", "expires_in_seconds": 3600},
                response=_NEW_TOKEN,
                errors=(KeyValueUnavailable,),
            ),
            Route(
                method="DELETE",
                path=f"{BASE}/auth/tokens",
                handler=self.revoke_tokens,
                summary="End all your other sessions and tokens.",
                operation="revoke_tokens",
                tag="auth",
                access="user",
                status=204,
                errors=(KeyValueUnavailable,),
            ),
            Route(
                method="DELETE",
                path=f"{BASE}/auth/tokens/{{id}}",
                handler=self.revoke_token,
                summary="End one of your sessions or tokens.",
                operation="revoke_token",
                tag="auth",
                access="user",
                status=204,
                errors=(KeyValueUnavailable,),
            ),
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


def _context(call: Call, user: FoundUser | None, email: str | None = None) -> ChangeContext:
    """The user as the actor, also where nobody has signed in yet."""
    return ChangeContext(
        actor_type="anonymous" if user is None else "user",
        actor_name=user.email if user else email or "anonymous",
        actor_id=user.id if user else None,
        address=call.remote,
        request_id=call.request_id,
    )


def _check_strength(password: str, path: str, known: Iterable[str]) -> None:
    problem = weakness(password, known)
    if problem is not None:
        raise wrong_fields([FieldError(path, "weak", problem)])


def _shown(it: SignInRecord) -> dict[str, Any]:
    return {
        "id": it.id,
        "kind": it.kind,
        "name": it.name,
        "created_at": it.created_at,
        "created_from": it.created_from,
        "last_used_at": it.last_used_at,
        "last_used_from": it.last_used_from,
        "expires_at": it.expires_at,
        "user_agent": it.user_agent,
    }


_ID = identifier("Its id.")
_NAMES = {
    "id": _ID,
    "kind": words("For a browser or for a program.", "session", "token"),
    "name": text("What it is for.", "report"),
    "created_at": time("When it was made."),
    "created_from": text("From which address it was made.", "192.0.2.10"),
    "last_used_at": time("When it was last used."),
    "last_used_from": text("From which address it was last used.", "192.0.2.10"),
    "expires_at": time("Until when it holds."),
    "user_agent": text("The program that made it.", "curl/8.5.0"),
    "current": yes_or_no("Whether it is the one of this request."),
}
_SIGN_IN: Schema = {
    "title": "SignIn",
    **object_of("A session or token of a user, without the text that signs in.", **_NAMES),
}
_NEW_TOKEN: Schema = {
    "title": "TokenCreated",
    **object_of(
        "A token with its text.",
        **_NAMES,
        token=text("The text to sign in with; it is shown this once.", "nzt_..."),
    ),
}
_WELCOME: Schema = {
    "title": "Welcome",
    **object_of(
        "Who has logged in, and with what.",
        id=identifier("The id of the session or token."),
        user=object_of(
            "The user.",
            id=_ID,
            email=text("The address.", "ada@example.com"),
            name=text("The name.", "Ada Lovelace"),
        ),
        expires_at=time("Until when it holds."),
        token=or_null(text("The text to sign in with; with `token` only.", "nzt_...")),
        csrf_token=or_null(text("Send it as X-CSRF-Token with every change; with a cookie only.")),
    ),
}
