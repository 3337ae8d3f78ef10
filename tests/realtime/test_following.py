"""The typed client and `nizam tail` over connections that end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from itertools import islice

import pytest
from click.testing import CliRunner
from twisted.internet.threads import deferToThread

from nizam.cli.root import commands
from nizam.client import Client
from nizam.client.errors import Unauthenticated
from nizam.client.follow import SseMessage, SseParser
from tests.realtime.conftest import Town, cut


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_messages_are_the_same_however_they_are_cut_up(size: int) -> None:
    text = b": a comment\nid: 1\ndata: {\ndata: }\n\n"
    text += b"event: missed\r\ndata: x\r\n\r\n\n: hello\nid: 2\n\n"
    parser, found = SseParser(), list[SseMessage]()
    for start in range(0, len(text), size):
        found += parser.feed(text[start : start + size])
    assert found == [
        SseMessage("message", "{\n}", "1"),
        SseMessage("missed", "x", None),
        SseMessage("message", "", "2"),
    ]


@pytest.fixture
def client(town: Town) -> Iterator[Client]:
    """The typed client; closing it ends what a thread still does with it."""
    with Client(town.server.base, town.key) as client:
        yield client


async def test_a_client_follows_events_over_connections_that_are_cut(
    town: Town, client: Client
) -> None:
    first = await town.call("started", "answered")

    def read(count: int) -> list[str]:
        acme = client.tenant(town.tenant_id)
        with acme.call_events.follow(types=["call.*"], cursor="start") as events:
            found = [str(it["id"]) for it in islice(events, 2)]
            ready.append(events.cursor)
            return found + [str(it["id"]) for it in islice(events, count)]

    ready: list[str | None] = []
    reading = deferToThread(read, 4)
    await town.until(lambda: ready)
    await cut(town)
    later = await town.call("started", "ringing", "answered", "ended")
    assert await reading == [*first, *later]


async def test_so_does_one_of_asyncio(town: Town, client: Client) -> None:
    ids = await town.call("started", "ended")

    async def read() -> list[str]:
        acme = client.tenant(town.tenant_id)
        async with acme.call_events.stream(types=["call.*"], cursor="start") as events:
            found = [str((await anext(events))["id"])]
            ready.append(events.cursor)
            async for it in events:
                found.append(str(it["id"]))
                if len(found) == 4:
                    break
            return found

    ready: list[str | None] = []
    reading = deferToThread(lambda: asyncio.run(asyncio.wait_for(read(), 20)))
    await town.until(lambda: ready)
    await cut(town)
    later = await town.call("started", "ended")
    assert await reading == [*ids, *later]


async def test_what_cannot_succeed_is_not_tried_again(town: Town) -> None:
    def read() -> None:
        with Client(town.server.base, "nzm_test_wrong") as client:
            next(client.tenant(town.tenant_id).call_events.follow())

    with pytest.raises(Unauthenticated):
        await deferToThread(read)


async def test_nizam_tail_prints_what_happens(town: Town) -> None:
    ids = await town.call("started", "answered", "ended")
    environment = {"NIZAM_URL": town.server.base, "NIZAM_API_KEY": town.key}

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(commands, ["tail", *arguments], env=environment)
        assert result.exit_code == 0, result.output
        return result.output

    told = await deferToThread(
        run, "--cursor", "start", "--type", "call.*", "--count", "3", "--json"
    )
    assert [json.loads(it)["id"] for it in told.splitlines()] == ids
    told = await deferToThread(run, "--since", "2026-01-01", "--type", "call.ended", "--count", "1")
    assert "call.ended" in told
    told = await deferToThread(run, "--cursor", ids[1], "--type", "call.*", "--count", "1")
    assert "call.ended" in told
