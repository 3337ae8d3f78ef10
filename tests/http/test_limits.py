"""The rate limit, with Redis and without."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from nizam.errors import KeyValueUnavailable, RateLimited
from nizam.http.limits import Limiter, LocalMeter
from tests.http.conftest import Server


async def test_the_limit_of_a_key_is_shown_and_kept(server: Server) -> None:
    key = await server.make_key("*", rate_limit_per_minute=3)
    for left in (2, 1, 0):
        answer = await server.request("GET", "/api/v1/me", key=key)
        assert answer.status == 200
        assert answer.headers["x-ratelimit-limit"] == "3"
        assert answer.headers["x-ratelimit-remaining"] == str(left)
        assert answer.headers["ratelimit-policy"] == '"default";q=3;w=60'
    over = await server.request("GET", "/api/v1/me", key=key)
    assert (over.status, over.json["code"]) == (429, "rate_limited")
    assert 1 <= int(over.headers["retry-after"]) <= 20


async def test_anonymous_requests_are_limited_by_address(server: Server) -> None:
    answers = [await server.request("GET", "/docs", key=None) for _ in range(61)]
    assert [it.status for it in answers] == [200] * 60 + [429]


def test_a_local_meter_refills_evenly() -> None:
    clock = Clock()
    meter = LocalMeter(clock.seconds)
    assert [meter.take("k", 60)[0] for _ in range(61)] == [True] * 60 + [False]
    clock.advance(1.01)
    assert [meter.take("k", 60)[0] for _ in range(2)] == [True, False]
    clock.advance(120)
    assert [meter.take("k", 60)[0] for _ in range(61)] == [True] * 60 + [False]


async def test_without_redis_each_instance_counts_for_itself() -> None:
    clock, asked = Clock(), []

    class Away:
        async def script(self, *args: object) -> object:
            asked.append(args)
            raise KeyValueUnavailable

    limiter = Limiter(Away(), clock.seconds)  # type: ignore[arg-type]
    for _ in range(2):
        await limiter.take("k", 2)
    with pytest.raises(RateLimited):
        await limiter.take("k", 2)
    assert len(asked) == 1
