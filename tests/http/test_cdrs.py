"""CDRs as the API shows them: found by what they are about, and told in full."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import attrs

from nizam.events.legs import Leg
from nizam.model.events import Event
from nizam.store.system.cdrs import write_legs
from nizam.store.system.events import write_events
from tests.http.conftest import Server

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
ADA, GRACE = UUID(int=11), UUID(int=12)
_DECISION = """
insert into call_decisions (decided_at, channel_id, question, tenant_id, call_id, node, revision,
    document)
values (%s, %s, 'q', %s, %s, 'fs1', 12, %s)
"""
_RECORDING = """
insert into recordings (id, tenant_id, path, call_id, started_at, told_at, core_id, sequence)
values (%s, %s, %s, %s, now(), now(), 'core', 1)
"""


async def call_in(server: Server, tenant: str, *, out: bool = False, seconds: int = 60) -> UUID:
    """A call from outside to Ada, or from Grace to Germany; its id."""
    call_id, mine = uuid4(), server.tenant_id(tenant)
    first = Leg(
        leg_id=call_id,
        call_id=call_id,
        tenant_id=mine,
        node="fs1",
        from_cdr=True,
        from_events=True,
        direction="inbound",
        context="acme.example.test" if out else "public",
        extension_id=GRACE if out else None,
        caller_number="1002" if out else "+4930123456",
        number="004930123456" if out else "12025550101",
        did=None if out else "+12025550101",
        destination="+4930123456" if out else None,
        started_at=AT,
        answered_at=AT + timedelta(seconds=4),
        ended_at=AT + timedelta(seconds=seconds),
        hangup_cause="NORMAL_CLEARING",
        hangup_disposition="recv_bye",
        codec="PCMA",
        mos=4.2,
        packet_loss_percent=0.5,
        jitter_ms=3.0,
        route="route World" if out else "did +12025550101 to extension 1001",
        revision=12,
    )
    second = attrs.evolve(
        first,
        leg_id=uuid4(),
        direction="outbound",
        extension_id=None if out else ADA,
        gateway="trunk" if out else None,
        originator_id=call_id,
        number="+4930123456" if out else "1001",
        from_events=False,
        mos=None,
    )
    await server.pool.transaction(lambda it: write_legs(it, [first, second]))
    return call_id


async def test_calls_are_found_by_what_they_are_about(server: Server) -> None:
    tenant = await server.make_tenant()
    inbound = await call_in(server, tenant)
    outbound = await call_in(server, tenant, out=True, seconds=600)
    recording = (str(uuid4()), str(server.tenant_id(tenant)), "a.wav", str(inbound))
    await server.pool.execute(_RECORDING, recording)
    for query, found in (
        (f"extension_id={ADA}", [inbound]),
        (f"extension_id[in]={ADA},{GRACE}", [inbound, outbound]),
        (f"extension_id={UUID(int=99)}", []),
        ("did=%2B12025550101", [inbound]),
        ("destination[prefix]=%2B4930", [outbound]),
        ("country=DE", [outbound]),
        ("recorded=true", [inbound]),
        ("recorded=false", [outbound]),
        ("gateway=trunk", [outbound]),
        ("direction=inbound&result=answered&hangup_cause=NORMAL_CLEARING", [inbound]),
        ("duration_ms[gte]=100000", [outbound]),
        ("from[prefix]=%2B49&to=12025550101", [inbound]),
        (
            "started_at[gte]=2026-11-24T10:00:00Z&started_at[lt]=2026-11-24T10:00:01Z&node=fs1",
            [inbound, outbound],
        ),
    ):
        answer = await server.request("GET", f"{tenant}/cdrs?{query}")
        ids = {it["call_id"] for it in answer.json["data"]}
        assert ids == {str(it) for it in found}, query
    shown = (await server.request("GET", f"{tenant}/cdrs?recorded=true")).json["data"]
    assert shown[0]["recording_ids"] == [recording[0]]
    assert shown[0]["extension_ids"] == [str(ADA)]
    assert (shown[0]["did"], shown[0]["country"]) == ("+12025550101", None)


async def test_a_call_is_told_in_full(server: Server) -> None:
    tenant = await server.make_tenant()
    call_id, other = await call_in(server, tenant), uuid4()
    mine = server.tenant_id(tenant)
    data: dict[str, Any] = {"kind": "attended", "to": "1003", "by": "1001"}
    events = [
        Event(
            type=kind,
            occurred_at=AT + timedelta(seconds=20),
            core_id="core",
            sequence=1,
            call_id=call_id,
            leg_id=call_id,
            tenant_id=mine,
            data=it,
        )
        for kind, it in (
            ("call.transferred", data),
            ("call.bridged", {"other_call_id": str(other)}),
        )
    ]
    await server.pool.transaction(lambda it: write_events(it, events))
    document = {
        "from": "+4930123456",
        "to": "12025550101",
        "outcome": "routed",
        "trace": [
            {"step": "blocked", "result": "passed", "detail": "is not blocked"},
            {"step": "did", "result": "chosen", "detail": "goes to did +12025550101"},
        ],
    }
    args = (AT, str(call_id), str(mine), str(call_id), document)
    await server.pool.execute(_DECISION, args)
    found = (await server.request("GET", f"{tenant}/cdrs/{call_id}")).json
    first, second = found["legs"]
    assert (first["depth"], first["parent_leg_id"], first["source"]) == (0, None, "both")
    assert (second["depth"], second["parent_leg_id"], second["source"]) == (1, str(call_id), "cdr")
    assert first["quality"] == {"mos": 4.2, "packet_loss_percent": 0.5, "jitter_ms": 3.0}
    assert (first["duration_ms"], first["billable_ms"], first["codec"]) == (60_000, 56_000, "PCMA")
    (transfer,) = found["transfers"]
    assert (transfer["kind"], transfer["to"], transfer["by"]) == ("attended", "1003", "1001")
    assert found["linked_call_ids"] == [str(other)]
    (decision,) = found["decisions"]
    assert decision["why"] == ["goes to did +12025550101"]
    assert (decision["revision"], found["route"]) == (12, "did +12025550101 to extension 1001")
