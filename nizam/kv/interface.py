"""What NIZAM needs of Redis. Bytes in, bytes out; text is encoded as UTF-8.

Every call answers within its deadline or raises KeyValueUnavailable. A command that failed that
way may still have been carried out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from zope.interface import Attribute, Interface

Value = str | bytes | int | float
Listener = Callable[[bytes], None]


class IKeyValue(Interface):
    """One server or several. Keys that one script touches share a `{hash tag}`."""

    available: bool = Attribute("Whether a connection is there that the server accepted.")

    async def ping() -> None:
        """Return when the server answers."""

    async def get(key: Value) -> bytes | None:
        """The value, or None."""

    async def mget(keys: Sequence[Value]) -> list[bytes | None]:
        """The values of many keys, each None where there is none."""

    async def set(
        key: Value, value: Value, seconds: float | None = None, only_new: bool = False
    ) -> bool:
        """Store a value, with a time to live if `seconds` is given; False when `only_new` and
        there was one already."""

    async def delete(*keys: Value) -> int:
        """Remove keys; how many there were."""

    async def expire(key: Value, seconds: float) -> bool:
        """Give a key a time to live; False if there is no such key."""

    async def incr(key: Value, by: int = 1) -> int:
        """Add to a counter; its new value."""

    async def hset(key: Value, fields: Mapping[Any, Value]) -> int:
        """Set fields of a hash; how many of them are new."""

    async def hget(key: Value, field: Value) -> bytes | None:
        """One field of a hash, or None."""

    async def hgetall(key: Value) -> dict[bytes, bytes]:
        """Every field of a hash."""

    async def hdel(key: Value, *fields: Value) -> int:
        """Remove fields of a hash; how many there were."""

    async def hlen(key: Value) -> int:
        """How many fields a hash has."""

    async def rpush(key: Value, *values: Value) -> int:
        """Append to a list; its new length."""

    async def lpush(key: Value, *values: Value) -> int:
        """Put before a list; its new length."""

    async def lpop(key: Value) -> bytes | None:
        """Take the first of a list, or None."""

    async def llen(key: Value) -> int:
        """The length of a list."""

    async def lrange(key: Value, first: int, last: int) -> list[bytes]:
        """Part of a list; -1 is its last item."""

    async def lrem(key: Value, count: int, value: Value) -> int:
        """Remove occurrences from a list (0: all of them); how many there were."""

    async def ltrim(key: Value, first: int, last: int) -> None:
        """Keep only this part of a list."""

    async def zadd(key: Value, scores: Mapping[Any, float]) -> int:
        """Add to a sorted set or change scores; how many members are new."""

    async def zrem(key: Value, *members: Value) -> int:
        """Remove from a sorted set; how many there were."""

    async def zcard(key: Value) -> int:
        """How many members a sorted set has."""

    async def zscore(key: Value, member: Value) -> float | None:
        """The score of a member, or None."""

    async def zrange(key: Value, first: int, last: int) -> list[bytes]:
        """Members by rank, lowest score first; -1 is the last."""

    async def zrangebyscore(
        key: Value, lowest: float, highest: float, limit: int | None = None
    ) -> list[bytes]:
        """Members whose score is in the range, both ends included, lowest first."""

    async def sadd(key: Value, *members: Value) -> int:
        """Add to a set; how many are new."""

    async def srem(key: Value, *members: Value) -> int:
        """Remove from a set; how many there were."""

    async def smembers(key: Value) -> frozenset[bytes]:
        """Every member of a set."""

    async def scan(pattern: Value) -> list[bytes]:
        """Every key that matches, gathered in steps that do not block the server."""

    async def script(
        name: str,
        keys: Sequence[Value],
        args: Sequence[Value] = (),
        deadline: float | None = None,
    ) -> Any:
        """Run nizam/kv/scripts/<name>.lua; its answer as Redis gives it. `deadline` is how many
        seconds it may take, where that is not as long as for others."""

    async def command(name: str, *args: Value) -> Any:
        """Any other command on one key, which comes first, or none; its answer as Redis gives it.
        In a cluster one without a key goes to every server, and the answer is that of one."""

    async def publish(channel: Value, message: Value) -> int:
        """Send a message; how many heard it of those that are connected to the same server."""

    def subscribe(channel: str, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each message from now on, for as long as the connection stands and
        again once it is back; messages in between are lost. Returns what ends it."""

    def on_takeover(key: Value, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when another server has taken over what holds `key`, which may lack the
        last writes. Returns what ends it."""

    def start() -> Awaitable[None]:
        """Connect. Raises KeyValueUnavailable for credentials and certificates that are refused; a
        server that is away does not raise: the connection comes by itself."""

    def stop() -> Awaitable[None]:
        """Close every connection."""
