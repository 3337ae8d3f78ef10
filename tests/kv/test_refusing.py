"""A server that refuses for a while: it cannot save, or is still loading what it has saved."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from nizam.embedded.process import LOOPBACK
from nizam.errors import KeyValueUnavailable
from nizam.kv.single import SingleRedis
from nizam.ops.doctor import Area
from tests.kv.servers import PASSWORD, RedisProcess, wait_for
from tests.ops.doctor.findings import FAILURE, found_with, is_wrong

KEYS = 2000
LOADING_SECONDS = 0.8


def client(server: RedisProcess) -> SingleRedis:
    return SingleRedis(reactor, LOOPBACK, server.port, PASSWORD, deadline=1.0)


def settings(server: RedisProcess) -> dict[str, str]:
    return {
        "REDIS_HOST": LOOPBACK,
        "REDIS_PORT": str(server.port),
        "REDIS_PASSWORD": PASSWORD,
        "DB_PORT": "1",
    }


async def test_one_that_cannot_save_refuses_writes_and_keeps_what_it_has(tmp_path: Path) -> None:
    server = RedisProcess(tmp_path, {"requirepass": PASSWORD, "save": "3600 1"}).start()
    redis = client(server)
    try:
        await redis.start()
        await redis.rpush("queue", "a")
        # Nothing can be renamed to a folder's name.
        (tmp_path / "dump.rdb").mkdir()
        server.ask("BGSAVE")
        status = "rdb_last_bgsave_status"
        await deferToThread(wait_for, lambda: server.information("persistence")[status] == "err")
        with pytest.raises(KeyValueUnavailable, match="Redis refused RPUSH: MISCONF"):
            await redis.command("RPUSH", "queue", "b")
        with pytest.raises(KeyValueUnavailable, match="refused script webhook_push: MISCONF"):
            await redis.script("webhook_push", ["ring", "delayed", "dead", "epoch"], ["7", "", "0"])
        assert redis.available
        assert await redis.command("LRANGE", "queue", 0, -1) == [b"a"]
        found = await deferToThread(found_with, settings(server), Area.REDIS)
        is_wrong(found, "redis.persistence", FAILURE, "append-only file is off")
        # There is room again: the next save puts it right, with the same connection.
        (tmp_path / "dump.rdb").rmdir()
        server.ask("SAVE")
        assert await redis.command("RPUSH", "queue", "b") == 2
    finally:
        await redis.stop()
        server.stop()


async def test_one_that_is_loading_is_waited_for_with_all_that_it_has(tmp_path: Path) -> None:
    slowly = {
        "key-load-delay": str(round(LOADING_SECONDS / KEYS * 1e6)),
        "loading-process-events-interval-bytes": "1024",
    }
    server = RedisProcess(tmp_path, {"requirepass": PASSWORD, "save": '""', **slowly}).start()
    fill = "for i = 1, tonumber(ARGV[1]) do redis.call('set', 'k' .. i, string.rep('x', 100)) end"
    server.ask("EVAL", fill, "0", str(KEYS))
    server.ask("SAVE")
    server.stop()
    coming = deferToThread(server.start)
    redis = client(server)
    try:
        await deferToThread(wait_for, lambda: loads(server))
        found = await deferToThread(found_with, settings(server), Area.REDIS)
        is_wrong(found, "redis.reachable", FAILURE, "it is loading its data")
        # It says no more than that, which is not what ends a daemon.
        await redis.start()
        assert not redis.available
        await coming
        assert await redis.command("GET", f"k{KEYS}", deadline=10.0) == b"x" * 100
        assert await redis.command("DBSIZE") == KEYS
    finally:
        await redis.stop()
        server.stop()


def loads(server: RedisProcess) -> bool:
    """Whether it is there, and loading."""
    try:
        return server.information("persistence")["loading"] == "1"
    except OSError:
        return False
