"""The commands of Redis that every kind of it has, by their names, on top of what each kind does
in its own way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from nizam.kv.interface import Value

SCAN_COUNT = 1000


class RedisCommands(ABC):
    """What IKeyValue has by the names of commands; `command` and `script` send them."""

    @abstractmethod
    async def command(self, name: str, *args: Value, deadline: float | None = None) -> Any:
        """Any command; its answer as Redis gives it."""

    @abstractmethod
    async def script(
        self,
        name: str,
        keys: Sequence[Value],
        args: Sequence[Value] = (),
        deadline: float | None = None,
    ) -> Any:
        """Run nizam/kv/scripts/<name>.lua; its answer as Redis gives it."""

    async def ping(self) -> None:
        """Return when the server answers."""
        await self.command("PING")

    async def get(self, key: Value) -> bytes | None:
        """The value, or None."""
        value: bytes | None = await self.command("GET", key)
        return value

    async def mget(self, keys: Sequence[Value]) -> list[bytes | None]:
        """The values of many keys, each None where there is none."""
        return list(await self.command("MGET", *keys)) if keys else []

    async def set(
        self, key: Value, value: Value, seconds: float | None = None, only_new: bool = False
    ) -> bool:
        """Store a value; False when `only_new` and there was one already."""
        options: tuple[Value, ...] = ("NX",) if only_new else ()
        if seconds is not None:
            options += ("PX", round(seconds * 1000))
        return await self.command("SET", key, value, *options) is not None

    async def delete(self, *keys: Value) -> int:
        """Remove keys; how many there were."""
        return int(await self.command("DEL", *keys)) if keys else 0

    async def expire(self, key: Value, seconds: float) -> bool:
        """Give a key a time to live; False if there is no such key."""
        return bool(await self.command("PEXPIRE", key, round(seconds * 1000)))

    async def incr(self, key: Value, by: int = 1) -> int:
        """Add to a counter; its new value."""
        return int(await self.command("INCRBY", key, by))

    async def hset(self, key: Value, fields: Mapping[Any, Value]) -> int:
        """Set fields of a hash; how many of them are new."""
        pairs = [part for pair in fields.items() for part in pair]
        return int(await self.command("HSET", key, *pairs)) if pairs else 0

    async def hget(self, key: Value, field: Value) -> bytes | None:
        """One field of a hash, or None."""
        value: bytes | None = await self.command("HGET", key, field)
        return value

    async def hgetall(self, key: Value) -> dict[bytes, bytes]:
        """Every field of a hash."""
        flat = await self.command("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2], strict=True))

    async def hdel(self, key: Value, *fields: Value) -> int:
        """Remove fields of a hash; how many there were."""
        return int(await self.command("HDEL", key, *fields)) if fields else 0

    async def hlen(self, key: Value) -> int:
        """How many fields a hash has."""
        return int(await self.command("HLEN", key))

    async def rpush(self, key: Value, *values: Value) -> int:
        """Append to a list; its new length."""
        return int(await self.command("RPUSH", key, *values))

    async def lpush(self, key: Value, *values: Value) -> int:
        """Put before a list; its new length."""
        return int(await self.command("LPUSH", key, *values))

    async def lpop(self, key: Value) -> bytes | None:
        """Take the first of a list, or None."""
        value: bytes | None = await self.command("LPOP", key)
        return value

    async def llen(self, key: Value) -> int:
        """The length of a list."""
        return int(await self.command("LLEN", key))

    async def lrange(self, key: Value, first: int, last: int) -> list[bytes]:
        """Part of a list; -1 is its last item."""
        return list(await self.command("LRANGE", key, first, last))

    async def lrem(self, key: Value, count: int, value: Value) -> int:
        """Remove occurrences from a list (0: all of them); how many there were."""
        return int(await self.command("LREM", key, count, value))

    async def ltrim(self, key: Value, first: int, last: int) -> None:
        """Keep only this part of a list."""
        await self.command("LTRIM", key, first, last)

    async def zadd(self, key: Value, scores: Mapping[Any, float]) -> int:
        """Add to a sorted set or change scores; how many members are new."""
        pairs = [part for member, score in scores.items() for part in (repr(score), member)]
        return int(await self.command("ZADD", key, *pairs)) if pairs else 0

    async def zrem(self, key: Value, *members: Value) -> int:
        """Remove from a sorted set; how many there were."""
        return int(await self.command("ZREM", key, *members)) if members else 0

    async def zcard(self, key: Value) -> int:
        """How many members a sorted set has."""
        return int(await self.command("ZCARD", key))

    async def zscore(self, key: Value, member: Value) -> float | None:
        """The score of a member, or None."""
        score = await self.command("ZSCORE", key, member)
        return None if score is None else float(score)

    async def zrange(self, key: Value, first: int, last: int) -> list[bytes]:
        """Members by rank, lowest score first; -1 is the last."""
        return list(await self.command("ZRANGE", key, first, last))

    async def zrangebyscore(
        self, key: Value, lowest: float, highest: float, limit: int | None = None
    ) -> list[bytes]:
        """Members whose score is in the range, both ends included, lowest first."""
        options = () if limit is None else ("LIMIT", 0, limit)
        return list(await self.command("ZRANGEBYSCORE", key, repr(lowest), repr(highest), *options))

    async def sadd(self, key: Value, *members: Value) -> int:
        """Add to a set; how many are new."""
        return int(await self.command("SADD", key, *members)) if members else 0

    async def srem(self, key: Value, *members: Value) -> int:
        """Remove from a set; how many there were."""
        return int(await self.command("SREM", key, *members)) if members else 0

    async def smembers(self, key: Value) -> frozenset[bytes]:
        """Every member of a set."""
        return frozenset(await self.command("SMEMBERS", key))

    async def scan(self, pattern: Value) -> list[bytes]:
        """Every key that matches, each once."""
        found: dict[bytes, None] = {}
        cursor: Value = 0
        while True:
            cursor, keys = await self.command("SCAN", cursor, *scan_options(pattern))
            found.update(dict.fromkeys(keys))
            if int(cursor) == 0:
                return list(found)

    async def publish(self, channel: Value, message: Value) -> int:
        """Send a message; how many heard it."""
        return int(await self.command("PUBLISH", channel, message))


def scan_options(pattern: Value) -> tuple[Value, ...]:
    """What follows the cursor of a SCAN for the keys that match."""
    return ("MATCH", pattern, "COUNT", SCAN_COUNT)
