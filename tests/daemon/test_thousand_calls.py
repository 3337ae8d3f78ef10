"""What the deployment guide promises of one switch: a thousand calls at once, on modest hardware.

    script/rehearse tests/daemon/test_thousand_calls.py

One daemon with every role, PostgreSQL, Redis, the switch and its phones share the machine.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from nizam.sim.settings import Durations
from tests.daemon.process import until
from tests.daemon.site import Site, build_site, demo_scenery, stop_site

pytestmark = [pytest.mark.rehearsal, pytest.mark.time_limit(240)]

CALLS = 1000
CALLS_PER_SECOND = 30.0
MOST_MIB = 512
"""What the guide gives a container."""

LONG = Durations(ring=(0.2, 0.5), talk=(60.0, 70.0), message=(60.0, 70.0), give_up=(0.5, 1.0))


@pytest_twisted.async_yield_fixture
async def site(database: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    made = await build_site(reactor, database, redis_url, tmp_path, demo_scenery(1.0, LONG))
    yield made
    await stop_site(made)


async def shown(site: Site) -> int:
    """How many calls go on, as the metrics have it."""
    _, body = await site.daemon.get("/metrics")
    found = re.findall(r"^nizam_active_calls\{[^}]*\} (\S+)$", body.decode(), re.MULTILINE)
    return round(sum(map(float, found)))


def memory(site: Site) -> int:
    """MiB that the daemon has in memory."""
    status = Path(f"/proc/{site.daemon.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


async def test_a_thousand_calls_at_once_are_routed_shown_and_recorded(site: Site) -> None:
    site.switch.calls.start(CALLS_PER_SECOND)
    assert await until(reactor, lambda: site.switch.calls.running >= CALLS, 90.0)
    site.switch.stop_calls()
    there = site.switch.calls.running
    seen = await shown(site)
    used = memory(site)
    print(f"{there} calls at once, {seen} of them shown, {used} MiB")
    # The last ones may be on their way.
    assert seen >= CALLS * 0.98
    assert used < MOST_MIB
    assert await site.settled(seconds=60.0) == [], site.daemon.log_tail()
