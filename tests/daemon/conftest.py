"""A site for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_twisted

from nizam.sim.settings import Durations
from tests.daemon.process import end_all
from tests.daemon.site import Site, build_site, demo_scenery, stop_site

DURATIONS = Durations(ring=(0.5, 2.0), talk=(4.0, 12.0), message=(2.0, 4.0), give_up=(0.5, 2.0))
PACE = 0.1


@pytest.fixture(autouse=True)
def no_daemon_outlives_its_test() -> Iterator[None]:
    yield
    end_all()


@pytest_twisted.async_yield_fixture
async def site(database: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    """A daemon that serves the demo tenant, and a switch with its phones registered."""
    from twisted.internet import reactor

    site = await build_site(reactor, database, redis_url, tmp_path, demo_scenery(PACE, DURATIONS))
    yield site
    await stop_site(site)
