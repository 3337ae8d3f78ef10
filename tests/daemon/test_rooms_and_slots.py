"""Conferences and parked calls as webhooks are told of them: by two instances that listen to one
simulated switch, which says everything twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from nizam.embedded.process import free_port
from nizam.sim.people import Manner
from tests.daemon.process import until
from tests.daemon.walking import Town
from tests.daemon.walking import town as town_of

pytestmark = pytest.mark.time_limit(60)


@pytest_twisted.async_yield_fixture
async def town(database: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    from twisted.internet import reactor

    async with town_of(reactor, database, redis_url, tmp_path) as made:
        site = made.site
        second = site.daemon.another(free_port(), tmp_path / "second.log")
        second.start()
        try:
            await second.ready()
            await _both_listen(made)
            site.switch.faults.duplicate = 1000
            yield made
        finally:
            second.kill()
        assert not second.logged("error", "critical")


async def _both_listen(town: Town) -> None:
    def listening() -> bool:
        wanting = [
            it
            for it in town.site.switch.connections
            if it.subscription.wants("CUSTOM", "conference::maintenance")
        ]
        return len(wanting) >= 2

    assert await until(town.site.reactor, listening, 20.0)


async def _delivered(town: Town, family: str, count: int) -> list[dict[str, Any]]:
    """The events of a family that came to the webhook, each once, in their order."""
    receiver = town.site.receiver

    def came() -> list[dict[str, Any]]:
        found = [it for it in receiver.events.values() if it["type"].startswith(family)]
        return sorted(found, key=lambda it: it["sequence"])

    assert await until(town.site.reactor, lambda: len(came()) >= count, 10.0), came()
    events = came()
    assert {receiver.counts[it["id"]] for it in events} == {1}
    assert {it["tenant_id"] for it in events} == {town.site.tenant_id}
    stored = await town.site.api.request(
        "GET", f"/api/v1/tenants/{town.site.tenant_id}/call-events?limit=200"
    )
    kept = [it["id"] for it in stored["data"] if it["type"].startswith(family)]
    assert sorted(kept) == sorted(it["id"] for it in events)
    return events


async def test_a_conference_is_told_of_from_its_beginning_to_its_end(town: Town) -> None:
    await town.rest()
    room = await town.make(
        "conference-rooms", number="8100", name="Board", moderator_pin="9999", member_pin="1234"
    )
    one = town.anna.dials("8100", answering_prompts=("1234",))
    await one.reaches("conference ")
    two = town.ben.dials("8100", answering_prompts=("9999",))
    await two.reaches("conference ")
    await town.anna.hears("conference of 2")
    await _delivered(town, "conference.", 3)
    town.site.switch.cut()
    assert await until(town.site.reactor, lambda: not town.site.switch.connections, 5.0)
    await _both_listen(town)
    town.anna.hangs_up()
    await one.ended()
    town.ben.hangs_up()
    await two.ended()
    started, *between, ended = await _delivered(town, "conference.", 6)
    digits = [it for it in town.site.receiver.events.values() if it["type"] == "call.dtmf"]
    assert digits == [], "what is pressed for a room is its PIN"
    assert (started["type"], ended["type"]) == ("conference.started", "conference.ended")
    assert started["call_id"] is ended["call_id"] is None
    # An instance that has heard of the room too late does not know how long it was.
    lasted = ended["data"]["duration_ms"]
    assert lasted is None or lasted > 0
    assert [
        (it["type"], it["data"]["from"], it["data"]["members"], it["data"]["moderator"])
        for it in between
    ] == [
        ("conference.joined", "1001", 1, False),
        ("conference.joined", "1002", 2, True),
        ("conference.left", "1001", 1, False),
        ("conference.left", "1002", 0, True),
    ]
    for event in (started, *between, ended):
        assert event["data"]["conference_room_id"] == room
        assert (event["data"]["number"], event["data"]["name"]) == ("8100", "Board")
    for event in between:
        assert event["call_id"] == event["leg_id"]
        number = event["data"]["from"]
        assert event["data"]["extension_id"] == town.extensions[number]


async def test_parked_calls_are_told_of_and_who_fetched_them_or_that_nobody_did(
    town: Town,
) -> None:
    await town.rest()
    lot = await town.make(
        "parking-lots",
        number="700",
        name="Front desk",
        slot_from="701",
        slot_to="702",
        timeout_seconds=20,
        return_destination=town.to("1003"),
    )
    call = town.anna.dials("1002")
    await call.reaches("bridged 1002")
    town.ben.refers_to("700")
    await call.reaches("parked 701")
    fetching = town.cora.dials("701")
    await fetching.reaches("retrieved 701")
    town.cora.hangs_up()
    await call.ended()
    await fetching.ended()
    town.cora.will(Manner(ring=1.0))
    again = town.anna.dials("700")
    await again.reaches("parked 701")
    await again.reaches("bridged 1003")
    town.anna.hangs_up()
    await again.ended()
    given_up = town.ben.dials("700")
    await given_up.reaches("parked 70")
    town.ben.hangs_up()
    await given_up.ended()
    events = await _delivered(town, "parking.", 5)
    assert [(it["type"], it["data"].get("outcome"), it["data"]["slot"]) for it in events] == [
        ("parking.parked", None, "701"),
        ("parking.retrieved", "retrieved", "701"),
        ("parking.parked", None, "701"),
        ("parking.retrieved", "returned", "701"),
        ("parking.parked", None, "701"),
    ]
    by_transfer, fetched, by_caller, returned, _ = (it["data"] for it in events)
    assert (by_transfer["from"], by_transfer["parked_by"]) == ("1001", "1002")
    assert by_transfer["parked_by_extension_id"] == town.extensions["1002"]
    assert by_transfer["timeout_seconds"] == 20
    assert fetched["retrieved_by"] == "1003"
    assert fetched["retrieved_by_extension_id"] == town.extensions["1003"]
    assert by_caller["parked_by_extension_id"] == town.extensions["1001"]
    assert returned["retrieved_by"] is None
    assert returned["duration_ms"] > 0
    for event in events:
        assert event["data"]["parking_lot_id"] == lot
    transfers = await _delivered(town, "call.transferred", 1)
    assert [it["data"]["to"] for it in transfers] == ["700"]
