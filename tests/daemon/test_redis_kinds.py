"""Rehearsals: the daemon over each kind of Redis, as deploy/redis has it, and what becomes of calls
and webhooks when servers are killed, slots move, or memory is short."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from nizam.kv.slots import slot_of
from tests.daemon.conftest import DURATIONS, PACE
from tests.daemon.site import Site, build_site, demo_scenery, stop_site
from tests.kv.deployed import PASSWORDS, Deployed
from tests.kv.moving import Move, owner_of
from tests.kv.servers import Cluster, RedisProcess, Watched, settings_of, wait_for

pytestmark = [pytest.mark.rehearsal, pytest.mark.time_limit(240)]

PARTITIONS = [f"{{q{it}}}" for it in range(16)]


@pytest.fixture
def deployed(tmp_path: Path) -> Deployed:
    (tmp_path / "redis").mkdir()
    return Deployed(tmp_path / "redis")


@pytest.fixture
def servers(request: pytest.FixtureRequest, deployed: Deployed, tmp_path: Path) -> Iterator[Any]:
    made: Any
    if request.param == "single":
        made = RedisProcess(
            tmp_path / "single",
            {},
            program=deployed.program,
            username="operator",
            password=PASSWORDS["operator"],
            lines=deployed.included("redis.conf"),
            authorities=deployed.authorities,
        ).start()
    elif request.param == "sentinel":
        made = Watched(tmp_path / "watched", deployed=deployed).__enter__()
    else:
        made = Cluster(tmp_path / "cluster", replicas=True, deployed=deployed).__enter__()
    yield made
    made.stop()


@pytest_twisted.async_yield_fixture
async def site(
    servers: Any, deployed: Deployed, database: str, tmp_path: Path
) -> AsyncIterator[Site]:
    made = await build_site(
        reactor,
        database,
        "redis://nowhere:1/0",
        tmp_path,
        demo_scenery(PACE, DURATIONS),
        settings_of(servers, deployed),
    )
    yield made
    await stop_site(made)


EACH = pytest.mark.parametrize("servers", ["single", "sentinel", "cluster"], indirect=True)


async def pause(seconds: float) -> None:
    await deferLater(reactor, seconds, lambda: None)


async def every_promise_is_kept(site: Site, seconds: float = 60.0) -> None:
    began = time.monotonic()
    assert await site.settled(whole=False, seconds=seconds) == [], site.daemon.log_tail()
    print(f"all delivered {time.monotonic() - began:.1f} s after the last call")


@EACH
async def test_calls_and_webhooks_with_the_user_of_nizam_over_tls(site: Site) -> None:
    await site.call_for(4.0)
    assert await site.settled() == [], site.daemon.log_tail()
    assert "NOPERM" not in site.daemon.log_tail(10_000_000)


@pytest.mark.parametrize("servers", ["sentinel"], indirect=True)
async def test_what_a_failover_has_lost_is_delivered_all_the_same(
    site: Site, servers: Watched
) -> None:
    """The replica is frozen and cut off before the master is killed: it lacks the last writes."""
    calling = Deferred.fromCoroutine(site.call_for(20.0))
    await pause(4.0)
    os.kill(servers.second.pid, signal.SIGSTOP)
    servers.first.ask("CLIENT", "KILL", "TYPE", "replica")
    await pause(0.7)
    servers.first.kill()
    killed = time.monotonic()
    os.kill(servers.second.pid, signal.SIGCONT)
    await deferToThread(
        wait_for, lambda: servers.second.information("replication")["role"] == "master", 30
    )
    print(f"promoted {time.monotonic() - killed:.1f} s after kill -9")
    await calling
    await every_promise_is_kept(site)


@pytest.mark.parametrize("servers", ["cluster"], indirect=True)
async def test_slots_move_and_a_master_is_killed_under_load(site: Site, servers: Cluster) -> None:
    calling = Deferred.fromCoroutine(site.call_for(30.0))
    masters = servers.masters
    await pause(2.0)

    def move() -> int:
        moved = 0
        for _ in range(2):
            for tag in [*PARTITIONS, "{limits}", "{fs1}"]:
                source = owner_of(masters, slot_of(tag))
                target = masters[(masters.index(source) + 1) % len(masters)]
                others = tuple(it for it in masters if it not in (source, target))
                Move(slot_of(tag), source, target, others).whole()
                moved += 1
        return moved

    print(f"{await deferToThread(move)} slots moved, key by key")
    killed = owner_of(masters, slot_of("{q0}"))
    replica = servers.replicas[masters.index(killed)]
    await pause(2.0)
    killed.kill()
    began = time.monotonic()
    await deferToThread(
        wait_for, lambda: replica.information("replication")["role"] == "master", 40
    )
    print(f"promoted {time.monotonic() - began:.1f} s after kill -9")
    await calling
    await every_promise_is_kept(site)


@contextmanager
def full(server: RedisProcess, folder: Path) -> Iterator[str]:
    """It has no memory left."""
    server.ask("CONFIG", "SET", "maxmemory", "1")
    yield "OOM"
    server.ask("CONFIG", "SET", "maxmemory", "1gb")


@contextmanager
def unable_to_save(server: RedisProcess, folder: Path) -> Iterator[str]:
    """It cannot write to its disk: nothing can be renamed to a folder's name."""
    dump = folder / "single" / "dump.rdb"
    dump.mkdir()
    server.ask("CONFIG", "SET", "save", "3600 1")
    server.ask("BGSAVE")
    yield "MISCONF"
    dump.rmdir()
    server.ask("SAVE")


@pytest.mark.parametrize("servers", ["single"], indirect=True)
@pytest.mark.parametrize("refusing", [full, unable_to_save])
async def test_a_redis_that_refuses_writes_delays_webhooks_and_loses_nothing(
    site: Site,
    servers: RedisProcess,
    tmp_path: Path,
    refusing: Callable[[RedisProcess, Path], AbstractContextManager[str]],
) -> None:
    calling = Deferred.fromCoroutine(site.call_for(12.0))
    await pause(3.0)
    with refusing(servers, tmp_path) as word:
        await pause(5.0)
        assert word in site.daemon.log_tail(10_000_000)
        status, _ = await site.daemon.request("GET", "/readyz")
        assert status == 200
    await calling
    await every_promise_is_kept(site)
