"""Two instances and the clients of their streams, of which one instance is stopped, the other
killed: each client sees every event once, in order.

    python -m pytest tests/daemon/test_streams.py --stream-clients 500

does so with 500 clients of each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from twisted.internet.task import deferLater

from nizam.embedded.process import free_port
from nizam.model.events import envelope
from nizam.store.pool import Pool
from nizam.store.system.event_log import read_log
from tests.daemon.process import until
from tests.daemon.site import Site
from tests.realtime.crowd import Crowd, problems

CALLS_PER_SECOND = 10.0
MESSAGES_PER_SECOND = 4000.0
"""The clients are in this process, which has to read it all: of many, each is sent less."""
EVENTS_OF_CALL = 9


async def happened(site: Site) -> list[dict[str, Any]]:
    """Every event of the tenant's calls, in the order of the log."""
    pool = Pool(site.reactor, site.database, 1, "test")
    await pool.start()
    try:
        found, position, more = [], 0, True
        while more:
            page = await read_log(pool, position)
            position, more = page.position, page.more
            found += [it.event for it in page.events]
    finally:
        await pool.stop()
    tenant_id = UUID(site.tenant_id)
    return [
        envelope(it) for it in found if it.tenant_id == tenant_id and it.type.startswith("call.")
    ]


@pytest.mark.time_limit(240)
async def test_every_client_sees_every_event_once_while_instances_come_and_go(
    site: Site, tmp_path: Path, stream_clients: int
) -> None:
    second = site.daemon.another(free_port(), tmp_path / "second.log")
    second.start()
    await second.ready()
    made = await site.api.request(
        "POST",
        "/api/v1/api-keys",
        {
            "name": "crowd",
            "scopes": ["call_events:read"],
            "tenant_id": site.tenant_id,
            "rate_limit_per_minute": 60_000,
        },
    )
    crowd = Crowd(site.reactor, (site.daemon.base, second.base), made["key"])
    try:
        crowd.come(stream_clients, 0)
        crowd.come(stream_clients, 1)
        everybody = 2 * stream_clients
        seconds = 20 + everybody / 20
        assert await until(site.reactor, lambda: crowd.listening == everybody, seconds)
        before = len(await happened(site))

        rate = min(CALLS_PER_SECOND, MESSAGES_PER_SECOND / EVENTS_OF_CALL / everybody)
        site.switch.calls.start(rate)
        await deferLater(site.reactor, 1.0)
        there = [it for it in crowd.members if it.home % 2]
        await second.terminate()
        # Whoever was not let in at once tries the other instance.
        assert there
        for it in there:
            assert 1012 in [code for code, _ in it.ends]
        assert await until(site.reactor, lambda: crowd.listening == everybody, seconds)
        second.start()
        await second.ready()
        await deferLater(site.reactor, 1.0)
        site.daemon.kill()
        assert await until(site.reactor, lambda: crowd.listening == everybody, seconds)
        site.daemon.start()
        await site.daemon.ready()
        site.switch.stop_calls()
        await site.switch.drain()
        await site.settled(whole=False)

        expected = (await happened(site))[before:]
        assert len(expected) > 50
        assert await until(
            site.reactor,
            lambda: all(len(it.seen) >= len(expected) for it in crowd.members),
            seconds,
        ), [len(it.seen) for it in crowd.members][:10]
        wrong = [found for it in crowd.members for found in problems(it, expected)]
        assert not wrong, wrong[:5]
    finally:
        crowd.leave()
        second.kill()
