"""From a simulated switch to rows: nothing is lost, nothing is there twice."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from typing import Any

import pytest
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater

from nizam.embedded.postgres import PrivatePostgres
from nizam.errors import MalformedJson, NizamError, ValidationFailed
from nizam.store.system.event_log import read_log
from nizam.switch.channel_index import ChannelIndex
from nizam.switch.live import LiveState
from tests.event_types import check_event
from tests.events.replaying import ACME, recorded
from tests.recordings import http_requests
from tests.switch.conftest import Site
from tests.switch.plant import SCENERY

SUMMARIES = (
    "select call_id::text, result, from_number, to_number, hangup_cause, answered_at is not null,"
    " (extract(epoch from started_at) * 1000000)::bigint, source from cdrs"
)


async def settled(site: Site) -> None:
    """All calls have ended, and all that follows from them is stored."""
    site.switch.stop_calls()
    await site.switch.drain()
    calls = len(site.switch.truth.calls)
    legs = sum(len(call.legs) for call in site.switch.truth.calls)

    async def stored() -> bool:
        return (
            await site.plant.count("select count(*) from cdrs where ended_at is not null") >= calls
            and await site.plant.count("select count(*) from cdr_legs") >= legs
            and await site.plant.count("select count(*) from call_events where type='call.ended'")
            >= calls
        )

    await site.plant.until(stored)


async def expect_the_truth(site: Site, *, sources: set[str]) -> None:
    """Every call has its events, one summary and its legs, and none twice."""
    truth = site.switch.truth.by_id()
    rows = await site.plant.pool.query(SUMMARIES)
    assert sorted(row[0] for row in rows) == sorted(truth)
    for call_id, result, caller, dialled, cause, answered, started, source in rows:
        call = truth[call_id]
        assert (started, cause, answered, caller) == (
            call.created,
            call.cause,
            bool(call.answered),
            call.caller,
        ), call
        assert dialled == call.dialled
        assert source in sources
        assert (result in ("answered", "voicemail")) == bool(call.answered), call
    legs = await site.plant.pool.query("select leg_id::text, call_id::text from cdr_legs")
    assert sorted(legs) == sorted(
        (leg.uuid, call.call_id) for call in truth.values() for leg in call.legs
    )
    for kind, expected in (
        ("call.started", truth.keys()),
        ("call.ended", truth.keys()),
        ("call.answered", {it for it, call in truth.items() if call.answered}),
    ):
        found = await site.plant.pool.query(
            "select call_id::text from call_events where type = %s", (kind,)
        )
        assert sorted(row[0] for row in found) == sorted(expected), kind


async def place(site: Site, count: int) -> None:
    """Place so many calls of the usual mix and wait for their end."""
    await gatherResults([site.switch.place_call() for _ in range(count)])


@pytest.mark.time_limit(60)
async def test_every_call_has_its_events_one_summary_and_its_legs(site: Site) -> None:
    await place(site, 40)
    await settled(site)
    await expect_the_truth(site, sources={"both"})
    assert site.plant.live.calls() == []
    rows = await site.plant.pool.query("select distinct tenant_id from cdrs")
    assert len(rows) == 1
    told = {check_event(it.event) for it in (await read_log(site.plant.pool, 0, most=5000)).events}
    assert told >= {"call.started", "call.answered", "call.ended", "node.up"}


async def test_cdrs_make_no_difference_when_they_never_come(site: Site) -> None:
    site.cdrs.refuse = True
    await gatherResults([site.switch.place_call("answered") for _ in range(5)])
    await settled(site)
    await expect_the_truth(site, sources={"events"})


async def test_an_intake_whose_clock_has_stopped_is_not_well(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = site.plant.intake
    assert intake.well

    def broken(now: float) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(intake.nodes, "tick", broken)
    await site.plant.until(lambda: not intake.well)


async def test_live_calls_show_while_they_last(site: Site) -> None:
    over = site.switch.place_call("answered")
    await site.plant.until(lambda: [it for it in site.plant.live.calls() if it["answered_at"]])
    [call] = site.plant.live.calls()
    assert (call["state"], call["direction"], call["node"]) == ("answered", "internal", "fs1")
    assert len(call["legs"]) == 2
    await over
    await settled(site)
    assert site.plant.live.calls() == []


@pytest.mark.time_limit(60)
async def test_with_postgresql_frozen_nothing_is_lost_and_nothing_is_there_twice(
    site: Site, postgres: PrivatePostgres
) -> None:
    await place(site, 5)
    processes = backends(postgres)
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        running = [site.switch.place_call() for _ in range(20)]
        await site.plant.until(lambda: site.plant.intake.writer.spilling)
        await deferLater(site.plant.reactor, 1.0)
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)
    await gatherResults(running)
    await settled(site)
    await expect_the_truth(site, sources={"both", "events", "cdr"})
    await site.plant.until(lambda: not site.plant.intake.writer.spilling)


def backends(postgres: PrivatePostgres) -> list[int]:
    """Every process of the server."""
    main = postgres.pid or 0
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(main)], capture_output=True, text=True, check=True
    )
    return [main, *map(int, listed.stdout.split())]


async def test_calls_that_end_while_the_link_is_cut_are_right_after_it_is_back(site: Site) -> None:
    running = [site.switch.place_call("answered") for _ in range(6)]
    await site.plant.until(
        lambda: len([it for it in site.plant.live.calls() if it["answered_at"]]) == 6
    )
    site.switch.refuse_connections()
    site.switch.cut()
    await gatherResults(running)
    site.switch.refuse_connections(False)
    node: Any = site.plant.nodes.nodes["fs1"]
    await node.stopService()
    node.startService()
    await settled(site)
    await expect_the_truth(site, sources={"cdr", "both", "reconciled"})
    assert site.plant.live.calls() == []
    events = [it.event for it in (await read_log(site.plant.pool, 0, most=5000)).events]
    told = Counter(check_event(it) for it in events if it.type.startswith("node."))
    assert told.keys() == {"node.up", "node.down", "node.gap"}
    assert told["node.gap"] == 1


async def test_calls_that_began_unheard_are_added_from_the_switch(site: Site) -> None:
    node: Any = site.plant.nodes.nodes["fs1"]
    await node.stopService()
    running = site.switch.place_call("answered")
    await site.plant.until(lambda: len(site.switch.core.channels) == 2)
    node.startService()
    await site.plant.until(site.plant.live.calls)
    await running
    await settled(site)
    await expect_the_truth(site, sources={"both"})


async def test_registrations_and_gateways_are_known_from_the_start(site: Site) -> None:
    live = site.plant.live
    shown = {(it["user"], it["domain"], it["tenant_id"]) for it in live.registrations(ACME)}
    assert shown == {(it.number, it.domain, str(ACME)) for it in SCENERY.users}
    assert {it["gateway"] for it in live.gateways()} == set(site.switch.core.gateways)
    assert live.links()["fs1"]["connected"]


async def test_what_this_instance_hears_the_others_see(site: Site) -> None:
    other = LiveState(site.plant.reactor, site.plant.key_value, follow_seconds=0.03)
    other.startService()
    over = site.switch.place_call("answered")
    await site.plant.until(lambda: other.calls(ACME))
    assert len(other.registrations(ACME)) == 3
    assert other.links()["fs1"]["connected"]
    await over
    await site.plant.until(lambda: not other.calls())
    await other.stopService()


async def test_a_cdr_is_acknowledged_when_it_is_stored_and_may_come_again(site: Site) -> None:
    [request, *_] = [
        it for it in http_requests("calls2") if it["path"].startswith("/freeswitch/cdr/json")
    ]
    for _ in range(2):
        await site.plant.intake.cdrs.accept("fs1", "any", request["body"].encode())
        assert await site.plant.count("select count(*) from cdr_legs") == 1


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"not json", MalformedJson),
        (b"[]", MalformedJson),
        (b"{}", ValidationFailed),
        (b'{"variables": {}, "callflow": [{}]}', ValidationFailed),
        (b'{"variables": {"uuid": 3}, "callflow": [{"times": 7}]}', ValidationFailed),
    ],
)
async def test_what_is_no_cdr_is_refused(site: Site, body: bytes, error: type[NizamError]) -> None:
    with pytest.raises(error):
        await site.plant.intake.cdrs.accept("fs1", "any", body)


async def test_a_new_tenant_of_a_waiting_call_comes_from_another_instances_lookup(
    site: Site,
) -> None:
    """The dialplan lookup was answered elsewhere: Redis tells which tenant the channel is of."""
    other = ChannelIndex(site.plant.reactor, site.plant.key_value)
    event = next(
        it
        for it in recorded("calls/esl/events-json-all")
        if it.name == "CHANNEL_CREATE" and it.get("Caller-Destination-Number") == "12025559999"
    )
    channel = event.get("Unique-ID") or ""
    site.plant.intake.switch_event("fs1", event)
    other.record(channel, str(ACME), channel)

    async def stored() -> bool:
        rows = await site.plant.pool.query(
            "select tenant_id from call_events where call_id = %s", (channel,)
        )
        return rows == [(ACME,)]

    await site.plant.until(stored)
