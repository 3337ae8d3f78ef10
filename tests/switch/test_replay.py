"""A recorded run, replayed through a real event-socket link into a real database."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

import orjson
import pytest
from twisted.internet.task import Cooperator

from nizam.sim.replay import ReplayFactory
from tests import recordings
from tests.events.replaying import feed, normaliser, recorded
from tests.switch.plant import build_plant, start, stop

STREAM = "calls/esl/events-json-all"
ANSWERS = {
    "show channels as json": '{"row_count":0}',
    "show registrations as json": '{"row_count":0}',
    "sofia status": "",
}


@pytest.mark.time_limit(60)
async def test_a_recorded_run_gives_the_expected_rows(database: str, redis_url: str) -> None:
    from twisted.internet import reactor

    replay = ReplayFactory(recordings.stream(STREAM), "ClueCon", Cooperator(), ANSWERS)
    port: Any = reactor.listenTCP(0, replay, interface="127.0.0.1")
    plant = await build_plant(reactor, database, redis_url, lambda: port.getHost().port)
    start(plant)
    expected = feed(normaliser(), recorded(STREAM))
    bodies = {
        request["path"].partition("uuid=")[2]: request["body"].encode()
        for request in recordings.http_requests("calls")
        if request["path"].startswith("/freeswitch/cdr/json")
    }
    # The CDR of every other leg comes before its events, the others after them.
    for uuid in list(bodies)[::2]:
        await plant.intake.cdrs.accept("fs1", uuid, bodies[uuid])
    ended = len(expected.ended())

    async def stored() -> bool:
        sql = "select count(*) from call_events where type = 'call.ended'"
        return await plant.count(sql) == ended

    await plant.until(stored, 30.0)
    for uuid in list(bodies)[1::2]:
        await plant.intake.cdrs.accept("fs1", uuid, orjson.loads(bodies[uuid]))
    # A call to an unknown DID has no tenant: its events are stored once their wait is over.
    await stop(plant)
    plant = await build_plant(reactor, database, redis_url, lambda: port.getHost().port)
    rows = await plant.pool.query(
        "select type, call_id, tenant_id from call_events"
        # The phones of then have expired long ago, by our own clock (sequence 0).
        " where type not like %s and sequence <> 0",
        ("node.%",),
    )
    assert Counter(rows) == Counter(
        (event.type, event.call_id, event.tenant_id) for event in expected.events
    )
    legs: list[tuple[UUID, bool]] = await plant.pool.query(
        "select leg_id, from_events and from_cdr from cdr_legs"
    )
    assert dict(legs) == {leg.leg_id: True for leg in expected.legs}
    summaries = await plant.pool.query("select call_id, result, direction, duration_ms from cdrs")
    assert sorted(summaries) == sorted(
        (call_id, event.data["result"], event.data["direction"], event.data["duration_ms"])
        for call_id, event in expected.ended().items()
    )
    await plant.pool.stop()
    await plant.key_value.stop()
    await port.stopListening()
