"""Two instances listen to one switch: whatever the active one meets, every event is there once.

    script/rehearse tests/daemon/test_takeover.py

does it twenty times under more load.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import psycopg2
import pytest
import pytest_twisted
from twisted.internet.task import deferLater

from nizam.embedded.process import free_port
from tests.chaos.stored import read
from tests.daemon.conftest import DURATIONS, PACE
from tests.daemon.process import DaemonProcess, until
from tests.daemon.site import NODE, Site, build_site, demo_scenery, stop_site

TAKEOVER_SECONDS = 5.0
TAKEOVERS = 20
READY_SECONDS = 60.0
_ACTIVE = f'nizam_intake_active{{node="{NODE}"}} 1.0'


@attrs.define
class Pair:
    """Two instances that listen; what the switch asks and posts a third one answers, which is the
    site's."""

    site: Site
    daemons: list[DaemonProcess]

    async def active(self) -> DaemonProcess | None:
        """The one that says that it stores what the node says; None if none or both do."""
        found = [it for it in self.daemons if it.pid and await says(it, _ACTIVE)]
        return found[0] if len(found) == 1 else None

    async def takes_over(self, other: DaemonProcess, since: float) -> float:
        """Seconds until the other one is active."""
        reactor = self.site.reactor

        async def it_does() -> bool:
            return await says(other, _ACTIVE)

        assert await until(reactor, it_does, 4 * TAKEOVER_SECONDS), other.log_tail()
        return float(reactor.seconds() - since)

    async def refused(self) -> float:
        """How many transactions were refused to instances that had been taken for dead."""
        return sum([await value(it, "nizam_intake_refused_total") for it in self.daemons if it.pid])

    async def listening(self) -> None:
        """Start who is not there, and wait until both listen."""
        for it in self.daemons:
            if it.pid is None:
                it.start()
        for it in self.daemons:
            await it.ready(READY_SECONDS)
        reactor = self.site.reactor
        links = 2 * len(self.daemons)
        assert await until(reactor, lambda: len(self.site.switch.connections) >= links, 20.0)

    async def heard_by_both(self) -> None:
        """Wait until one is active and the other one has heard everything that may not be stored
        yet. The switch has to say something."""
        now = datetime.now(UTC)

        async def one_is_active() -> bool:
            return await self.active() is not None and stored_until(self.site) > now

        assert await until(self.site.reactor, one_is_active, 20.0)

    async def assert_everything_is_there_once(self) -> None:
        site = self.site
        site.switch.stop_calls()
        wrong = await site.settled(seconds=40.0)
        found = read(site.database).events.values()
        assumed = sum(it["data"].get("reconciled", False) for events in found for it in events)
        told = [f"{len(wrong)} wrong, {assumed} events found by comparing", *wrong[:20]]
        assert not wrong, "\n".join([*told, *(it.log_tail(2000) for it in self.daemons)])
        assert len(site.switch.truth.calls) == site.switch.truth.placed > 20
        gaps = [it for it in read(site.database).node_events if it["type"] == "node.gap"]
        assert not gaps


async def says(daemon: DaemonProcess, line: str) -> bool:
    with contextlib.suppress(Exception):
        return line in (await daemon.get("/metrics"))[1].decode()
    return False


async def value(daemon: DaemonProcess, name: str) -> float:
    with contextlib.suppress(Exception):
        lines = (await daemon.get("/metrics"))[1].decode().splitlines()
        return sum(float(it.rpartition(" ")[2]) for it in lines if it.startswith(f"{name}{{"))
    return 0.0


def stored_events(site: Site) -> dict[str, tuple[Any, ...]]:
    """Every event as it is stored, with the transaction that has written its row."""
    return {it[0]: it for it in rows(site, "select id, xmin::text, position from call_events")}


def stored_until(site: Site) -> datetime:
    """Until when everything is stored that the node has said, as the active one tells."""
    [[until_when]] = rows(site, "select note ->> 'until' from leases where name like 'intake:%'")
    return datetime.fromisoformat(until_when) if until_when else datetime.min.replace(tzinfo=UTC)


def leases(site: Site) -> list[tuple[Any, ...]]:
    return rows(site, "select holder, token from leases where name like 'intake:%'")


