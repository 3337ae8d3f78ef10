"""Every call is accounted for: its events, one summary, its legs and its webhooks, none twice."""

from __future__ import annotations

from collections import Counter

import pytest
from twisted.internet.task import deferLater

from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from tests.daemon.accounting import expected_result
from tests.daemon.process import frozen
from tests.daemon.site import Site

pytestmark = pytest.mark.time_limit(60)


async def test_all_is_well(site: Site) -> None:
    await site.call_for(8.0)
    await _assert_account_is_right(site)
    # Calls of every kind came in: a run of nothing but simple ones would prove little.
    results = Counter(map(expected_result, site.switch.truth.calls))
    assert results.keys() >= {"answered", "voicemail", "cancelled"}
    assert not site.daemon.logged("error", "critical")


async def test_postgresql_hangs_for_three_seconds(site: Site, postgres: PrivatePostgres) -> None:
    await site.call_for(2.0)
    with frozen(postgres.pid):
        await site.call_for(3.0)
    await site.call_for(2.0)
    await _assert_account_is_right(site)


async def test_redis_loses_everything(site: Site, redis_server: PrivateRedis) -> None:
    site.switch.calls.start(20.0)
    for _ in range(3):
        await deferLater(site.reactor, 1.0)
        redis_server.flush()
    await site.call_for(1.0)
    await _assert_account_is_right(site)


async def test_redis_hangs_for_two_seconds(site: Site, redis_server: PrivateRedis) -> None:
    await site.call_for(1.0)
    with frozen(redis_server.pid):
        await site.call_for(2.0)
    await site.call_for(1.0)
    await _assert_account_is_right(site)


async def _assert_account_is_right(site: Site) -> None:
    wrong = await site.settled()
    assert not wrong, "\n".join([*wrong[:20], *site.daemon.logged("error", "warning")[-10:]])
    truth = site.switch.truth
    assert len(truth.calls) == truth.placed > 50
    assert not truth.problems
