"""One Redis server: what happens when it refuses, is away or hangs."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater

from nizam.embedded.process import free_port
from nizam.embedded.redis import PrivateRedis
from nizam.errors import KeyValueUnavailable
from nizam.kv import scripts
from nizam.kv.scripts import Script
from nizam.kv.single import SingleRedis
from tests.kv.conftest import single


async def pause(seconds: float) -> None:
    await deferLater(reactor, seconds, lambda: None)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[PrivateRedis]:
    with PrivateRedis(tmp_path / "redis", durable=False) as server:
        yield server


async def test_a_wrong_password_is_told_at_the_start(redis_server: PrivateRedis) -> None:
    redis = SingleRedis(reactor, redis_server.host, redis_server.port, "wrong")
    with pytest.raises(KeyValueUnavailable, match="refuses our credentials"):
        await redis.start()


async def test_a_missing_password_is_told_at_the_start(redis_server: PrivateRedis) -> None:
    redis = SingleRedis(reactor, redis_server.host, redis_server.port)
    with pytest.raises(KeyValueUnavailable, match="refuses our credentials"):
        await redis.start()


async def test_without_a_server_every_call_ends_in_time() -> None:
    redis = SingleRedis(reactor, "127.0.0.1", free_port(), deadline=0.1)
    await redis.start()
    assert not redis.available
    with pytest.raises(KeyValueUnavailable):
        await redis.get("k")
    await redis.stop()
    with pytest.raises(KeyValueUnavailable):
        await redis.get("k")


async def test_a_frozen_server_costs_a_deadline_and_comes_back(own_redis: PrivateRedis) -> None:
    redis = single(own_redis.url(), deadline=1.0)
    await redis.start()
    heard: list[bytes] = []
    redis.subscribe("c", heard.append)
    assert own_redis.pid is not None
    os.kill(own_redis.pid, signal.SIGSTOP)
    try:
        with pytest.raises(KeyValueUnavailable):
            await redis.set("k", 1)
    finally:
        os.kill(own_redis.pid, signal.SIGCONT)
    while True:
        try:
            await redis.ping()
            break
        except KeyValueUnavailable:
            continue
    await redis.stop()


async def test_lost_connections_are_made_again_with_their_subscriptions(
    own_redis: PrivateRedis,
) -> None:
    redis = single(own_redis.url(), deadline=0.5)
    await redis.start()
    heard: list[bytes] = []
    redis.subscribe("c", heard.append)
    while await redis.publish("c", "before") == 0:
        await pause(0.01)
    await redis.command("CLIENT KILL", "TYPE", "pubsub")
    await redis.command("CLIENT KILL", "TYPE", "normal", "SKIPME", "no")
    while b"after" not in heard:
        with contextlib.suppress(KeyValueUnavailable):
            await redis.publish("c", "after")
        await pause(0.01)
    await redis.stop()


async def test_a_script_is_sent_when_the_server_lacks_it(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = b"redis.call('set', KEYS[1], ARGV[1]) return {KEYS[1], 7, ARGV[1]}"
    it = Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest())
    monkeypatch.setattr("nizam.kv.single.script", lambda name: it)
    redis = single(redis_url)
    await redis.start()
    await redis.command("SCRIPT FLUSH")
    for _ in range(2):
        assert await redis.script("any", ["k"], ["+1"]) == [b"k", 7, b"+1"]
    assert await redis.command("SCRIPT EXISTS", it.digest) == [1]
    await redis.stop()


def test_an_unknown_script_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        scripts.script("absent")
