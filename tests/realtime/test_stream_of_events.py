"""Server-sent events, and what goes wrong on any stream."""

from __future__ import annotations

import json
from uuid import uuid4

from nizam.metrics import REGISTRY
from nizam.realtime.session import MOST_MESSAGES, MOST_SUBSCRIPTIONS
from nizam.realtime.websocket import MESSAGE_BYTES
from tests.realtime.conftest import Town, event


async def test_server_sent_events_go_on_after_the_last_id(town: Town) -> None:
    client = await town.listen("?types=call.*")
    welcome = await client.inbox.next("welcome")
    ids = await town.call("started", "answered", "ended")
    found = await client.inbox.count(3)
    assert [it["id"] for it in found] == ids
    first = client.inbox.kinds("event")[0]["cursor"]
    await client.leave()
    for last, expected in ((first, ids[1:]), (ids[1], ids[2:]), (welcome["cursor"], ids)):
        again = await town.listen("?types=call.*", Last_Event_ID=last)
        assert [it["id"] for it in await again.inbox.count(len(expected))] == expected
        assert first < again.inbox.cursor


async def test_everything_from_the_start_on_can_be_had(town: Town) -> None:
    ids = await town.call("started", "ended")
    client = await town.listen("?cursor=start&types=call.*")
    assert [it["id"] for it in await client.inbox.count(2)] == ids


async def test_what_a_client_says_wrongly_is_answered_and_ends_nothing(town: Town) -> None:
    client = await town.connect()
    await client.inbox.next("welcome")
    for said, code in (
        (b"{", "malformed_json"),
        (b'"subscribe"', "validation_failed"),
        (b'{"type": "dance"}', "validation_failed"),
        (b'{"type": "subscribe", "colour": 1}', "unknown_field"),
        (b'{"type": "subscribe", "types": ["call.nothing"]}', "validation_failed"),
        (b'{"type": "subscribe", "types": "call.*"}', "validation_failed"),
        (b'{"type": "subscribe", "call_ids": ["1001"]}', "validation_failed"),
        (b'{"type": "subscribe", "id": ""}', "validation_failed"),
        (b'{"type": "subscribe", "cursor": "pos_1"}', "validation_failed"),
        (b'{"type": "subscribe", "cursor": "pos_7fffffffffffffff"}', "validation_failed"),
        (b'{"type": "subscribe", "cursor": 5}', "validation_failed"),
        (b'{"type": "unsubscribe", "id": "never"}', "not_found"),
    ):
        client.say_bytes(said)
        error = await client.inbox.next("error")
        assert error["code"] == code, said
    client.say(type="ping", id="still there?")
    assert (await client.inbox.next("pong"))["id"] == "still there?"


async def test_a_connection_has_a_bounded_number_of_subscriptions(town: Town) -> None:
    client = await town.connect()
    for number in range(MOST_SUBSCRIPTIONS + 1):
        client.say(type="subscribe", id=str(number))
    error = await client.inbox.next("error")
    assert error["errors"][0]["code"] == "too_many"
    assert len(client.inbox.kinds("subscribed")) == MOST_SUBSCRIPTIONS


async def test_whoever_says_too_much_or_breaks_the_protocol_is_sent_away(town: Town) -> None:
    talker, shouter, mumbler = [await town.connect() for _ in range(3)]
    for _ in range(MOST_MESSAGES + 1):
        talker.say(type="ping")
    shouter.say_bytes(b"x" * (MESSAGE_BYTES + 1))
    mumbler.say_bytes(b"\xff\xfe")
    codes = []
    for client in (talker, shouter, mumbler):
        await client.gone
        codes.append(client.inbox.code)
    assert codes == [4029, 1009, 1007]


async def test_a_client_that_reads_too_slowly_is_told_how_much_it_missed(town: Town) -> None:
    slow, quick = await town.connect("?types=call.*"), await town.connect("?types=call.*")
    for it in (slow, quick):
        await it.inbox.next("subscribed")
    slow.transport.pauseProducing()
    # The sockets at both ends may buffer megabytes before anything waits.
    filler, ids = "x" * 400_000, list[str]()
    start = missed_so_far()
    while missed_so_far() - start < 3:
        ids += await town.happen(
            *(
                event("call.started", town.tenant_id, call_id=uuid4(), filler=filler)
                for _ in range(2)
            )
        )
        await quick.inbox.count(len(ids))
    slow.transport.resumeProducing()
    missed = await slow.inbox.next("missed")
    before = [it["id"] for it in slow.inbox.events]
    assert before == ids[: len(before)]
    assert missed["count"] == len(ids) - len(before) > 0
    # From there on it can be read again, and it goes on by itself after it.
    again = await town.connect(f"?types=call.*&cursor={missed['after']}")
    assert [it["id"] for it in await again.inbox.count(missed["count"])] == ids[len(before) :]
    later = await town.call("started")
    found = await slow.inbox.count(len(before) + 1)
    assert [it["id"] for it in found[len(before) :]] == later


def missed_so_far() -> float:
    return REGISTRY.get_sample_value("nizam_realtime_missed_total") or 0.0


async def test_an_instance_that_stops_asks_its_clients_to_come_again(town: Town) -> None:
    client, events = await town.connect("?types=call.*"), await town.listen()
    await client.inbox.next("subscribed")
    await events.inbox.next("welcome")
    streams = town.server.api.streams
    assert streams is not None
    await streams.drain()
    closing = await client.inbox.next("closing")
    assert closing["code"] == 1012
    assert 0 < closing["reconnect_after_ms"] <= 5000
    await client.gone
    assert client.inbox.code == 1012
    assert (await events.inbox.next("closing"))["code"] == 1012
    await events.gone
    refused = await town.server.request("GET", f"{town.tenant}/call-events/stream", key=town.key)
    assert (refused.status, refused.json["code"]) == (503, "streams_full")


async def test_a_tenant_has_a_bounded_number_of_streams(town: Town) -> None:
    for _ in range(10):
        await town.connect()
    refused = await town.server.request("GET", f"{town.tenant}/call-events/stream", key=town.key)
    assert refused.status == 503
    assert json.loads(refused.body)["code"] == "streams_full"


async def test_nothing_is_missed_while_nobody_rings(town: Town) -> None:
    """As while Redis is away: the log is read every quarter of a second all the same."""
    client = await town.connect("?types=call.*")
    await client.inbox.next("subscribed")
    await town.server.key_value.stop()
    ids = await town.call("started", "ended")
    assert [it["id"] for it in await client.inbox.count(2)] == ids
    await town.server.key_value.start()
