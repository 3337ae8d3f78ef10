"""The commands as an operator uses them: against a daemon with a switch that places calls."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.threads import deferToThread

from tests.cli.conftest import nizam
from tests.daemon.site import Site


@pytest.mark.time_limit(60)
async def test_calls_are_explained_watched_and_looked_up(site: Site) -> None:
    where = {
        "NIZAM_URL": site.daemon.base,
        "NIZAM_API_KEY": site.api.key,
        "NIZAM_TENANT": site.tenant_id,
    }

    async def run(*arguments: str) -> str:
        done = await deferToThread(nizam, *arguments, environment=where)
        assert done.exit_code == 0, done.output
        return done.stdout

    async def answered(*arguments: str) -> Any:
        return json.loads(await run(*arguments, "--json"))

    assert "matched" in await run("explain", "--from", "1001", "--to", "1002")
    assert "<document" in await run("explain", "--from", "1001", "--to", "1002", "--xml")
    phones = await answered("registration", "list")
    assert {it["user"] for it in phones} == {"1001", "1002", "1003"}
    site.switch.calls.start(20.0)
    told = await run("events", "tail", "--type", "call.started", "--count", "3", "--json")
    started = [json.loads(it) for it in told.splitlines()]
    assert len({it["call_id"] for it in started}) == 3
    assert "call.started" in await run("call", "trace", started[0]["call_id"])
    site.switch.stop_calls()
    await site.settled(whole=False)
    ended = await answered("cdr", "list")
    assert (await answered("cdr", "get", ended[0]["call_id"]))["legs"]
    assert "CALL ID" in await run("call", "list")
