"""The simulated switch places calls with our answers over HTTP, and follows them to the end."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import attrs
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.web.resource import Resource

from nizam.http.cdr import CdrResource
from nizam.http.deciding import CallDecider
from nizam.http.node_credentials import NodeCredentials
from nizam.http.server import BoundedSite
from nizam.http.xmlcurl import XmlCurlResource
from nizam.sim.script import Script
from nizam.sim.settings import Durations, Scenery, User
from nizam.sim.switch import SimulatedSwitch
from tests.http.test_xmlcurl import Channels
from tests.routing.tenants import ACME, SIP, Tenants, recorded_tenants, reveal, to

USERS = tuple(User(number, ACME, f"acme-{number}-pw") for number in ("1001", "1002", "1003"))
CARRIER = "carrier.example.test"


@attrs.define
class Exchange:
    """Our resources on a port, a switch that asks them, and what they were told."""

    tenants: Tenants
    switch: SimulatedSwitch
    channels: Channels
    cdrs: list[tuple[str, str, dict[str, Any]]]


@pytest_twisted.async_yield_fixture
async def exchange() -> AsyncIterator[Exchange]:
    tenants = recorded_tenants()
    tenants.extension(
        "acme/1003",
        forward={"busy": to("extension", "acme/1002"), "no_answer": to("voicemail", "acme/1001")},
    )
    channels = Channels()
    cdrs: list[tuple[str, str, dict[str, Any]]] = []

    async def accept(node: str, uuid: str, record: dict[str, Any]) -> None:
        cdrs.append((node, uuid, record))

    clock: Any = reactor
    credentials = NodeCredentials(tenants.snapshot, reveal)
    xml = XmlCurlResource(
        tenants.snapshot,
        credentials,
        CallDecider(tenants.snapshot, clock, random.Random(1), observers=(channels.served,)),
        reveal,
        SIP,
        lambda: True,
    )
    root, freeswitch = Resource(), Resource()  # type: ignore[no-untyped-call]
    root.putChild(b"freeswitch", freeswitch)
    freeswitch.putChild(b"xml", xml)
    freeswitch.putChild(b"cdr", CdrResource(credentials, accept, clock))
    port: Any = clock.listenTCP(0, BoundedSite(root, clock), interface="127.0.0.1")
    url = f"http://127.0.0.1:{port.getHost().port}/freeswitch"
    switch = SimulatedSwitch(
        clock,
        xml_url=f"{url}/xml",
        xml_username="fs1",
        xml_password="s3cret",
        cdr_url=f"{url}/cdr",
        scenery=Scenery(
            users=USERS, durations=Durations(talk=(2.0, 5.0), ring=(0.3, 1.0)), pace=0.02
        ),
    )
    await switch.start()
    yield Exchange(tenants, switch, channels, cdrs)
    await switch.stop()
    await port.stopListening()


def _script(dialled: str, **more: Any) -> Script:
    basis = Script("test", ACME, dialled, caller=USERS[0], ring=0.5, talk=2.0)
    return attrs.evolve(basis, **more)


def _inbound(did: str, **more: Any) -> Script:
    return _script(did, caller=None, outside_caller="13105550999", domain=CARRIER, **more)


@pytest.mark.parametrize(
    ("script", "proofs"),
    [
        (_script("1002"), ["rang 1002", "bridged 1002"]),
        (_script("1002", callee="is busy"), ["rang 1002", f"voicemail 1002@{ACME}"]),
        (_script("1002", callee="lets it ring"), ["rang 1002", f"voicemail 1002@{ACME}"]),
        (_script("1003", callee="lets it ring"), ["rang 1003", f"voicemail 1001@{ACME}"]),
        (_script("2000"), ["rang 1001", "rang 1002"]),
        (_script("2000", callee="is busy"), [f"voicemail 1003@{ACME}"]),
        (_script("*9196"), ["echo"]),
        (_script("7999"), ["refused UNALLOCATED_NUMBER"]),
        (_script("5000", digits=("1",)), ["pressed 1", "bridged 1002"]),
        (_script("5000", digits=("1003",)), ["pressed 1003", "bridged 1003"]),
        (_script("5000"), ["rang 1001", "rang 1002"]),
        (_inbound("12025550101"), ["rang 1001", "bridged 1001"]),
        (_inbound("12025550102"), ["rang 1001", "rang 1002"]),
        (_inbound("12025559999"), ["refused UNALLOCATED_NUMBER"]),
        (_script("12025550777"), ["bridged +12025550777"]),
    ],
)
async def test_calls_go_where_they_should(
    exchange: Exchange, script: Script, proofs: list[str]
) -> None:
    call_id = await exchange.switch.place_call(script=script)
    truth = exchange.switch.truth.by_id()[call_id]
    assert [it for it in proofs if it not in truth.proofs] == [], truth.proofs
    assert exchange.switch.truth.problems == []


async def test_a_call_keeps_its_id_over_all_its_legs_and_records(exchange: Exchange) -> None:
    call_id = await exchange.switch.place_call(script=_script("5000", digits=("1",)))
    await exchange.switch.stop()
    assert {it for _, it in exchange.channels.recorded.values()} == {call_id}
    assert len(exchange.cdrs) == 2
    assert {record["variables"]["nizam_call_id"] for _, _, record in exchange.cdrs} == {call_id}
    assert all(node == "fs1" and UUID(uuid) for node, uuid, _ in exchange.cdrs)
