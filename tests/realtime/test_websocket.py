"""What a client of the WebSocket sees."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.realtime.conftest import Town, event


async def test_events_come_as_they_happen_in_their_order(town: Town) -> None:
    client = await town.connect("?types=call.*", protocols=["nizam.v1"])
    assert client.protocol_chosen == "nizam.v1"
    welcome = await client.inbox.next("welcome")
    assert welcome["tenant_id"] == str(town.tenant_id)
    await client.inbox.next("subscribed")
    ids = await town.call("started", "ringing", "answered", "ended")
    assert [it["id"] for it in await client.inbox.count(4)] == ids


async def test_a_client_sees_its_own_tenant_alone(town: Town) -> None:
    other = town.server.tenant_id(await town.server.make_tenant("other"))
    client = await town.connect("?types=*")
    platform = await town.connect("?types=call.*", key=town.server.key)
    await client.inbox.next("subscribed")
    await platform.inbox.next("subscribed")
    theirs = await town.call("started", tenant_id=other)
    ours = await town.call("started")
    assert [it["id"] for it in await platform.inbox.count(2)] == [*theirs, *ours]
    await client.inbox.until(lambda: any(it["id"] == ours[0] for it in client.inbox.events))
    assert theirs[0] not in [it["id"] for it in client.inbox.events]


async def test_subscriptions_change_while_connected(town: Town) -> None:
    call_id, extension_id = uuid4(), str(uuid4())
    client = await town.connect()
    await client.inbox.next("welcome")
    await town.call("started")
    client.say(type="subscribe", id="one", call_ids=[str(call_id)])
    client.say(type="subscribe", id="two", types=["call.ended"], extension_ids=[extension_id])
    await client.inbox.until(lambda: len(client.inbox.kinds("subscribed")) == 2)
    await town.happen(
        event("call.started", town.tenant_id, call_id=call_id),
        event("call.started", town.tenant_id, call_id=uuid4(), extension_id=extension_id),
        event("call.ended", town.tenant_id, call_id=uuid4(), extension_ids=[extension_id]),
    )
    found = await client.inbox.count(2)
    assert [it["type"] for it in found] == ["call.started", "call.ended"]
    assert found[0]["call_id"] == str(call_id)
    client.say(type="unsubscribe", id="two")
    await client.inbox.next("unsubscribed")
    await town.happen(
        event("call.ended", town.tenant_id, call_id=uuid4(), extension_ids=[extension_id]),
        event("call.ended", town.tenant_id, call_id=call_id),
    )
    assert [it["call_id"] for it in await client.inbox.count(3)][-1] == str(call_id)


@pytest.mark.parametrize("by_query", [True, False])
async def test_a_client_that_comes_back_goes_on_where_it_was(town: Town, by_query: bool) -> None:
    client = await town.connect("?types=call.*")
    await client.inbox.next("subscribed")
    first = await town.call("started", "answered")
    await client.inbox.count(2)
    cursor = client.inbox.cursor
    await client.leave()
    meanwhile = [it for _ in range(90) for it in await town.call("started", "ringing", "ended")]
    if by_query:
        again = await town.connect(f"?types=call.*&cursor={cursor}")
    else:
        again = await town.connect()
        again.say(type="subscribe", types=["call.*"], cursor=cursor)
    afterwards = await town.call("started")
    found = await again.inbox.count(len(meanwhile) + 1)
    assert [it["id"] for it in found] == [*meanwhile, *afterwards]
    assert not set(first) & {it["id"] for it in found}
