"""What one instance hears, the others see: through a Redis that forgets, goes and comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from nizam.errors import InternalError, KeyValueUnavailable
from nizam.kv.single import SingleRedis
from nizam.switch.live import LiveState
from nizam.switch.live_documents import Most
from nizam.switch.live_index import Documents

UP: dict[str, Any] = {"connected": True}
DOWN: dict[str, Any] = {"connected": False}


@attrs.define
class Instances:
    """Several instances over one Redis, which go on when they are told to."""

    redis: SingleRedis
    clock: Clock = attrs.field(factory=Clock)
    lost: list[tuple[str, bool]] = attrs.field(factory=list)

    def start(self, **changes: Any) -> LiveState:
        """Another instance."""
        live = LiveState(self.clock, self.redis, **changes)
        live.on_lost(lambda node, first: self.lost.append((node, first)))
        return live

    async def go_on(self, *instances: LiveState, seconds: int = 1) -> None:
        """So many seconds of all of them."""
        for _ in range(seconds):
            for it in instances:
                await self.through(it._write())
                await self.through(it._follow())
            self.clock.advance(1)

    async def through(self, work: Coroutine[Any, Any, None]) -> None:
        """The end of the work, which may leave a turn to others."""
        from twisted.internet import reactor

        done = Deferred.fromCoroutine(work)
        while not done.called:
            self.clock.advance(0)
            await deferLater(reactor, 0)
        await done


def call(number: int, tenant: str = "acme", **changes: Any) -> dict[str, Any]:
    return {
        "call_id": str(number),
        "tenant_id": tenant,
        "started_at": str(number),
        "node": "fs1",
        "legs": [],
        "recording": None,
        **changes,
    }


def ids(live: LiveState) -> list[str]:
    return [it["call_id"] for it in live.calls()]


@pytest_twisted.async_yield_fixture
async def instances(redis_url: str) -> AsyncIterator[Instances]:
    from twisted.internet import reactor

    url = urlsplit(redis_url)
    redis = SingleRedis(reactor, url.hostname or "", url.port or 0, url.password)
    await redis.start()
    yield Instances(redis)
    await redis.stop()


async def test_changes_are_seen_and_nothing_else_is_read_again(
    instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears, eyes = instances.start(), instances.start()
    ears.put("links", "fs1", "link", UP)
    for number in range(3):
        ears.put("calls", "fs1", str(number), call(number))
    await instances.go_on(ears, eyes)
    assert ids(eyes) == ["0", "1", "2"]
    read: list[str] = []
    keep = eyes._documents.keep

    def count(documents: Documents, kind: str, key: str, document: dict[str, Any]) -> bool:
        read.append(key)
        return keep(documents, kind, key, document)

    monkeypatch.setattr(eyes._documents, "keep", count)
    ears.put("calls", "fs1", "1", call(1, node="fs1", recording="x"))
    ears.remove("calls", "fs1", "2")
    await instances.go_on(ears, eyes)
    assert ids(eyes) == ["0", "1"]
    assert eyes.call("1") == call(1, recording="x")
    assert read == ["1"]


async def test_after_redis_was_flushed_everything_is_there_again(instances: Instances) -> None:
    ears, eyes = instances.start(), instances.start()
    ears.put("links", "fs1", "link", UP)
    for number in range(1200):  # more than one portion
        ears.put("calls", "fs1", str(number), call(number))
    await instances.go_on(ears, eyes, seconds=2)
    await instances.redis.command("FLUSHALL")
    ears.remove("calls", "fs1", "0")
    await instances.go_on(ears, eyes, seconds=3)
    assert ids(eyes) == ids(ears)
    newcomer = instances.start()
    await instances.go_on(newcomer)
    assert len(ids(newcomer)) == 1199


async def test_a_redis_that_comes_back_with_old_data_is_put_right(instances: Instances) -> None:
    ears, eyes = instances.start(), instances.start()
    ears.put("links", "fs1", "link", UP)
    ears.put("calls", "fs1", "1", call(1))
    await instances.go_on(ears, eyes, seconds=2)
    old = {key: await instances.redis.command("DUMP", key) for key in await keys(instances)}
    ears.remove("calls", "fs1", "1")
    ears.put("calls", "fs1", "2", call(2))
    await instances.go_on(ears, eyes, seconds=2)
    for key, dump in old.items():
        await instances.redis.command("RESTORE", key, 0, dump, "REPLACE")
    await instances.go_on(ears, eyes, seconds=3)
    newcomer = instances.start()
    await instances.go_on(newcomer)
    assert (ids(eyes), ids(newcomer)) == (["2"], ["2"])


async def keys(instances: Instances) -> list[bytes]:
    return await instances.redis.scan("nizam:live:*")


async def test_what_a_killed_instance_left_is_removed_by_the_next_one(instances: Instances) -> None:
    killed, eyes = instances.start(), instances.start()
    killed.put("links", "fs1", "link", UP)
    killed.put("calls", "fs1", "1", call(1))
    await instances.go_on(killed, eyes, seconds=2)
    following = instances.start()
    following.put("links", "fs1", "link", UP)
    following.put("calls", "fs1", "2", call(2))
    await instances.go_on(following, eyes, seconds=2)
    assert ids(eyes) == ["1", "2"]  # until the switch has been asked
    following.reconciled("fs1")
    await instances.go_on(following, eyes, seconds=2)
    assert ids(eyes) == ["2"]


async def test_a_follower_that_was_away_for_long_reads_everything(instances: Instances) -> None:
    ears, eyes = instances.start(), instances.start()
    ears.put("links", "fs1", "link", UP)
    ears.put("calls", "fs1", "1", call(1))
    await instances.go_on(ears, eyes)
    ears.remove("calls", "fs1", "1")
    await instances.go_on(ears)
    # As if what changed had been forgotten meanwhile.
    base = "nizam:live:{fs1}:calls"
    await instances.redis.command("DEL", f"{base}:changes")
    version = await instances.redis.get(f"{base}:version")
    await instances.redis.set(f"{base}:floor", version or b"")
    await instances.go_on(eyes)
    assert ids(eyes) == []


async def test_a_node_that_nobody_hears_is_shown_disconnected_and_then_lost(
    instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears, eyes = instances.start(), instances.start()
    ears.put("links", "fs1", "link", UP)
    ears.put("calls", "fs1", "1", call(1))
    await instances.go_on(ears, eyes, seconds=2)
    assert eyes.links()["fs1"]["connected"]
    # The instance that heard it is killed.
    await instances.go_on(eyes, seconds=6)
    assert not eyes.links()["fs1"]["connected"]
    assert ids(eyes) == ["1"]
    await instances.redis.command("DEL", "nizam:live:{fs1}:heard")  # in 60 s by itself
    await instances.go_on(eyes, seconds=7)
    assert (ids(eyes), eyes.links()) == ([], {})
    assert instances.lost == []
    # And started again.
    again = instances.start()
    again.put("links", "fs1", "link", UP)
    again.put("calls", "fs1", "2", call(2))
    await instances.go_on(again, eyes, seconds=2)
    assert "2" in ids(eyes)


async def test_while_another_instance_hears_a_node_nothing_of_it_is_lost(
    instances: Instances,
) -> None:
    one, two = instances.start(), instances.start()
    for it in (one, two):
        it.put("links", "fs1", "link", UP)
        it.put("calls", "fs1", "1", call(1))
    await instances.go_on(one, two, seconds=2)
    one.put("links", "fs1", "link", DOWN)
    two.remove("calls", "fs1", "1")
    two.put("calls", "fs1", "2", call(2))
    await instances.go_on(two, one, seconds=40)
    assert ids(one) == ["2"]
    assert not one.links()["fs1"]["connected"]
    assert instances.lost == []
    two.put("links", "fs1", "link", DOWN)
    await instances.redis.command("DEL", "nizam:live:{fs1}:heard")
    await instances.go_on(two, one, seconds=8)
    assert (ids(one), ids(two)) == ([], [])
    assert sorted(instances.lost) == [("fs1", False), ("fs1", True)]


async def test_while_redis_is_away_nothing_is_lost(
    instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = instances.start()
    live.put("links", "fs1", "link", UP)
    live.put("calls", "fs1", "1", call(1))
    await instances.go_on(live, seconds=2)
    live.put("links", "fs1", "link", DOWN)

    async def away(*_arguments: Any, **_more: Any) -> Any:
        raise KeyValueUnavailable("gone")

    with monkeypatch.context() as patch:
        for name in ("command", "set", "get", "script", "smembers", "sadd"):
            patch.setattr(instances.redis, name, away)
        await instances.go_on(live, seconds=120)
    assert (ids(live), instances.lost) == (["1"], [])


async def test_what_redis_refuses_once_is_told_all_the_same(
    instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twisted.internet import reactor

    async def refuse(*_arguments: Any, **_more: Any) -> Any:
        raise InternalError("Redis refused it: WRONGTYPE")

    async def pass_time() -> None:
        for _ in range(10):
            instances.clock.advance(1)
            await deferLater(reactor, 0.01)

    ears, eyes = instances.start(), instances.start()
    for it in (ears, eyes):
        it.startService()
    with monkeypatch.context() as patch:
        for name in ("command", "script"):
            patch.setattr(instances.redis, name, refuse)
        ears.put("links", "fs1", "link", UP)
        ears.put("calls", "fs1", "1", call(1))
        await pass_time()
    await pass_time()
    assert ids(eyes) == ["1"]
    for it in (ears, eyes):
        await it.stopService()


@pytest.mark.parametrize(
    ("most", "shown"),
    [
        (Most.of(max_calls=3), 3),
        (Most.of(max_calls_per_tenant=2), 4),
        (Most.of(), 6),
    ],
)
async def test_there_are_so_many_calls_at_most_here_and_elsewhere(
    instances: Instances, most: Most, shown: int
) -> None:
    ears, eyes = instances.start(), instances.start(most=most)
    limited = instances.start(most=most)
    puts: list[Callable[..., None]] = [ears.put, limited.put]
    for put in puts:
        put("links", "fs1", "link", UP)
        for number in range(6):
            put("calls", "fs1", str(number), call(number, "acme" if number % 2 else "globex"))
    await instances.go_on(ears, eyes)
    assert (len(ids(ears)), len(ids(eyes)), len(ids(limited))) == (6, shown, shown)
    assert bool(limited.full) == (shown < 6)
    # A change of what is shown is shown; with room there is place for others.
    limited.put("calls", "fs1", "0", call(0, "globex", recording="x"))
    limited.remove("calls", "fs1", "1")
    limited.put("calls", "fs1", "5", call(5))
    assert limited.call("0") == call(0, "globex", recording="x")
    assert limited.call("5") is not None
    instances.clock.advance(61)
    assert limited.full == []
