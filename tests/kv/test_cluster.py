"""A Redis Cluster: slots that move, nodes that are lost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from nizam.embedded.process import LOOPBACK, free_port
from nizam.errors import InternalError, KeyValueUnavailable
from nizam.kv.cluster import ClusterRedis
from nizam.kv.slot_map import SlotMap, redirection
from nizam.kv.slots import slot_of
from nizam.kv.speaker import Speaker
from tests.kv.conftest import cluster
from tests.kv.moving import Move, owner_of
from tests.kv.servers import Cluster


async def pause(seconds: float = 0.02) -> None:
    await deferLater(reactor, seconds, lambda: None)


@pytest_twisted.async_yield_fixture
async def redis(redis_cluster: Cluster) -> AsyncIterator[ClusterRedis]:
    made = cluster(redis_cluster)
    await made.start()
    await made.command("FLUSHALL")
    yield made
    await made.stop()


def test_the_known_answer_of_the_specification() -> None:
    assert slot_of("123456789") == 0x31C3


KEYS = (
    "foo",
    "{user1000}.following",
    "foo{}{bar}",
    "foo{{bar}}zap",
    "foo{bar}{zap}",
    "{",
    "}{",
    "nizam:webhooks:{q0}:ring",
    "nizam:{limits}:call:x",
    "é",
)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_has_the_slot_that_the_server_gives_it(redis_cluster: Cluster, key: str) -> None:
    assert slot_of(key) == redis_cluster.masters[0].ask("CLUSTER", "KEYSLOT", key)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MOVED 3999 127.0.0.1:6381", ("MOVED", ("127.0.0.1", 6381))),
        ("ASK 1 node-2.example.com:6379", ("ASK", ("node-2.example.com", 6379))),
        ("MOVED 1 :6381", ("MOVED", ("asked", 6381))),
        ("MOVED 1 2001:db8::1:6381", ("MOVED", ("2001:db8::1", 6381))),
    ],
)
def test_where_a_node_sends_us(text: str, expected: object) -> None:
    assert redirection(text, "asked") == expected


def test_a_node_that_does_not_know_its_address_is_the_one_that_was_asked() -> None:
    found = SlotMap.read([[0, 16383, [b"", 7000, b"id"], [b"10.0.0.2", 7001, b"id"]]], "seed")
    assert (found.masters, found.whole) == ([("seed", 7000)], True)
    assert not SlotMap.read([[0, 9, [b"", 7000, b"id"]]], "seed").whole
    with pytest.raises(ValueError, match="CLUSTER SLOTS"):
        SlotMap.read([[0, 9, None]], "seed")


async def test_keys_of_a_script_in_two_slots_are_our_own_error(redis: ClusterRedis) -> None:
    with pytest.raises(InternalError, match="2 hash slots"):
        await redis.script("login_failed", ["a", "b"], [1, 1, 1, 1])


async def test_while_a_slot_moves_its_keys_are_found_where_they_are(
    redis: ClusterRedis, redis_cluster: Cluster
) -> None:
    """ASK for what is at the target already, TRYAGAIN until a script has all of its keys, MOVED
    at the end; whoever wants to know is told."""
    slot, masters = slot_of("{moving}"), redis_cluster.masters
    source = owner_of(masters, slot)
    target, other = (it for it in masters if it is not source)
    told: list[bool] = []
    redis.on_takeover("{moving}", lambda: told.append(True))
    keys = ["{moving}:failures", "{moving}:locked"]
    await redis.script("login_failed", keys, [1, 60, 60, 7])
    move = Move(slot, source, target, (other,))
    move.begin()
    await redis.set("{moving}:new", 1)
    assert target.ask("CLUSTER", "COUNTKEYSINSLOT", str(slot)) == 1
    assert await redis.get("{moving}:locked") == b"7"
    assert await redis.mget(["{moving}:new", "{moving}:locked"]) == [b"1", b"7"]
    counted: list[int] = []
    waiting = Deferred.fromCoroutine(redis.script("login_failed", keys, [9, 60, 60, 8]))
    waiting.addCallback(counted.append)
    await pause(0.2)
    assert not counted
    move.take(*move.keys())
    move.end()
    await waiting
    assert counted == [1]
    assert await redis.get("{moving}:locked") == b"7"
    while not told:
        await pause()
    Move(slot, target, source, (other,)).whole()
    assert await redis.get("{moving}:locked") == b"7"


async def test_without_any_node_every_call_ends_in_time() -> None:
    redis = ClusterRedis(Speaker(reactor), [(LOOPBACK, free_port())], deadline=0.1)
    await redis.start()
    assert not redis.available
    for call in (redis.get("k"), redis.ping(), redis.scan("*"), redis.publish("c", 1)):
        with pytest.raises(KeyValueUnavailable):
            await call
    await redis.stop()


async def test_a_seed_that_is_no_node_of_a_cluster_is_told(redis_url: str) -> None:
    password, _, place = redis_url.removeprefix("redis://:").partition("@")
    port = int(place.partition(":")[2].partition("/")[0])
    redis = ClusterRedis(Speaker(reactor, password=password), [(LOOPBACK, port)])
    with pytest.raises(KeyValueUnavailable, match=r"REDIS_CLUSTER_SEED_n: .* is no node"):
        await redis.start()


async def test_a_wrong_password_is_told_at_the_start(redis_cluster: Cluster) -> None:
    redis = ClusterRedis(Speaker(reactor, password="wrong"), redis_cluster.addresses)
    with pytest.raises(KeyValueUnavailable, match="refuses our credentials"):
        await redis.start()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path, replicas=True) as servers:
        yield servers


@pytest.mark.rehearsal
@pytest.mark.time_limit(120)
async def test_when_a_master_is_killed_its_replica_is_used_once_it_is_promoted(
    own: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    redis = cluster(own, deadline=0.5)
    await redis.start()
    heard: list[bytes] = []
    redis.subscribe("c", heard.append)
    slot = slot_of("k")
    killed = owner_of(own.masters, slot)
    others = [f"key:{n}" for n in range(100)]
    others = [it for it in others if owner_of(own.masters, slot_of(it)) is not killed]
    told: list[bool] = []
    redis.on_takeover("k", lambda: told.append(True))
    await redis.set("k", "before")
    killed.kill()
    began = time.monotonic()
    while True:
        # The slots of the others are served all the while (cluster-require-full-coverage no).
        with contextlib.suppress(KeyValueUnavailable):
            await redis.set("k", "after")
            break
        await pause()
    seconds = time.monotonic() - began
    with capsys.disabled():
        print(f"\nCluster: written again {seconds:.1f} s after kill -9 of a master")
    assert seconds < 15
    assert told
    while not heard:
        with contextlib.suppress(KeyValueUnavailable):
            await redis.publish("c", "1")
        await pause()
    for key in others:
        await redis.set(key, key)
    assert len(await redis.scan("key:*")) == len(others)
    await redis.stop()
