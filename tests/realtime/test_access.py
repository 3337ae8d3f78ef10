"""Who may open a stream, and whose stream is ended."""

from __future__ import annotations

from unittest.mock import Mock
from uuid import uuid4

import pytest

from nizam.http.stream_tickets import TicketRecord
from nizam.realtime.filters import Filter
from tests.http.people import browser_of, make_user
from tests.realtime.clients import WebSocket
from tests.realtime.conftest import Town, event


async def refused(town: Town, query: str = "", **more: object) -> str:
    """Why the server does not open a WebSocket."""
    with pytest.raises(ConnectionError) as refusal:
        await town.connect(query, **more)  # type: ignore[arg-type]
    return str(refusal.value)


async def test_nobody_listens_without_credentials_that_hold(town: Town) -> None:
    assert "401" in await refused(town, key=None)
    assert "401" in await refused(town, key="nzm_test_wrong")
    assert "401" in await refused(town, "?ticket=nzk_" + "x" * 43, key=None)
    narrow = await town.server.make_key("extensions:read", tenant=town.tenant)
    assert "403" in await refused(town, key=narrow)
    other = await town.server.make_tenant("other")
    assert "404" in await refused(town, f"?tenant_id={town.server.tenant_id(other)}")
    assert "422" in await refused(town, "?types=call.nothing")
    assert "422" in await refused(town, "?cursor=pos_7fffffffffffffff")
    assert "400" in await refused(town, protocols=["nizam.v9"])


async def test_a_ticket_opens_one_stream_that_shows_what_it_was_made_for(town: Town) -> None:
    extension_id = str(uuid4())
    made = await town.server.make(
        f"{town.tenant}/stream-tickets", {"extension_ids": [extension_id]}, key=town.key
    )
    client = await town.connect(f"?ticket={made['ticket']}&types=call.*", key=None)
    await client.inbox.next("subscribed")
    client.say(type="subscribe", id="more", types=["*"])
    await client.inbox.next("subscribed")
    await town.call("started")
    ids = await town.call("ended", extension_ids=[extension_id])
    assert [it["id"] for it in await client.inbox.count(1)] == ids
    assert "401" in await refused(town, f"?ticket={made['ticket']}", key=None)


async def test_a_ticket_is_for_streams_alone_and_for_its_tenant(town: Town) -> None:
    made = await town.server.make(f"{town.tenant}/stream-tickets", {}, key=town.server.key)
    query = f"?ticket={made['ticket']}"
    asked = await town.server.request("GET", f"{town.tenant}/call-events{query}", key=None)
    assert asked.status == 401
    other = await town.server.make_tenant("other")
    assert "404" in await refused(
        town, f"{query}&tenant_id={town.server.tenant_id(other)}", key=None
    )


async def test_a_ticket_of_another_version_shows_no_more_than_it_was_made_for(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets = town.server.api.tickets
    record = TicketRecord(
        kind="api_key", digest="digest", tenant_id=town.tenant_id, within=Filter()
    )
    for within in ({"types": ["call.no_more"]}, {"callers": ["a name to come"]}):
        with monkeypatch.context() as patch:
            patch.setattr(Filter, "shown", Mock(return_value=within))
            text, _ = await tickets.issue(record)
        assert await tickets.redeem(text) is None
    text, _ = await tickets.issue(record)
    assert await tickets.redeem(text) == record


async def test_streams_end_with_the_key_that_opened_them(town: Town) -> None:
    body = {"name": "short", "scopes": ["call_events:read"], "tenant_id": str(town.tenant_id)}
    made = await town.server.make("/api/v1/api-keys", body)
    ticket = await town.server.make(f"{town.tenant}/stream-tickets", {}, key=made["key"])
    direct = await town.connect(key=made["key"])
    by_ticket = await town.connect(f"?ticket={ticket['ticket']}", key=None)
    events = await town.listen(key=made["key"])
    stays = await town.connect()
    for it in (direct, by_ticket, events):
        await it.inbox.next("welcome")
    await town.server.request("DELETE", f"/api/v1/api-keys/{made['id']}")
    ended(town)
    for client in (direct, by_ticket):
        await client.gone
        assert client.inbox.closed == (4001, "the key, session or token does not hold any more")
    assert (await events.inbox.next("closing"))["code"] == 4001
    await events.gone
    assert stays.inbox.closed is None


def ended(town: Town) -> None:
    """What the snapshots say of a change, which this server has not."""
    town.server.api.authenticator.forget()
    streams = town.server.api.streams
    assert streams is not None
    streams.check_all()


async def test_streams_of_a_suspended_tenant_end_but_for_the_platform(town: Town) -> None:
    client = await town.connect()
    platform = await town.connect(f"?tenant_id={town.tenant_id}&types=*", key=town.server.key)
    await platform.inbox.next("subscribed")
    await client.inbox.next("welcome")
    await town.server.request("POST", f"{town.tenant}/activate")
    await town.server.request("POST", f"{town.tenant}/suspend")
    ended(town)
    await client.gone
    assert client.inbox.code == 4003
    assert "409" in await refused(town)
    ids = await town.happen(event("call.started", town.tenant_id, call_id=uuid4()))
    await platform.inbox.until(lambda: ids[0] in [it["id"] for it in platform.inbox.events])


async def test_a_session_opens_streams_for_pages_of_this_site_alone(town: Town) -> None:
    await make_user(town.server, "sue@example.test", (town.tenant, "supervisor"))
    browser = await browser_of(town.server, "sue@example.test")
    cookie = {"Cookie": browser.cookie}

    async def come(origin: str | None) -> WebSocket:
        return await town.connect("?types=*", key=None, headers=cookie, origin=origin)

    assert "403" in await refused(town, key=None, headers=cookie, origin="https://evil.example")
    assert "403" in await refused(town, key=None, headers=cookie)
    own = await come(town.server.base)
    await come("https://console.example.com")
    await own.inbox.next("subscribed")
    await browser.request("POST", "/api/v1/auth/logout")
    ended(town)
    await own.gone
    assert own.inbox.code == 4001
