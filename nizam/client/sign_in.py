"""What users do for themselves: end their sessions, make tokens, change their password."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import attrs

from nizam.client.actions import Document, document
from nizam.client.listing import Listing
from nizam.client.transport import Transport


@attrs.frozen(eq=False)
class SignIn:
    """The user whose bearer token the client has."""

    transport: Transport
    parent: Callable[[], str]

    def tokens(self) -> Listing[Document]:
        """The user's sessions and tokens, without the texts that sign in."""
        return Listing(self.transport, lambda: self._path("tokens"), (), document)

    def create_token(self, name: str, *, expires_in_seconds: int | None = None) -> str:
        """A bearer token for a program."""
        body: dict[str, Any] = {"name": name}
        if expires_in_seconds is not None:
            body["expires_in_seconds"] = expires_in_seconds
        answer = self.transport.request("POST", self._path("tokens"), body=body)
        return str(answer.json()["token"])

    def revoke_token(self, token_id: UUID | str) -> None:
        """End one session or token."""
        self.transport.request("DELETE", self._path("tokens", str(token_id)))

    def revoke_other_tokens(self) -> None:
        """End every session and token but the one in use."""
        self.transport.request("DELETE", self._path("tokens"))

    def change_password(self, current_password: str, new_password: str) -> None:
        """A new password; every other session and token ends."""
        body = {"current_password": current_password, "new_password": new_password}
        self._once("password", body)

    def reset_password(self, token: str, new_password: str) -> None:
        """A password for whoever holds a reset token; needs no credentials."""
        self._once("reset", {"token": token, "new_password": new_password})

    def log_out(self) -> None:
        """End the token in use."""
        self._once("logout", None)

    def _once(self, what: str, body: Any) -> None:
        # A second attempt would meet what the first one has ended.
        self.transport.request("POST", self._path(what), body=body, repeatable=False)

    def _path(self, *steps: str) -> str:
        return "/".join([self.parent(), "auth", *steps])
