"""A user's own sessions and tokens: shown, made, ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import attrs
from pydantic import Field

from nizam.errors import KeyValueUnavailable, NotFound, Unauthenticated
from nizam.http.body import validate
from nizam.http.changes import change_context
from nizam.http.openapi import model_schema
from nizam.http.principal import require_user
from nizam.http.reply import Reply
from nizam.http.route import BASE, Call, Route, Schema
from nizam.http.schema_parts import identifier, list_of, object_of, text, time, words, yes_or_no
from nizam.http.sign_ins import MAX_TOKEN_SECONDS, TOKEN_SECONDS, SignInRecord, SignIns
from nizam.http.verifier import Verifier
from nizam.model.base import Value
from nizam.model.values import Label
from nizam.store.system.users import FoundUser
from nizam.store.unit_of_work import UnitOfWork


class NewToken(Value):
    """A bearer token for a program."""

    name: Label
    """What it is for."""
    expires_in_seconds: Annotated[int, Field(ge=60, le=MAX_TOKEN_SECONDS)] = TOKEN_SECONDS
    """How long it holds."""


@attrs.frozen(kw_only=True)
class OwnTokens:
    """The handlers."""

    verifier: Verifier
    sign_ins: SignIns

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
        expires_at = self.verifier.now() + timedelta(seconds=wanted.expires_in_seconds)
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

        return await self.verifier.store.write(user.home, change_context(call), work)

    async def revoke_token(self, call: Call) -> Reply:
        """End one of the user's sessions or tokens."""
        if not await self.sign_ins.revoke(call.principal.id, call.id()):
            raise NotFound
        await self.verifier.audit_own(call, "token_revoked")
        return Reply(None, 204)

    async def revoke_tokens(self, call: Call) -> Reply:
        """End all of the user's sessions and tokens but the one that the request came with."""
        sign_in = require_user(call.principal)
        await self.sign_ins.revoke_all(call.principal.id, but=sign_in.id)
        await self.verifier.audit_own(call, "token_revoked")
        return Reply(None, 204)

    def routes(self) -> list[Route]:
        """The routes of this file."""
        return [
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
        ]

    async def _user(self, call: Call) -> FoundUser:
        user = await self.verifier.store.find_user(call.principal.id)
        if user is None:
            raise Unauthenticated
        return user


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


_NAMES = {
    "id": identifier("Its id."),
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
