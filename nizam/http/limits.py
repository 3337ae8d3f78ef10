"""How many requests a key, an address or a tenant may make: GCRA, shared through Redis.

With Redis away each instance counts for itself: a limit that is too generous for a while is
better than an API that is not there. Where that is not so, as for logins, `take_strictly` refuses.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

import attrs

from nizam.errors import KeyValueUnavailable, RateLimited
from nizam.kv.interface import IKeyValue

WINDOW_SECONDS = 60
_LOCAL_ENTRIES = 50_000
_REDIS_PAUSE_SECONDS = 2.0


@attrs.frozen
class Meter:
    """One limit that a request counts against: `limit` a minute, of which it takes `cost`.

    `policy` names the limit in the answer's headers. A request that costs more than there is in
    a minute takes the whole minute.
    """

    name: str
    limit: int
    cost: int = 1
    policy: str = "default"

    @property
    def taken(self) -> int:
        """How much one request takes, which must be possible at all."""
        return min(self.cost, self.limit)


@attrs.frozen
class Usage:
    """How much of a limit is used: requests a minute, requests left, seconds until all are."""

    limit: int
    remaining: int
    reset_seconds: int
    retry_seconds: int = 0
    policy: str = "default"


@attrs.frozen
class Usages:
    """The state of every limit that a request counted against."""

    all: tuple[Usage, ...]

    @property
    def binding(self) -> Usage:
        """The limit that the client meets first."""
        return min(self.all, key=lambda it: (-it.retry_seconds, it.remaining))

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The fields of draft-ietf-httpapi-ratelimit-headers, and the older X- ones."""
        policies = (f'"{it.policy}";q={it.limit};w={WINDOW_SECONDS}' for it in self.all)
        it = self.binding
        return (
            ("RateLimit-Policy", ", ".join(policies)),
            ("RateLimit", f'"{it.policy}";r={it.remaining};t={it.reset_seconds}'),
            ("X-RateLimit-Limit", str(it.limit)),
            ("X-RateLimit-Remaining", str(it.remaining)),
            ("X-RateLimit-Reset", str(it.reset_seconds)),
        )

    def check(self) -> None:
        """Raise RateLimited if the request is over one of the limits."""
        it = self.binding
        if it.retry_seconds:
            whose = "" if it.policy == "default" else f" of the {it.policy}"
            raise RateLimited(
                f"more than {it.limit} requests a minute{whose}; next in {it.retry_seconds} s",
                headers=(*self.headers(), ("Retry-After", str(it.retry_seconds))),
            )


class LocalMeter:
    """GCRA in this process; the least recently used meters are forgotten first."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._times: OrderedDict[str, float] = OrderedDict()

    def take(self, *meters: Meter) -> Usages:
        """Count one request by every meter, or by none if it is over the limit of one."""
        found = tuple(self._usage(it) for it in meters)
        if not any(usage.retry_seconds for usage, _ in found):
            for meter, (_, following) in zip(meters, found, strict=True):
                self._times[meter.name] = following
                self._times.move_to_end(meter.name)
            while len(self._times) > _LOCAL_ENTRIES:
                self._times.popitem(last=False)
        return Usages(tuple(usage for usage, _ in found))

    def exhausted(self, meter: Meter) -> bool:
        """Whether one more request would be over the limit; counts nothing."""
        usage, _ = self._usage(meter)
        return usage.retry_seconds > 0

    def _usage(self, meter: Meter) -> tuple[Usage, float]:
        """What the meter would show after this request, and when it would be empty."""
        now = self._seconds()
        interval = WINDOW_SECONDS / meter.limit
        present = max(self._times.get(meter.name, now), now)
        following = present + meter.taken * interval
        # Sums of intervals differ from the window in the last bits.
        slack = interval * 1e-6
        over = following - now - WINDOW_SECONDS
        if over > slack:
            left = int((WINDOW_SECONDS - (present - now) + slack) / interval)
            usage = Usage(meter.limit, max(0, left), math.ceil(present - now), math.ceil(over))
        else:
            left = int((WINDOW_SECONDS - (following - now) + slack) / interval)
            usage = Usage(meter.limit, left, math.ceil(following - now))
        return attrs.evolve(usage, policy=meter.policy), following


class Limiter:
    """Counts requests in Redis, or here while Redis is away."""

    def __init__(self, key_value: IKeyValue, seconds: Callable[[], float]) -> None:
        self._key_value = key_value
        self._seconds = seconds
        self._local = LocalMeter(seconds)
        self._redis_after = 0.0

    async def take(self, owner: str, *meters: Meter) -> Usages:
        """Count one request by every meter, in one step; RateLimited if it is over one limit.

        `owner` stands in the names of the keys, so that those that are changed together are kept
        together. With Redis away the meters of this process are used.
        """
        usages = await self._take(owner, meters)
        usages.check()
        return usages

    async def take_strictly(self, owner: str, *meters: Meter) -> Usages:
        """As `take`, but KeyValueUnavailable while Redis is away: nothing goes uncounted."""
        usages = await self._count(owner, meters)
        usages.check()
        return usages

    async def _take(self, owner: str, meters: Sequence[Meter]) -> Usages:
        if self._seconds() < self._redis_after:
            return self._local.take(*meters)
        try:
            return await self._count(owner, meters)
        except KeyValueUnavailable:
            # Every request would wait for the same timeout otherwise.
            self._redis_after = self._seconds() + _REDIS_PAUSE_SECONDS
            return self._local.take(*meters)

    async def _count(self, owner: str, meters: Sequence[Meter]) -> Usages:
        arguments: list[bytes] = []
        for it in meters:
            interval = WINDOW_SECONDS * 1_000_000 // it.limit
            arguments += (b"%d" % interval, b"%d" % (interval * it.limit), b"%d" % it.taken)
        answer = await self._key_value.script(
            "rate_limit", [f"rate:{{{owner}}}:{it.name}".encode() for it in meters], arguments
        )
        return Usages(
            tuple(
                _usage(meter, *map(int, found)) for meter, found in zip(meters, answer, strict=True)
            )
        )


def _usage(meter: Meter, allowed: int, remaining: int, retry: int, reset: int) -> Usage:
    return Usage(
        meter.limit,
        remaining,
        math.ceil(reset / 1_000_000),
        0 if allowed else max(1, math.ceil(retry / 1_000_000)),
        meter.policy,
    )
