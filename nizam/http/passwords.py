"""Password hashes: argon2id (RFC 9106), computed off the reactor's thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.threads import deferToThreadPool

from nizam.errors import RateLimited
from nizam.model.password import normalised

T = TypeVar("T")

HASHES_AT_ONCE: Final = 2
"""Each takes 64 MiB and about a tenth of a second of a core."""
MAX_WAITING: Final = 64


class Passwords:
    """Hashes and verifies passwords in the reactor's threads, two at a time.

    When 64 wait already it raises RateLimited instead of letting memory and patience run out.
    """

    def __init__(self, reactor: Any, hasher: PasswordHasher | None = None) -> None:
        self._reactor = reactor
        self._hasher = hasher or PasswordHasher()
        self._turns = DeferredSemaphore(HASHES_AT_ONCE)
        self._dummy: str | None = None

    async def hash(self, password: str) -> str:
        """The hash to store."""
        return await self._in_thread(lambda: self._hasher.hash(normalised(password)))

    async def verify(self, password: str, stored: str | None) -> bool:
        """Whether `password` is the one that was hashed. With None it is not, which takes as
        long to find out."""
        if self._dummy is None:
            self._dummy = await self.hash("nobody has this password")
        expected = stored or self._dummy

        def matches() -> bool:
            try:
                return self._hasher.verify(expected, normalised(password))
            except (VerificationError, InvalidHashError):
                return False

        return await self._in_thread(matches) and stored is not None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if len(self._turns.waiting) >= MAX_WAITING:
            raise RateLimited("too many logins at once", headers=(("Retry-After", "1"),))
        pool = self._reactor.getThreadPool()
        result: Deferred[T] = self._turns.run(deferToThreadPool, self._reactor, pool, work)
        return await result
