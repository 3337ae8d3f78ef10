"""The key-value stores that the contract is checked on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import unquote, urlsplit

import pytest_twisted
from twisted.internet import reactor

from nizam.kv.single import SingleRedis


def single(url: str, deadline: float = 2.0) -> SingleRedis:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return SingleRedis(
        reactor, parts.hostname, parts.port, unquote(parts.password or ""), deadline=deadline
    )


@pytest_twisted.async_yield_fixture
async def key_value(redis_url: str) -> AsyncIterator[SingleRedis]:
    made = single(redis_url)
    await made.start()
    yield made
    await made.stop()
