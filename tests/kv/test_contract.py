"""What every key-value store does, checked on a real server."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.task import deferLater

from nizam.kv.interface import IKeyValue


async def pause(seconds: float) -> None:
    await deferLater(reactor, seconds, lambda: None)


async def test_values_come_back_as_the_bytes_they_were(key_value: IKeyValue) -> None:
    for value in (b"+905321234567", b"1.0", b"", b"\x00\xff\r\n", "é".encode()):
        await key_value.set("k", value)
        assert await key_value.get("k") == value
    assert await key_value.get("absent") is None
    assert await key_value.delete("k", "absent") == 1


async def test_a_value_can_expire_and_can_be_refused_when_there_is_one(
    key_value: IKeyValue,
) -> None:
    assert await key_value.set("k", "first", seconds=60, only_new=True)
    assert not await key_value.set("k", "second", only_new=True)
    assert await key_value.get("k") == b"first"
    assert await key_value.expire("k", 0.01)
    while await key_value.get("k") is not None:
        await pause(0.01)
    assert not await key_value.expire("k", 1)


async def test_counters(key_value: IKeyValue) -> None:
    assert await key_value.incr("n") == 1
    assert await key_value.incr("n", 41) == 42


async def test_hashes(key_value: IKeyValue) -> None:
    assert await key_value.hset("h", {"a": "1", b"b": b"+2"}) == 2
    assert await key_value.hset("h", {"a": "3"}) == 0
    assert await key_value.hgetall("h") == {b"a": b"3", b"b": b"+2"}
    assert await key_value.hget("h", "b") == b"+2"
    assert await key_value.hget("h", "c") is None
    assert await key_value.hlen("h") == 2
    assert await key_value.hdel("h", "a", "c") == 1
    assert await key_value.hgetall("absent") == {}


async def test_lists(key_value: IKeyValue) -> None:
    assert await key_value.rpush("l", "a", "b", "a") == 3
    assert await key_value.lpush("l", "z") == 4
    assert await key_value.lrange("l", 0, -1) == [b"z", b"a", b"b", b"a"]
    assert await key_value.lrem("l", 0, "a") == 2
    assert await key_value.llen("l") == 2
    assert await key_value.lpop("l") == b"z"
    await key_value.ltrim("l", 1, -1)
    assert await key_value.lpop("l") is None


async def test_sorted_sets(key_value: IKeyValue) -> None:
    assert await key_value.zadd("z", {"late": 1763940000.123456, b"soon": 2.5}) == 2
    assert await key_value.zscore("z", "late") == 1763940000.123456
    assert await key_value.zrange("z", 0, -1) == [b"soon", b"late"]
    assert await key_value.zrangebyscore("z", float("-inf"), 100) == [b"soon"]
    assert await key_value.zrangebyscore("z", float("-inf"), float("inf"), limit=1) == [b"soon"]
    assert await key_value.zrem("z", "soon") == 1
    assert await key_value.zcard("z") == 1
    assert await key_value.zscore("z", "soon") is None


async def test_sets(key_value: IKeyValue) -> None:
    assert await key_value.sadd("s", "a", "b", "a") == 2
    assert await key_value.srem("s", "a") == 1
    assert await key_value.smembers("s") == {b"b"}


async def test_scan_finds_every_key_of_a_pattern(key_value: IKeyValue) -> None:
    for n in range(2500):
        await key_value.set(f"many:{n}", n)
    await key_value.set("other", 1)
    assert len(await key_value.scan("many:*")) == 2500


async def test_messages_reach_every_listener_until_it_ends(key_value: IKeyValue) -> None:
    heard: list[bytes] = []
    other: list[bytes] = []
    end = key_value.subscribe("c", heard.append)
    key_value.subscribe("c", other.append)
    while await key_value.publish("c", b"+1") == 0:
        await pause(0.01)
    while not other:
        await pause(0.01)
    end()
    await key_value.publish("c", b"second")
    while other[-1] != b"second":
        await pause(0.01)
    assert set(heard) == {b"+1"}
