"""kill -9 of the daemon during calls, and its end on request."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from twisted.internet.task import deferLater

from tests.daemon.accounting import delivery_problems, problems, read
from tests.daemon.process import until
from tests.daemon.site import Site, connected

pytestmark = pytest.mark.time_limit(60)

RECOVERY_SECONDS = 5.0
"""Within so long after recovery every call has a right summary and legs."""
DELIVERY_SECONDS = 30.0
"""What a dead worker held goes on when it has been silent for so long."""


async def test_no_promised_delivery_is_lost_and_every_call_has_its_record(
    site: Site, tmp_path: Path
) -> None:
    site.switch.calls.start(20.0)
    for _ in range(3):
        await deferLater(site.reactor, 2.0)
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
    gaps = [it for it in read(site.database).node_events if it["type"] == "node.gap"]
    assert len(gaps) == 3


async def test_a_graceful_stop_under_load_loses_nothing_that_was_heard(site: Site) -> None:
    site.switch.calls.start(20.0)
    await deferLater(site.reactor, 4.0)
    before = site.reactor.seconds()
    # Twisted ends itself by the signal after everything was stopped.
    assert await site.daemon.terminate(seconds=30.0) == -signal.SIGTERM
    assert not site.daemon.logged("error", "critical")
    site.switch.stop_calls()
    stored = read(site.database)
    over = [it for it in site.switch.truth.calls if it.ended / 1e6 < before - 0.5]
    assert len(over) > 10
    for call in over:
        kinds = [event["type"] for event in stored.events.get(call.call_id, [])]
        assert kinds.count("call.ended") == 1, (call, kinds)
    site.daemon.start()
    await site.daemon.ready()
    await connected(site)
    wrong = await site.settled(whole=False, seconds=RECOVERY_SECONDS)
    assert not wrong, "\n".join(wrong[:20])
    # Nobody was told twice: what had been sent was written down before the end.
    assert not delivery_problems(read(site.database), site.receiver)
    assert not [it for it in problems(over, read(site.database), site.receiver) if "events" in it]
