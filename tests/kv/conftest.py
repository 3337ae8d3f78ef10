"""The key-value stores that the contract is checked on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import pytest_twisted
from twisted.internet import reactor

from nizam.kv.cluster import ClusterRedis
from nizam.kv.sentinel import SentinelRedis
from nizam.kv.single import SingleRedis
from nizam.kv.speaker import Speaker
from tests.kv.servers import PASSWORD, SENTINEL_PASSWORD, SERVICE, Cluster, Watched

KINDS = ("single", "sentinel", "cluster")


def single(url: str, deadline: float = 2.0) -> SingleRedis:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return SingleRedis(
        reactor, parts.hostname, parts.port, unquote(parts.password or ""), deadline=deadline
    )


def sentinel(servers: Watched, deadline: float = 2.0) -> SentinelRedis:
    return SentinelRedis(
        Speaker(reactor, password=PASSWORD),
        Speaker(reactor, password=SENTINEL_PASSWORD),
        servers.addresses,
        SERVICE,
        deadline=deadline,
    )


def cluster(servers: Cluster, deadline: float = 2.0) -> ClusterRedis:
    return ClusterRedis(
        Speaker(reactor, password=PASSWORD), servers.addresses[:1], deadline=deadline
    )


@pytest.fixture(scope="session")
def watched(server_folder: Path) -> Iterator[Watched]:
    """A master, a replica and Sentinels for the whole run."""
    with Watched(server_folder / "watched") as servers:
        yield servers


@pytest.fixture(scope="session")
def redis_cluster(server_folder: Path) -> Iterator[Cluster]:
    """Three masters for the whole run."""
    with Cluster(server_folder / "cluster") as servers:
        yield servers


@pytest_twisted.async_yield_fixture
async def key_value(redis_url: str) -> AsyncIterator[SingleRedis]:
    made = single(redis_url)
    await made.start()
    yield made
    await made.stop()


@pytest_twisted.async_yield_fixture(params=KINDS)
async def any_kind(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """A key-value store of each kind, without any keys."""
    made: Any
    if request.param == "single":
        made = single(request.getfixturevalue("redis_url"))
    elif request.param == "sentinel":
        made = sentinel(request.getfixturevalue("watched"))
    else:
        made = cluster(request.getfixturevalue("redis_cluster"))
    await made.start()
    await made.command("FLUSHALL")
    yield made
    await made.stop()
