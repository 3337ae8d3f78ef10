"""Signing in and out: sessions for browsers, tokens for programs.

All of this refuses while Redis is away: what cannot be counted or revoked is not given out.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import attrs
from pydantic import Field

from nizam.errors import KeyValueUnavailable, LoginLocked, PageNotAllowed, Unauthenticated
from nizam.http.body import validate
from nizam.http.cookies import ended_cookie, session_cookie
from nizam.http.openapi import model_schema
from nizam.http.principal import require_user
from nizam.http.reply import Reply
from nizam.http.route import BASE, Call, Route, Schema
from nizam.http.schema_parts import identifier, object_of, or_null, text, time
from nizam.http.sign_ins import (
    MAX_TOKEN_SECONDS,
    SESSION_SECONDS,
    TOKEN_SECONDS,
    SignInRecord,
    SignIns,
    csrf_token,
)
from nizam.http.verifier import Given, Verifier
from nizam.model.base import Value
from nizam.model.extension import Email
from nizam.model.values import Label
from nizam.store.system.users import FoundUser


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


@attrs.frozen(kw_only=True)
class SigningIn:
    """The handlers. With `secure` the cookie is for HTTPS only."""

    verifier: Verifier
    sign_ins: SignIns
    secure: bool

    async def login(self, call: Call) -> Reply:
        """Give a session in a cookie, or a token, for an address and its password.

        Whether there is such a user shows neither in the answer nor in the time that it takes.
        """
        self.verifier.check_page(call)
        wanted = validate(Login, call.json())
        email = wanted.email.lower()
        await self.verifier.count("login", call.remote)
        user = await self.verifier.verified(call, email, wanted.password)
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
            expires_at=self.verifier.now() + timedelta(seconds=seconds),
        )
        await self.verifier.store.note_login(user.id, call.remote)
        await self.verifier.audit(call, "logged_in", user)
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
        await self.verifier.audit_own(call, "logged_out")
        return Reply(None, 204, (ended_cookie(secure=self.secure),))

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
        ]


_WELCOME: Schema = {
    "title": "Welcome",
    **object_of(
        "Who has logged in, and with what.",
        id=identifier("The id of the session or token."),
        user=object_of(
            "The user.",
            id=identifier("Its id."),
            email=text("The address.", "ada@example.com"),
            name=text("The name.", "Ada Lovelace"),
        ),
        expires_at=time("Until when it holds."),
        token=or_null(text("The text to sign in with; with `token` only.", "nzt_...")),
        csrf_token=or_null(text("Send it as X-CSRF-Token with every change; with a cookie only.")),
    ),
}
