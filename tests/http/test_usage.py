"""What a tenant has used, by the days and months of its own clock, from the ledger alone."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.http.conftest import Server

_ENTRY = """
insert into usage_entries (at, tenant_id, kind, call_id, direction, country, gateway, calls,
    duration_ms, billable_ms, quantity)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


async def book(server: Server, tenant: str, at: str, **facts: Any) -> None:
    """Add an entry of a call, or of what `kind` says."""
    kind = facts.get("kind", "call")
    row = {
        "call_id": uuid4() if kind == "call" else None,
        "direction": None,
        "country": None,
        "gateway": None,
        "calls": int(kind == "call"),
        "duration_ms": 0,
        "billable_ms": 0,
        "quantity": 0,
    } | facts
    row.pop("kind", None)
    await server.pool.execute(_ENTRY, (at, server.tenant_id(tenant), kind, *row.values()))


async def used(server: Server, tenant: str, query: str = "") -> Any:
    answer = await server.request("GET", f"{tenant}/usage?{query}")
    assert answer.status == 200, answer.body
    return answer.json


async def _berlin(server: Server) -> str:
    """A tenant with some use, part of it about midnight of its own days."""
    mine, other = await server.make_tenant(), await server.make_tenant("other")
    await server.request("PATCH", mine, {"time_zone": "Europe/Berlin"})
    out = {"direction": "outbound", "country": "DE", "gateway": "one"}
    await book(server, mine, "2026-10-31T23:30Z", direction="inbound", billable_ms=1000)
    await book(server, mine, "2026-10-31T22:30Z", direction="inbound", billable_ms=5)
    await book(server, mine, "2026-11-02T10:00Z", **out, duration_ms=9000, billable_ms=7000)
    # What was corrected is the sum.
    again = uuid4()
    for calls, milliseconds in ((1, 500), (0, 100)):
        more = {"call_id": again, "calls": calls, "billable_ms": milliseconds, "gateway": "two"}
        await book(server, mine, "2026-11-02T11:00Z", **(out | more))
    moved = {"call_id": UUID(int=5), "direction": "internal"}
    await book(server, mine, "2026-11-02T12:00Z", **moved, billable_ms=300)
    await book(server, mine, "2026-11-02T12:00Z", **moved, billable_ms=-300, calls=-1)
    for at, kind, quantity in (
        ("2026-11-02T10:00Z", "peak_calls", 2),
        ("2026-11-02T10:00Z", "peak_calls", 3),
        ("2026-11-02T11:00Z", "peak_calls", 4),
        ("2026-11-03T00:00Z", "storage_bytes", 3_000_000_000),
        ("2026-11-03T09:00Z", "registered_devices", 7),
    ):
        await book(server, mine, at, kind=kind, quantity=quantity)
    await book(server, other, "2026-11-02T10:00Z", direction="inbound", billable_ms=77)
    return mine


async def test_use_is_added_up_by_days_of_the_tenants_clock(server: Server) -> None:
    mine = await _berlin(server)
    found = await used(server, mine, "first=2026-11-01&last=2026-11-03")
    assert (found["time_zone"], found["interval"]) == ("Europe/Berlin", "day")
    first, second, third = found["periods"]
    assert [it["start"] for it in found["periods"]] == ["2026-11-01", "2026-11-02", "2026-11-03"]
    assert first["inbound"] == {"calls": 1, "duration_ms": 0, "billable_ms": 1000}
    assert second["outbound"] == {"calls": 2, "duration_ms": 9000, "billable_ms": 7600}
    assert second["internal"] == {"calls": 0, "duration_ms": 0, "billable_ms": 0}
    assert [it["peak_calls"] for it in found["periods"]] == [0, 5, 0]
    assert (third["storage_bytes"], third["registered_devices"]) == (3_000_000_000, 7)
    assert found["totals"]["peak_calls"] == 5
    assert found["totals"]["outbound"] == second["outbound"]
    assert found["totals"]["groups"] == []


async def test_calls_are_told_apart_as_asked(server: Server) -> None:
    mine = await _berlin(server)
    query = "first=2026-10-01&last=2026-11-30&interval=month&group_by=gateway,country"
    found = await used(server, mine, query)
    assert [it["start"] for it in found["periods"]] == ["2026-10-01", "2026-11-01"]
    nothing = {"direction": None, "country": None, "gateway": None, "duration_ms": 0}
    german = {**nothing, "country": "DE", "calls": 1}
    assert found["periods"][0]["groups"] == [{**nothing, "calls": 1, "billable_ms": 5}]
    assert found["periods"][1]["groups"] == [
        {**nothing, "calls": 1, "billable_ms": 1000},
        {**german, "gateway": "one", "duration_ms": 9000, "billable_ms": 7000},
        {**german, "gateway": "two", "billable_ms": 600},
    ]
    assert found["totals"]["groups"][0] == {**nothing, "calls": 2, "billable_ms": 1005}


async def test_without_days_it_is_this_month_up_to_today(server: Server) -> None:
    mine = await server.make_tenant()
    ((today,),) = await server.pool.query("select (now() at time zone 'UTC')::date")
    found = await used(server, mine)
    assert (found["first"], found["last"]) == (f"{today:%Y-%m}-01", str(today))
    assert len(found["periods"]) == today.day


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("first=2026-11-02&last=2026-11-01", "last"),
        ("first=2020-01-01&last=2026-11-01", "last"),
        ("first=0001-01-01", "first"),
        ("first=yesterday", "first"),
        ("interval=week", "interval"),
        ("group_by=colour", "group_by"),
        ("group_by=gateway,gateway", "group_by"),
        ("from=2026-11-01", "from"),
    ],
)
async def test_what_cannot_be_asked_is_named(server: Server, query: str, wrong: str) -> None:
    mine = await server.make_tenant()
    answer = await server.request("GET", f"{mine}/usage?{query}")
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, wrong), answer.body
