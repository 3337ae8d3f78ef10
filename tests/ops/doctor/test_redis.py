"""Redis as the doctor sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from nizam.embedded.redis import PrivateRedis
from nizam.ops.doctor import Area
from nizam.ops.doctor.redis import judge_cluster, judge_state
from tests.ops.doctor.findings import (
    FAILURE,
    NOTE,
    WARNING,
    found_with,
    is_right,
    is_wrong,
)

REDIS = Area.REDIS


@contextmanager
def configured(server: PrivateRedis, **settings: str) -> Iterator[None]:
    """Other settings for a while."""
    usual = {
        "appendonly": "yes",
        "maxmemory_policy": "noeviction",
        "maxmemory": "0",
        "maxclients": "10000",
    }
    try:
        for name, value in settings.items():
            server.configure(name.replace("_", "-"), value)
        yield
    finally:
        for name in settings:
            server.configure(name.replace("_", "-"), usual[name])


def test_a_server_as_nizam_wants_it_is_well(
    environment: dict[str, str], redis_server: PrivateRedis
) -> None:
    with configured(redis_server, maxmemory="500mb"):
        found = found_with(environment, REDIS)
    # Those of the tests leave syncing to the kernel.
    is_wrong(found, "redis.persistence", WARNING, "appendfsync is no")
    is_right(
        found,
        *("redis.reachable", "redis.version", "redis.primary", "redis.memory-policy"),
        *("redis.memory", "redis.clients", "redis.exposure", "redis.replicas"),
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"REDIS_PORT": "1"}, "refused"),
        ({"REDIS_PASSWORD": "wrong"}, "AUTH: WRONGPASS"),
        ({"REDIS_PASSWORD": ""}, "INFO: NOAUTH"),
    ],
)
def test_a_server_that_lets_nobody_in_is_told_of(
    environment: dict[str, str], change: dict[str, str], text: str
) -> None:
    is_wrong(found_with(environment | change, REDIS), "redis.reachable", FAILURE, text)


def test_a_server_that_would_lose_what_it_holds_is_told_of(
    environment: dict[str, str], redis_server: PrivateRedis
) -> None:
    with configured(redis_server, appendonly="no", maxmemory_policy="allkeys-lru"):
        found = found_with(environment, REDIS)
    is_wrong(found, "redis.persistence", FAILURE, "append-only file is off")
    is_wrong(found, "redis.memory-policy", FAILURE, "allkeys-lru")
    is_wrong(found, "redis.memory", NOTE, "no limit")


def test_a_server_that_is_full_is_told_of(
    environment: dict[str, str], redis_server: PrivateRedis
) -> None:
    with configured(redis_server, maxmemory="1mb"):
        is_wrong(found_with(environment, REDIS), "redis.memory", FAILURE, "of 1 MiB")


def test_a_server_that_takes_no_changes_is_told_of(
    environment: dict[str, str], redis_server: PrivateRedis
) -> None:
    redis_server._command("REPLICAOF 127.0.0.1 1")
    try:
        found = found_with(environment, REDIS)
    finally:
        redis_server._command("REPLICAOF NO ONE")
    is_wrong(found, "redis.primary", FAILURE, "it is a replica")


def test_a_server_that_lets_everybody_in_is_told_of(
    environment: dict[str, str], redis_server: PrivateRedis
) -> None:
    redis_server._command("ACL SETUSER default nopass")
    try:
        found = found_with(environment, REDIS)
    finally:
        redis_server._command(f"ACL SETUSER default resetpass >{redis_server.password}")
    is_wrong(found, "redis.exposure", WARNING, "without a password")


def test_what_is_rare_is_judged_by_what_info_says() -> None:
    usual = {"redis_version": "7.2.4", "aof_enabled": "1", "maxclients": "100"}
    is_right(judge_state("r", usual, "everysec"), "redis.persistence", "redis.version")

    old = judge_state("r", usual | {"redis_version": "6.0.16"}, None)
    is_wrong(old, "redis.version", FAILURE, "6.0.16")
    full = judge_state("r", usual | {"connected_clients": "81"}, None)
    is_wrong(full, "redis.clients", WARNING, "81 of 100")
    failed = judge_state("r", usual | {"aof_last_write_status": "err"}, None)
    is_wrong(failed, "redis.persistence", FAILURE, "its disk may be full")
    evicting = judge_state("r", usual | {"evicted_keys": "7"}, None)
    is_wrong(evicting, "redis.memory-policy", FAILURE, "7 keys")
    cluster = {"cluster_state": "ok", "cluster_slots_ok": "16384", "cluster_size": "3"}
    is_right([judge_cluster("r", cluster)], "redis.agreement")
    broken = judge_cluster("r", cluster | {"cluster_slots_ok": "10922"})
    is_wrong([broken], "redis.agreement", FAILURE, "10922 of 16384")
    away = {"slave0": "ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0,lag=0"}
    is_wrong(judge_state("r", usual | away, None), "redis.replicas", WARNING, "wait_bgsave")
