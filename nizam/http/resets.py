"""Reset tokens: who was given one chooses a password without knowing the present one."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import attrs

from nizam.kv.interface import IKeyValue

RESET_SECONDS: Final = 3600
_PREFIX = "nzr_"


@attrs.frozen
class Reset:
    """Whose password may be set. `credential` is the fingerprint of the password it replaces, so
    that a token ends with its first use."""

    user_id: UUID
    credential: bytes = attrs.field(repr=False)


class Resets:
    """Tokens that hold for an hour, kept by their hash in Redis. Each method raises
    KeyValueUnavailable while Redis is away."""

    def __init__(self, key_value: IKeyValue, now: Callable[[], datetime]) -> None:
        self._key_value = key_value
        self._now = now

    async def issue(self, reset: Reset) -> tuple[str, datetime]:
        """A new token, kept nowhere, and when it ends."""
        text = _PREFIX + secrets.token_urlsafe(32)
        value = f"{reset.user_id} {reset.credential.hex()}"
        await self._key_value.set(_key(text), value, seconds=RESET_SECONDS)
        return text, self._now() + timedelta(seconds=RESET_SECONDS)

    async def find(self, text: str) -> Reset | None:
        """What the token allows, None if it does not hold."""
        value = await self._key_value.get(_key(text))
        if value is None:
            return None
        user_id, _, credential = value.decode().partition(" ")
        return Reset(UUID(user_id), bytes.fromhex(credential))

    async def forget(self, text: str) -> None:
        """Let the token hold no longer."""
        await self._key_value.delete(_key(text))


def _key(text: str) -> str:
    return f"password_reset:{hashlib.sha256(text.encode()).hexdigest()}"
