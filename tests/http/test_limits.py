"""The rate limits of keys, addresses and tenants, with Redis and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock

from nizam.embedded.redis import PrivateRedis
from nizam.errors import KeyValueUnavailable, RateLimited
from nizam.http.limits import Limiter, LocalMeter, Meter, Usage, Usages
from tests.http.conftest import Server, serving
from tests.http.people import log_in, make_user, token_of


async def test_the_limit_of_a_key_is_shown_and_kept(server: Server) -> None:
    key = await server.make_key("*", rate_limit_per_minute=3)
    for left in (2, 1, 0):
        answer = await server.request("GET", "/api/v1/me", key=key)
        assert answer.status == 200
        assert answer.headers["x-ratelimit-limit"] == "3"
        assert answer.headers["x-ratelimit-remaining"] == str(left)
        assert answer.headers["ratelimit-policy"] == '"default";q=3;w=60'
        assert answer.headers["ratelimit"].startswith(f'"default";r={left};t=')
    over = await server.request("GET", "/api/v1/me", key=key)
    assert (over.status, over.json["code"]) == (429, "rate_limited")
    assert 1 <= int(over.headers["retry-after"]) <= 20
    assert over.headers["x-ratelimit-remaining"] == "0"


async def test_a_wrong_key_counts_against_its_address(server: Server) -> None:
    refused = await server.request("GET", "/api/v1/me", key="nonsense")
    assert (refused.status, refused.headers["x-ratelimit-remaining"]) == (401, "59")


async def test_anonymous_requests_are_limited_by_address(server: Server) -> None:
    answered = 0
    while (answer := await server.request("GET", "/docs", key=None)).status == 200:
        answered += 1
        assert answered < 120
    # While it is asked, the limit of a request a second fills up again.
    assert (answer.status, answered >= 60) == (429, True)


async def test_the_keys_of_a_tenant_share_its_limit(server: Server) -> None:
    settings = attrs.evolve(server.api.settings, api_tenant_rate_limit=3)
    object.__setattr__(server.api, "settings", settings)
    tenant = await server.make_tenant()
    keys = [await server.make_key("*", tenant=tenant) for _ in range(2)]
    answers = [await server.request("GET", "/api/v1/me", key=keys[it % 2]) for it in range(4)]
    assert [it.status for it in answers] == [200, 200, 200, 429]
    assert answers[0].headers["x-ratelimit-limit"] == "3"
    assert answers[0].headers["ratelimit-policy"].endswith('"tenant";q=3;w=60')
    assert answers[0].headers["ratelimit"].startswith('"tenant";r=2;')
    assert "of the tenant" in answers[3].json["detail"]
    other = await server.make_key("*", tenant=await server.make_tenant("other"))
    assert (await server.request("GET", "/api/v1/me", key=other)).status == 200


_TABLE = [
    # meters of each request -> whether it is allowed
    ("three of three", [[("k", 3, 1)]] * 4, [True, True, True, False]),
    (
        "a request that costs more",
        [[("k", 5, 3)], [("k", 5, 3)], [("k", 5, 2)]],
        [True, False, True],
    ),
    ("dearer than a minute", [[("k", 5, 9)], [("k", 5, 1)]], [True, False]),
    (
        "refused by one, counted by none",
        [[("a", 1, 1), ("b", 2, 1)], [("a", 1, 1), ("b", 2, 1)], [("b", 2, 1)], [("b", 2, 1)]],
        [True, False, True, False],
    ),
]


@pytest.mark.parametrize("where", ["redis", "here"])
@pytest.mark.parametrize(
    ("requests", "expected"), [it[1:] for it in _TABLE], ids=[it[0] for it in _TABLE]
)
async def test_meters_count_alike_in_redis_and_here(
    server: Server, where: str, requests: list[list[tuple[str, int, int]]], expected: list[bool]
) -> None:
    clock = Clock()
    away: Any = _Away()
    limiter = Limiter(server.key_value if where == "redis" else away, clock.seconds)
    found = []
    for meters in requests:
        try:
            await limiter.take("owner", *(Meter(*it) for it in meters))
            found.append(True)
        except RateLimited:
            found.append(False)
    assert found == expected


def test_the_limit_that_is_met_first_is_shown() -> None:
    roomy, tight = Usage(60, 59, 1), Usage(6000, 3, 59, 0, "tenant")
    assert Usages((roomy, tight)).binding is tight
    refusing = Usage(60, 4, 59, 2)
    assert Usages((refusing, tight)).binding is refusing


def test_a_local_meter_refills_evenly() -> None:
    clock = Clock()
    meters = LocalMeter(clock.seconds)

    def allowed(count: int) -> list[bool]:
        return [not meters.take(Meter("k", 60)).binding.retry_seconds for _ in range(count)]

    assert allowed(61) == [True] * 60 + [False]
    clock.advance(1.01)
    assert allowed(2) == [True, False]
    clock.advance(120)
    assert allowed(61) == [True] * 60 + [False]


async def test_when_redis_dies_the_api_stays_and_nobody_logs_in(
    database: str, server_folder: Path
) -> None:
    redis = PrivateRedis(server_folder / "redis-that-goes", durable=False)
    redis.start()
    try:
        async with serving(database, redis.url()) as server:
            await make_user(server, "ada@example.com", (None, "platform_admin"))
            token = await token_of(server, "ada@example.com")
            key = await server.make_key("*", rate_limit_per_minute=3)
            redis.stop()
            # The API stays, on limits of this instance alone.
            answers = [await server.request("GET", "/api/v1/me", key=key) for _ in range(4)]
            assert [it.status for it in answers] == [200, 200, 200, 429]
            assert [it.headers["x-ratelimit-remaining"] for it in answers] == ["2", "1", "0", "0"]
            # Nobody logs in uncounted, and no session that could have ended is believed.
            refused = await log_in(server, "ada@example.com", counted=True)
            assert (refused.status, refused.json["code"]) == (503, "redis_unavailable")
            assert (await server.request("GET", "/api/v1/me", key=token)).status == 503
    finally:
        redis.stop()


class _Away:
    """A Redis that never answers."""

    def __init__(self) -> None:
        self.asked = 0

    async def script(self, *args: object) -> object:
        self.asked += 1
        raise KeyValueUnavailable


async def test_without_redis_each_instance_counts_for_itself() -> None:
    clock, away = Clock(), _Away()
    limiter = Limiter(away, clock.seconds)  # type: ignore[arg-type]
    for _ in range(2):
        await limiter.take("o", Meter("k", 2))
    with pytest.raises(RateLimited):
        await limiter.take("o", Meter("k", 2))
    assert away.asked == 1


async def test_what_must_be_counted_is_refused_without_redis() -> None:
    away = _Away()
    limiter = Limiter(away, Clock().seconds)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(KeyValueUnavailable):
            await limiter.take_strictly("login", Meter("ip:192.0.2.1", 5), Meter("user:a", 5))
    assert away.asked == 2
