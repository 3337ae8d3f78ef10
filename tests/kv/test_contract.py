"""What every key-value store does, checked on real servers of each kind."""

from __future__ import annotations

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater

from nizam.errors import InternalError, KeyValueUnavailable
from nizam.kv.interface import IKeyValue


async def pause(seconds: float) -> None:
    await deferLater(reactor, seconds, lambda: None)


async def test_values_come_back_as_the_bytes_they_were(any_kind: IKeyValue) -> None:
    for value in (b"+905321234567", b"1.0", b"", b"\x00\xff\r\n", "é".encode()):
        await any_kind.set("k", value)
        assert await any_kind.get("k") == value
    assert await any_kind.get("absent") is None
    assert await any_kind.delete("k", "absent") == 1


async def test_a_value_can_expire_and_can_be_refused_when_there_is_one(
    any_kind: IKeyValue,
) -> None:
    assert await any_kind.set("k", "first", seconds=60, only_new=True)
    assert not await any_kind.set("k", "second", only_new=True)
    assert await any_kind.get("k") == b"first"
    assert await any_kind.expire("k", 0.01)
    while await any_kind.get("k") is not None:
        await pause(0.01)
    assert not await any_kind.expire("k", 1)


async def test_counters(any_kind: IKeyValue) -> None:
    assert await any_kind.incr("n") == 1
    assert await any_kind.incr("n", 41) == 42


async def test_hashes(any_kind: IKeyValue) -> None:
    assert await any_kind.hset("h", {"a": "1", b"b": b"+2"}) == 2
    assert await any_kind.hset("h", {"a": "3"}) == 0
    assert await any_kind.hgetall("h") == {b"a": b"3", b"b": b"+2"}
    assert await any_kind.hget("h", "b") == b"+2"
    assert await any_kind.hget("h", "c") is None
    assert await any_kind.hlen("h") == 2
    assert await any_kind.hdel("h", "a", "c") == 1
    assert await any_kind.hgetall("absent") == {}


async def test_lists(any_kind: IKeyValue) -> None:
    assert await any_kind.rpush("l", "a", "b", "a") == 3
    assert await any_kind.lpush("l", "z") == 4
    assert await any_kind.lrange("l", 0, -1) == [b"z", b"a", b"b", b"a"]
    assert await any_kind.lrem("l", 0, "a") == 2
    assert await any_kind.llen("l") == 2
    assert await any_kind.lpop("l") == b"z"
    await any_kind.ltrim("l", 1, -1)
    assert await any_kind.lpop("l") is None


async def test_sorted_sets(any_kind: IKeyValue) -> None:
    assert await any_kind.zadd("z", {"late": 1763940000.123456, b"soon": 2.5}) == 2
    assert await any_kind.zscore("z", "late") == 1763940000.123456
    assert await any_kind.zrange("z", 0, -1) == [b"soon", b"late"]
    assert await any_kind.zrangebyscore("z", float("-inf"), 100) == [b"soon"]
    assert await any_kind.zrangebyscore("z", float("-inf"), float("inf"), limit=1) == [b"soon"]
    assert await any_kind.zrem("z", "soon") == 1
    assert await any_kind.zcard("z") == 1
    assert await any_kind.zscore("z", "soon") is None


async def test_sets(any_kind: IKeyValue) -> None:
    assert await any_kind.sadd("s", "a", "b", "a") == 2
    assert await any_kind.srem("s", "a") == 1
    assert await any_kind.smembers("s") == {b"b"}


async def test_scan_finds_every_key_of_a_pattern(any_kind: IKeyValue) -> None:
    for n in range(2500):
        await any_kind.set(f"many:{n}", n)
    await any_kind.set("other", 1)
    assert len(await any_kind.scan("many:*")) == 2500


async def test_messages_reach_every_listener_until_it_ends(any_kind: IKeyValue) -> None:
    heard: list[bytes] = []
    other: list[bytes] = []
    end = any_kind.subscribe("c", heard.append)
    any_kind.subscribe("c", other.append)
    while not (heard and other):
        await any_kind.publish("c", b"+1")
        await pause(0.01)
    end()
    while other[-1] != b"second":
        await any_kind.publish("c", b"second")
        await pause(0.01)
    assert set(heard) == {b"+1"}


async def test_many_keys_are_read_and_removed_at_once_wherever_they_are(
    any_kind: IKeyValue,
) -> None:
    names = [f"spread:{n}" for n in range(50)]
    for name in names[:-1]:
        await any_kind.set(name, name)
    assert await any_kind.mget(names) == [*(it.encode() for it in names[:-1]), None]
    assert await any_kind.mget([]) == []
    assert await any_kind.delete(*names) == 49
    assert await any_kind.scan("spread:*") == []


async def test_a_command_without_a_method_of_its_own(any_kind: IKeyValue) -> None:
    await any_kind.set("k", "once")
    assert await any_kind.command("GETDEL", "k") == b"once"
    assert await any_kind.command("SET", "k", 1, "EX", 60, "GET") is None
    assert await any_kind.command("HKEYS", "absent") == []


async def test_a_script_runs_where_its_keys_are_whether_the_server_knows_it_or_not(
    any_kind: IKeyValue,
) -> None:
    await any_kind.command("SCRIPT FLUSH")
    for account in ("a", "b", "c", "d", "e", "f"):
        keys = [f"login:{{{account}}}:failures", f"login:{{{account}}}:locked"]
        assert await any_kind.script("login_failed", keys, [2, 60, 60, 1]) == 1
        assert await any_kind.script("login_failed", keys, [2, 60, 60, 1]) == 2
        assert await any_kind.get(keys[1]) == b"1"


async def test_a_wrong_command_is_our_own_error(any_kind: IKeyValue) -> None:
    await any_kind.set("k", "text")
    with pytest.raises(InternalError, match="WRONGTYPE"):
        await any_kind.rpush("k", "x")


async def test_after_the_end_every_call_says_so_at_once(any_kind: IKeyValue) -> None:
    await any_kind.ping()
    there = any_kind.available
    await any_kind.stop()
    assert (there, any_kind.available) == (True, False)
    with pytest.raises(KeyValueUnavailable):
        await any_kind.get("k")
