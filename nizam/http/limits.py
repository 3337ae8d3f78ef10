"""How many requests a key or an address may make: GCRA, shared by all instances through Redis.

With Redis away each instance counts for itself: a limit that is too generous for a while is
better than an API that is not there.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

import attrs

from nizam.errors import KeyValueUnavailable, RateLimited
from nizam.kv.interface import IKeyValue

WINDOW_SECONDS = 60
_LOCAL_ENTRIES = 50_000
_REDIS_PAUSE_SECONDS = 2.0


@attrs.frozen
class Usage:
    """How much of the limit is used: requests a minute, requests left, seconds until all are."""

    limit: int
    remaining: int
    reset_seconds: int
    retry_seconds: int = 0

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The fields of draft-ietf-httpapi-ratelimit-headers, and the older X- ones."""
        return (
            ("RateLimit-Policy", f'"default";q={self.limit};w={WINDOW_SECONDS}'),
            ("RateLimit", f'"default";r={self.remaining};t={self.reset_seconds}'),
            ("X-RateLimit-Limit", str(self.limit)),
            ("X-RateLimit-Remaining", str(self.remaining)),
            ("X-RateLimit-Reset", str(self.reset_seconds)),
        )


class LocalMeter:
    """GCRA in this process; the least recently used meters are forgotten first."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._times: OrderedDict[str, float] = OrderedDict()

    def take(self, name: str, limit: int) -> tuple[bool, Usage]:
        """Count one request of `name`; whether it is within `limit` a minute."""
        now = self._seconds()
        interval = WINDOW_SECONDS / limit
        present = max(self._times.get(name, now), now)
        following = present + interval
        # Sums of intervals differ from the window in the last bits.
        over = following - now - WINDOW_SECONDS
        if over > interval * 1e-6:
            return False, Usage(limit, 0, math.ceil(present - now), max(1, math.ceil(over)))
        self._times[name] = following
        self._times.move_to_end(name)
        if len(self._times) > _LOCAL_ENTRIES:
            self._times.popitem(last=False)
        left = int((WINDOW_SECONDS - (following - now)) / interval + 1e-6)
        return True, Usage(limit, left, math.ceil(following - now))

    def exhausted(self, name: str, limit: int) -> bool:
        """Whether one more request of `name` would be over `limit`; counts nothing."""
        now = self._seconds()
        following = max(self._times.get(name, now), now) + WINDOW_SECONDS / limit
        return following - now > WINDOW_SECONDS * (1 + 1e-6)


class Limiter:
    """Counts requests in Redis, or here while Redis is away."""

    def __init__(self, key_value: IKeyValue, seconds: Callable[[], float]) -> None:
        self._key_value = key_value
        self._seconds = seconds
        self._local = LocalMeter(seconds)
        self._redis_after = 0.0

    async def take(self, name: str, limit: int) -> Usage:
        """Count one request of `name`; RateLimited if it is over `limit` a minute."""
        allowed, usage = await self._take(name, limit)
        if not allowed:
            raise RateLimited(
                f"more than {limit} requests a minute; next in {usage.retry_seconds} s",
                headers=(*usage.headers(), ("Retry-After", str(usage.retry_seconds))),
            )
        return usage

    async def _take(self, name: str, limit: int) -> tuple[bool, Usage]:
        if self._seconds() < self._redis_after:
            return self._local.take(name, limit)
        interval = WINDOW_SECONDS * 1_000_000 // limit
        try:
            answer = await self._key_value.script(
                "rate_limit",
                [f"rate:{{{name}}}".encode()],
                [b"%d" % interval, b"%d" % (interval * limit)],
            )
        except KeyValueUnavailable:
            # Every request would wait for the same timeout otherwise.
            self._redis_after = self._seconds() + _REDIS_PAUSE_SECONDS
            return self._local.take(name, limit)
        allowed, remaining, retry, reset = (int(it) for it in answer)
        usage = Usage(
            limit,
            remaining,
            math.ceil(reset / 1_000_000),
            0 if allowed else max(1, math.ceil(retry / 1_000_000)),
        )
        return bool(allowed), usage
