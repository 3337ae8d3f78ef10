"""The daemon ends, by kill -9 or on request, and begins again while calls go on."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from lxml import etree
from twisted.internet.task import deferLater

from nizam.embedded.postgres import PrivatePostgres
from tests.chaos.checkers.calls import call_problems
from tests.chaos.stored import read
from tests.daemon.process import frozen, until
from tests.daemon.site import XML_PASSWORD, XML_USERNAME, Site, connected

pytestmark = pytest.mark.time_limit(75)

RECOVERY_SECONDS = 5.0
"""Within so long after recovery every call has a right summary and legs."""
DELIVERY_SECONDS = 30.0
"""What a dead worker held goes on when it has been silent for 15 s; others look every 5 s."""


async def test_kill_9_loses_no_promised_delivery_and_no_record_of_a_call(
    site: Site, tmp_path: Path
) -> None:
    site.switch.calls.start(20.0)
    for _ in range(3):
        await deferLater(site.reactor, 1.5)
        site.daemon.kill()
        site.daemon.start()
        await site.daemon.ready()
    site.switch.stop_calls()
    await connected(site)
    await site.switch.drain()
    await site.post_spooled_cdrs(tmp_path / "refused")
    assert await until(site.reactor, lambda: not site.call_problems(), RECOVERY_SECONDS), (
        site.call_problems()
    )
    wrong = await site.settled(whole=False, seconds=DELIVERY_SECONDS)
    assert not wrong, "\n".join([*wrong[:20], *site.daemon.logged("error", "warning")[-10:]])
    assert len(site.switch.truth.calls) > 60
    assert not await site.unmarked()


async def test_a_graceful_stop_loses_nothing_and_a_start_needs_no_postgresql(
    site: Site, postgres: PrivatePostgres, tmp_path: Path
) -> None:
    site.switch.calls.start(20.0)
    await deferLater(site.reactor, 3.0)
    before = site.reactor.seconds()
    # Twisted ends itself by the signal once everything has stopped.
    assert await site.daemon.terminate(seconds=30.0) == -signal.SIGTERM
    heard = [it for it in site.switch.truth.calls if it.ended / 1e6 < before - 0.5]
    assert len(heard) > 10
    ids = {call.call_id for call in heard}
    wrong = call_problems(heard, read(site.database).only(ids))
    assert not wrong, "\n".join(wrong[:20])

    with frozen(postgres.pid):
        site.daemon.start()
        await site.daemon.ready()
        assert await _user_is_found(site)

        async def told() -> bool:
            document = json.loads((await site.daemon.get("/api/health"))[1])
            return str(document["checks"]["database"]["status"]) == "degraded"

        assert await until(site.reactor, told, 5.0)
        assert (await site.daemon.get("/readyz"))[0] == 200
        await connected(site)
    site.switch.stop_calls()
    await site.switch.drain()
    await site.post_spooled_cdrs(tmp_path / "refused")
    wrong = await site.settled(whole=False, seconds=15.0)
    assert not wrong, "\n".join([*wrong[:20], *site.daemon.logged("error", "warning")[-10:]])
    assert not await site.unmarked()
    # What had been sent before the stop was written down: nobody was told again.
    assert set(site.receiver.counts.values()) == {1}
    assert not site.daemon.logged("error", "critical")


async def _user_is_found(site: Site) -> bool:
    status, body = await site.daemon.request(
        "POST",
        "/freeswitch/xml",
        data={
            "section": "directory",
            "action": "sip_auth",
            "user": "1001",
            "domain": "acme.example.test",
            "sip_auth_username": "1001",
            "sip_auth_realm": "acme.example.test",
        },
        auth=(XML_USERNAME, XML_PASSWORD),
    )
    user = etree.fromstring(body).find(".//user")
    return status == 200 and user is not None and user.get("id") == "1001"
