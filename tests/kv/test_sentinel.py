"""A master that Sentinels watch over: found, lost, and found again elsewhere."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from nizam.embedded.process import LOOPBACK, free_port
from nizam.errors import KeyValueUnavailable
from nizam.kv.sentinel import SentinelRedis
from nizam.kv.speaker import Speaker
from tests.kv.conftest import sentinel
from tests.kv.servers import PASSWORD, SENTINEL_PASSWORD, SERVICE, Watched, wait_for


async def pause(seconds: float = 0.02) -> None:
    await deferLater(reactor, seconds, lambda: None)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Watched]:
    with Watched(tmp_path, down_after_ms=500) as servers:
        yield servers


@pytest_twisted.async_yield_fixture
async def redis(own: Watched) -> AsyncIterator[SentinelRedis]:
    made = sentinel(own, deadline=0.5)
    await made.start()
    yield made
    await made.stop()


async def works(redis: SentinelRedis, value: str) -> None:
    """Wait until a value can be written."""
    while True:
        with contextlib.suppress(KeyValueUnavailable):
            await redis.set("k", value)
            return
        await pause()


@pytest.mark.time_limit(60)
async def test_when_the_master_is_killed_the_promoted_one_is_used_within_seconds(
    own: Watched, redis: SentinelRedis, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its subscriptions, and telling whoever asked to be told that writes may be missing."""
    heard: list[bytes] = []
    told: list[str] = []
    redis.subscribe("c", heard.append)
    redis.on_takeover("k", lambda: told.append("k"))
    await redis.set("k", "before")
    assert own.first.ask("GET", "k") == "before"
    own.first.kill()
    killed = time.monotonic()
    await works(redis, "after")
    seconds = time.monotonic() - killed
    with capsys.disabled():
        print(f"\nSentinel: written again {seconds:.1f} s after kill -9 of the master")
    assert seconds < 8
    assert own.second.ask("GET", "k") == "after"
    assert own.second.information("replication")["role"] == "master"
    assert told == ["k"]
    while not heard:
        with contextlib.suppress(KeyValueUnavailable):
            await redis.publish("c", "1")
        await pause()


@pytest.mark.rehearsal
@pytest.mark.time_limit(90)
async def test_a_master_that_was_killed_comes_back_as_a_replica(
    own: Watched, redis: SentinelRedis
) -> None:
    own.first.kill()
    await works(redis, "after")
    own.first.start()
    wait_for(lambda: own.first.information("replication")["role"] == "slave")
    await works(redis, "later")
    assert own.second.ask("GET", "k") == "later"


@pytest.mark.time_limit(60)
async def test_a_master_that_was_demoted_while_it_was_frozen_is_not_written_to(
    own: Watched, redis: SentinelRedis
) -> None:
    await redis.set("k", "before")
    os.kill(own.first.pid, signal.SIGSTOP)
    try:
        await works(redis, "after")
        assert own.second.ask("GET", "k") == "after"
    finally:
        os.kill(own.first.pid, signal.SIGCONT)
    for number in range(20):
        await works(redis, str(number))
        assert own.second.ask("GET", "k") == str(number)


@pytest.mark.parametrize(
    ("service", "password", "expected"),
    [
        ("other", SENTINEL_PASSWORD, "REDIS_SENTINEL_SERVICE: .* knows no master 'other'"),
        (SERVICE, "wrong", "the Sentinels: Redis refuses our credentials"),
    ],
)
async def test_what_is_wrong_with_the_sentinels_is_said(
    watched: Watched, service: str, password: str, expected: str
) -> None:
    redis = SentinelRedis(
        Speaker(reactor, password=PASSWORD),
        Speaker(reactor, password=password),
        watched.addresses,
        service,
        deadline=0.1,
    )
    with pytest.raises(KeyValueUnavailable, match=expected):
        await redis._sentinels.master()
    with contextlib.suppress(KeyValueUnavailable):
        await redis.start()
    await redis.stop()


async def test_a_sentinel_that_is_away_is_passed_over(watched: Watched) -> None:
    redis = sentinel(watched)
    redis._sentinels._addresses.insert(0, (LOOPBACK, free_port()))
    await redis.start()
    await redis.set("k", 1)
    await redis.stop()


async def test_without_any_sentinel_every_call_ends_in_time(watched: Watched) -> None:
    redis = sentinel(watched, deadline=0.1)
    redis._sentinels._addresses[:] = [(LOOPBACK, free_port())]
    await redis.start()
    assert not redis.available
    with pytest.raises(KeyValueUnavailable):
        await redis.get("k")
    await redis.stop()
