"""Accounts that are closed for a while because too many wrong passwords were tried."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from nizam.errors import LoginLocked
from nizam.kv.interface import IKeyValue
from nizam.model.events import timestamp

FAILURES_THAT_LOCK: Final = 10
FAILURE_SECONDS: Final = 3600
LOCK_SECONDS: Final = 15 * 60


class Lockout:
    """Counts wrong passwords by address, whether there is such a user or not, so that neither
    the answer nor the lock tells. Each method raises KeyValueUnavailable while Redis is away."""

    def __init__(self, key_value: IKeyValue, now: Callable[[], datetime]) -> None:
        self._key_value = key_value
        self._now = now

    async def check(self, email: str) -> None:
        """Raise LoginLocked, with the time when it ends, while the account is locked."""
        value = await self._key_value.get(_keys(email)[1])
        if value is None:
            return
        until = datetime.fromtimestamp(float(value), UTC)
        left = (until - self._now()).total_seconds()
        if left > 0:
            raise LoginLocked(
                f"locked until {timestamp(until)}",
                headers=(("Retry-After", str(math.ceil(left))),),
                locked_until=timestamp(until),
            )

    async def failed(self, email: str) -> None:
        """Count a wrong password; the tenth within an hour locks the account for 15 minutes."""
        until = (self._now() + timedelta(seconds=LOCK_SECONDS)).timestamp()
        await self._key_value.script(
            "login_failed",
            _keys(email),
            [FAILURES_THAT_LOCK, FAILURE_SECONDS, LOCK_SECONDS, until],
        )

    async def clear(self, email: str) -> None:
        """Forget the wrong passwords: the right one was given, or a new one set."""
        await self._key_value.delete(*_keys(email))


def _keys(email: str) -> list[str]:
    account = hashlib.sha256(email.lower().encode()).hexdigest()
    return [f"login:{{{account}}}:failures", f"login:{{{account}}}:locked"]
