"""Every call is accounted for: its events, one summary, its legs and its webhooks, none twice.

What happens when servers and links fail is in tests/chaos.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from nizam.embedded.process import free_port
from tests.chaos.checkers.calls import expected_result
from tests.daemon.process import frozen, until
from tests.daemon.site import Site

pytestmark = pytest.mark.time_limit(60)


async def test_all_is_well(site: Site) -> None:
    await site.call_for(5.0)
    await _assert_account_is_right(site)
    # Calls of every kind came in: a run of nothing but simple ones would prove little.
    results = Counter(map(expected_result, site.switch.truth.calls))
    assert results.keys() >= {"answered", "voicemail", "cancelled"}
    assert not site.daemon.logged("error", "critical")


async def test_two_instances_listen_to_one_switch(site: Site, tmp_path: Path) -> None:
    second = site.daemon.another(free_port(), tmp_path / "second.log")
    second.start()
    try:
        await second.ready()
        assert await until(site.reactor, lambda: len(site.switch.connections) >= 4, 10.0)
        await site.call_for(4.0)
        await _assert_account_is_right(site)
    finally:
        second.kill()
    assert not second.logged("error", "critical")


async def test_events_come_twice_or_out_of_order_and_either_side_stalls(site: Site) -> None:
    for _ in range(6):
        site.switch.faults.duplicate, site.switch.faults.reorder = 5, 3
        await site.call_for(0.25)
    site.switch.stall()
    await site.call_for(1.5)
    site.switch.stall(False)
    with frozen(site.daemon.pid):
        await site.call_for(1.5)
    await site.call_for(0.5)
    await _assert_account_is_right(site)


async def test_events_are_lost_without_a_word(site: Site) -> None:
    site.switch.faults.lose_every = 8
    await site.call_for(1.5)
    site.switch.faults.lose_every = 0
    await _assert_records_are_right(site)
    assert site.switch.faults.lost > 20


async def _assert_account_is_right(site: Site) -> None:
    wrong = await site.settled()
    assert not wrong, "\n".join([*wrong[:20], *site.daemon.logged("error", "warning")[-10:]])
    truth = site.switch.truth
    assert len(truth.calls) == truth.placed > 60
    assert not truth.problems


async def _assert_records_are_right(site: Site) -> None:
    """Summaries and legs soon, and whatever was promised was told; events may be missing."""
    await site.switch.drain()
    assert await until(site.reactor, lambda: not site.call_problems(), 5.0), site.call_problems()
    wrong = await site.settled(whole=False)
    assert not wrong, "\n".join(wrong[:20])
