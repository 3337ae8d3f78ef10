"""What a node is asked after its link was away, and how fast a full one is understood."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4, uuid5

import attrs
import orjson
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from zope.interface import implementer

from nizam.errors import SwitchError
from nizam.esl.event import SwitchEvent
from nizam.esl.interface import ISwitchLink
from nizam.switch.reconcile import reconcile
from tests.events.replaying import DOMAINS, recorded
from tests.switch.conftest import Site
from tests.switch.plant import ACME


@implementer(ISwitchLink)
@attrs.define
class FullSwitch:
    """Answers as a switch with these channels; `gone` have ended before they are dumped."""

    channels: dict[str, dict[str, Any]]
    gone: frozenset[str] = frozenset()
    registrations: str = ""
    core_id: str = "3283d0f7-afcb-4165-b2fb-e45756bbd706"
    connected: bool = True

    async def api(self, command: str, timeout: float) -> str:
        if command == "sofia status":
            return "             internal\tprofile\tsip:mod_sofia@127.0.0.1:5060\tRUNNING (0)\n"
        if command == "sofia xmlstatus profile internal reg":
            return f"<profile>\n<registrations>{self.registrations}</registrations>\n</profile>"
        if command == "eval ${core_uuid}":
            return self.core_id
        if command == "show channels as json":
            rows = [{"uuid": uuid} for uuid in self.channels]
            return orjson.dumps({"row_count": len(rows), "rows": rows}).decode()
        if command.startswith("uuid_dump "):
            uuid = command.split()[1]
            if uuid in self.gone:
                raise SwitchError("No such channel!")
            return orjson.dumps(self.channels[uuid]).decode()
        return '{"row_count":0}' if command.startswith("show ") else ""

    async def bgapi(self, command: str, timeout: float) -> str:
        return await self.api(command, timeout)


def listed(call_id: str = "87d554c5226d48c1", seconds: int = 3660, agent: str = "SIPp") -> str:
    """A phone as `sofia xmlstatus profile internal reg` of FreeSWITCH 1.11.1 lists it."""
    return f"""
    <registration>
        <call-id>{call_id}</call-id>
        <user>1002@{ACME}</user>
        <contact>&quot;&quot; &lt;sip:1002@127.0.0.1:53978&gt;</contact>
        <agent>{agent}</agent>
        <status>Registered(UDP)(unknown) exp(2026-11-28 21:00:00) expsecs({seconds})</status>
        <ping-status>Reachable</ping-status>
        <network-ip>127.0.0.1</network-ip>
        <network-port>53978</network-port>
    </registration>"""


def channel() -> tuple[str, dict[str, Any]]:
    """An inbound channel as `uuid_dump` shows it."""
    event = next(it for it in recorded("calls/esl/events-json-all") if it.name == "CHANNEL_CREATE")
    uuid = str(uuid4())
    return uuid, dict(event.headers) | {"Event-Name": "CHANNEL_DATA", "Unique-ID": uuid}


async def test_a_thousand_channels_are_added_and_closed_in_time(site: Site) -> None:
    reactor, intake = site.plant.reactor, site.plant.intake
    channels = dict(channel() for _ in range(1000))
    begin = time.monotonic()
    found = await reconcile(reactor, FullSwitch(channels), intake, "fs2")
    assert (found.added, found.closed) == (1000, 0)
    assert len(site.plant.live.calls()) == 1000
    found = await reconcile(reactor, FullSwitch({}), intake, "fs2")
    assert (found.added, found.closed) == (0, 1000)
    assert time.monotonic() - begin < 5.0
    assert site.plant.live.calls() == []

    async def stored() -> bool:
        sql = "select count(*) from cdrs where source = 'reconciled'"
        return await site.plant.count(sql) == 1000

    await site.plant.until(stored)
    for sql in (
        "select count(distinct call_id) from call_events where type = 'call.started'",
        "select count(distinct call_id) from call_events where type = 'call.ended'",
    ):
        assert (sql, await site.plant.count(sql)) == (sql, 1000)


async def test_a_channel_that_ends_meanwhile_is_not_added(site: Site) -> None:
    uuid, headers = channel()
    switch = FullSwitch({uuid: headers}, frozenset({uuid}))
    found = await reconcile(site.plant.reactor, switch, site.plant.intake, "fs2")
    assert found.added == 0


async def test_reconciling_again_changes_nothing(site: Site) -> None:
    switch = FullSwitch(dict([channel()]))
    first = await reconcile(site.plant.reactor, switch, site.plant.intake, "fs2")
    again = await reconcile(site.plant.reactor, switch, site.plant.intake, "fs2")
    assert (first.added, again.added, again.closed) == (1, 0, 0)
    assert [it["call_id"] for it in site.plant.live.calls()] == list(switch.channels)


async def test_a_leg_that_was_found_ringing_is_told_of_when_its_event_comes(site: Site) -> None:
    """The event waited in the socket while the switch was looked at."""
    progress = next(
        it
        for it in recorded("calls/esl/events-json-all")
        if it.name == "CHANNEL_PROGRESS" and it.get("Call-Direction") == "outbound"
    )
    uuid = progress.get("Unique-ID")
    assert uuid is not None
    switch = FullSwitch({uuid: dict(progress.headers) | {"Event-Name": "CHANNEL_DATA"}})
    found = await reconcile(site.plant.reactor, switch, site.plant.intake, "fs2")
    assert found.added == 1
    output = site.plant.intake.normaliser("fs2").feed(progress, site.plant.reactor.seconds())
    assert [it.type for it in output.events] == ["call.ringing"]


async def test_phones_that_nobody_heard_sign_in_are_shown_with_their_extension(site: Site) -> None:
    switch = FullSwitch({}, registrations=listed() + listed(call_id="gone", seconds=-1))
    found = await reconcile(site.plant.reactor, switch, site.plant.intake, "fs2")
    assert found.registrations == 1
    tenant_id = DOMAINS[ACME]
    (shown,) = [it for it in site.plant.live.registrations(tenant_id) if it["node"] == "fs2"]
    assert shown["extension_id"] == str(uuid5(tenant_id, "1002"))
    assert shown["contact"] == "sip:1002@127.0.0.1:53978"


async def test_a_call_is_told_from_its_beginning_though_an_event_of_it_came_first(
    site: Site,
) -> None:
    uuid, headers = channel()
    answered = SwitchEvent("CHANNEL_ANSWER", headers | {"Event-Name": "CHANNEL_ANSWER"})
    site.plant.intake.switch_event("fs2", answered)
    for added in (1, 0):
        found = await reconcile(
            site.plant.reactor, FullSwitch({uuid: headers}), site.plant.intake, "fs2"
        )
        assert found.added == added

    async def stored() -> bool:
        sql = "select 1 from call_events where type = 'call.started' and call_id = %s"
        return len(await site.plant.pool.query(sql, (uuid,))) == 1

    await site.plant.until(stored)


async def test_who_is_behind_with_the_events_takes_no_call_for_ended(site: Site) -> None:
    """A process that stood still, or has much to read, is told of the end of a call only after the
    switch has said that the call is not there."""
    uuid, headers = channel()
    intake, reactor = site.plant.intake, site.plant.reactor
    hearing = intake.listen("fs2", lambda: None)
    await reconcile(reactor, FullSwitch({uuid: headers}), intake, "fs2")
    began, old = reactor.seconds(), datetime.now(UTC) - timedelta(seconds=5)
    ended = next(
        it for it in recorded("calls/esl/events-json-all") if it.name == "CHANNEL_HANGUP_COMPLETE"
    )
    hangup = SwitchEvent(ended.name, dict(ended.headers) | {"Unique-ID": uuid})

    async def read_on() -> None:
        while reactor.seconds() - began < 1.0:
            hearing.heard(SwitchEvent("HEARTBEAT", {}), old, reactor.seconds())
            await deferLater(reactor, 0.05)
        intake.switch_event("fs2", hangup)
        hearing.heard(hangup, datetime.now(UTC), reactor.seconds())

    reading = Deferred.fromCoroutine(read_on())
    found = await reconcile(reactor, FullSwitch({}), intake, "fs2")
    await reading
    assert found.closed == 0
    assert site.plant.live.calls() == []


@pytest.mark.parametrize(("restarted", "seconds"), [(True, 60), (False, 300)])
async def test_a_call_of_a_switch_that_died_ended_when_it_did(
    site: Site, restarted: bool, seconds: int
) -> None:
    """Nobody is charged for the time until the switch was up again; of one that was only not
    heard, nobody knows when the call has ended."""
    uuid, headers = channel()
    began = datetime.fromtimestamp(int(headers["Caller-Channel-Created-Time"]) / 1e6, UTC)
    old, new = headers["Core-UUID"], str(uuid4())
    await reconcile(
        site.plant.reactor, FullSwitch({uuid: headers}, core_id=old), site.plant.intake, "fs2"
    )
    switch = FullSwitch({}, core_id=new if restarted else old)
    died, back = began + timedelta(seconds=60), began + timedelta(seconds=300)
    found = await reconcile(
        site.plant.reactor, switch, site.plant.intake, "fs2", lambda: back, left_at=died
    )
    assert found.closed == 1

    async def stored() -> bool:
        sql = "select ended_at, duration_ms from cdrs where source = 'reconciled' and call_id = %s"
        rows = await site.plant.pool.query(sql, (uuid,))
        return [tuple(it) for it in rows] == [(began + timedelta(seconds=seconds), seconds * 1000)]

    await site.plant.until(stored)


async def test_nobody_keeps_the_places_of_calls_on_a_node_that_is_not_heard(site: Site) -> None:
    """What they hold of limits then lapses (nizam.switch.counters)."""
    uuid, headers = channel()
    intake = site.plant.intake
    await reconcile(site.plant.reactor, FullSwitch({uuid: headers}), intake, "fs2")
    assert [str(it.call_id) for it in intake.calls({"fs2": {"connected": True}})] == [uuid]
    assert list(intake.calls({"fs2": {"connected": False}})) == []
    assert list(intake.calls({})) == []


async def test_calls_on_a_node_that_is_taken_away_are_told_to_have_ended(site: Site) -> None:
    uuid, headers = channel()
    plant = site.plant
    await reconcile(plant.reactor, FullSwitch({uuid: headers}), plant.intake, "fs1")
    assert [it["node"] for it in plant.live.calls()] == ["fs1"]
    plant.nodes._static = ()
    plant.nodes.refresh()
    assert plant.live.calls() == []

    async def stored() -> bool:
        sql = "select data->>'reconciled' from call_events where type = 'call.ended'"
        rows = await plant.pool.query(f"{sql} and call_id = %s", (uuid,))
        return [it[0] for it in rows] == ["true"]

    await plant.until(stored)