def rows(site: Site, sql: str) -> list[tuple[Any, ...]]:
    with (
        contextlib.closing(psycopg2.connect(site.database)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
        return cursor.fetchall()


async def killed(pair: Pair, active: DaemonProcess, other: DaemonProcess) -> float:
    since = pair.site.reactor.seconds()
    active.kill()
    return await pair.takes_over(other, since)


async def stopped(pair: Pair, active: DaemonProcess, other: DaemonProcess) -> float:
    ending = active.terminate(seconds=30.0)
    assert await ending == -signal.SIGTERM
    # It was stopped at the latest now: what it stores last comes before.
    return await pair.takes_over(other, pair.site.reactor.seconds())


async def frozen_and_thawed(pair: Pair, active: DaemonProcess, other: DaemonProcess) -> float:
    """A stale leader: while it stands still another one is active; then it goes on where it was."""
    assert active.pid is not None
    since = pair.site.reactor.seconds()
    os.kill(active.pid, signal.SIGSTOP)
    try:
        seconds = await pair.takes_over(other, since)
        await deferLater(pair.site.reactor, 1.0)
        token = leases(pair.site)[0][1]
        before = stored_events(pair.site)
    finally:
        os.kill(active.pid, signal.SIGCONT)

    async def knows() -> bool:
        return not await says(active, _ACTIVE) and await says(other, _ACTIVE)

    assert await until(pair.site.reactor, knows, 10.0)
    after = stored_events(pair.site)
    assert {it: after[it] for it in before} == before, "rows were written again"
    assert leases(pair.site)[0][1] == token
    return seconds


Fate = Callable[[Pair, DaemonProcess, DaemonProcess], Awaitable[float]]
FATES: tuple[Fate, ...] = (frozen_and_thawed, killed, stopped)


@pytest_twisted.async_yield_fixture
async def pair(database: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Pair]:
    from twisted.internet import reactor

    scenery = demo_scenery(PACE, DURATIONS)
    roles = {"NIZAM_ROLES": "xml,api,deliver"}
    site = await build_site(reactor, database, redis_url, tmp_path, scenery, roles, listens=False)
    daemons = []
    for number in (1, 2):
        daemon = site.daemon.another(free_port(), tmp_path / f"intake{number}.log")
        daemon.change({"NIZAM_ROLES": "intake"})
        daemons.append(daemon)
    found = Pair(site, daemons)
    yield found
    for daemon in daemons:
        daemon.kill()
    await stop_site(site)


async def meets(pair: Pair, fate: Fate) -> float:
    """Let the active one meet its fate; how many seconds that took the other one."""
    active = await pair.active()
    assert active is not None
    other = next(it for it in pair.daemons if it is not active)
    seconds = await fate(pair, active, other)
    assert seconds <= TAKEOVER_SECONDS, fate.__name__
    return seconds


@pytest.mark.time_limit(180)
async def test_whatever_the_active_one_meets_nothing_is_missing_and_nothing_is_there_twice(
    pair: Pair,
) -> None:
    await pair.listening()
    pair.site.switch.calls.start(10.0)
    await pair.heard_by_both()
    for fate in (frozen_and_thawed, killed):
        print(f"{fate.__name__}: {await meets(pair, fate):.2f} s")
    await pair.assert_everything_is_there_once()
    assert not [line for it in pair.daemons for line in it.logged("error", "critical")]


@pytest.mark.rehearsal
@pytest.mark.time_limit(900)
async def test_twenty_takeovers_under_load(pair: Pair) -> None:
    calls = pair.site.switch.calls
    await pair.listening()
    seen, begin = pair.site.switch.faults.seen, pair.site.reactor.seconds()
    calls.start(20.0)
    took: dict[str, list[float]] = {}
    for number in range(TAKEOVERS):
        await pair.listening()
        await pair.heard_by_both()
        fate = FATES[number % len(FATES)]
        took.setdefault(fate.__name__, []).append(await meets(pair, fate))
    seconds = pair.site.reactor.seconds() - begin
    rate = (pair.site.switch.faults.seen - seen) / 2 / seconds
    refused = await pair.refused()
    await pair.assert_everything_is_there_once()
    for name, values in took.items():
        print(f"{name}: {len(values)} takeovers, longest {max(values):.2f} s, {values}")
    stored = len(stored_events(pair.site))
    print(f"{rate:.0f} events/s of the switch, {stored} events stored, none missing, none twice")
    print(f"{refused:.0f} transactions refused since the last starts")
