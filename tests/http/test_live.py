"""The lists of what goes on now page, filter and sort as every other list does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from nizam.model.events import Event
from nizam.store.system.events import write_events
from tests.http.conftest import Server

_OTHER = "01937a5e-0000-7000-8000-00000000000f"


def _call(number: int, tenant: str, **more: Any) -> dict[str, Any]:
    return {
        "call_id": str(UUID(int=number)),
        "tenant_id": tenant,
        "state": "ringing",
        "direction": "internal",
        "from": "1001",
        "to": "1002",
        "started_at": f"2026-11-24T05:00:{number:02}.000000Z",
        "answered_at": None,
        "node": "fs1",
        "legs": [],
        "recording": None,
        **more,
    }


async def _show_calls(server: Server, count: int = 5) -> str:
    tenant = await server.make_tenant()
    identifier = str(server.tenant_id(tenant))
    for number in range(count):
        answered = {"state": "answered", "answered_at": f"2026-11-24T05:01:{number:02}.000000Z"}
        call = _call(number, identifier, **(answered if number % 2 else {}))
        server.api.live.put("calls", "fs1", call["call_id"], call)
    stranger = _call(99 - 40, _OTHER)
    server.api.live.put("calls", "fs1", stranger["call_id"], stranger)
    return tenant


@pytest.mark.parametrize(
    "sort", ["started_at", "-started_at", "answered_at", "-answered_at", "state"]
)
async def test_pages_hold_every_call_once_in_any_order(server: Server, sort: str) -> None:
    tenant = await _show_calls(server)
    found: list[str] = []
    query = f"limit=2&sort={sort}"
    for _ in range(3):
        page = (await server.request("GET", f"{tenant}/calls?{query}")).json
        found += [it["call_id"] for it in page["data"]]
        query = f"limit=2&sort={sort}&cursor={page['next_cursor']}"
    assert not page["has_more"]
    assert sorted(found) == [str(UUID(int=number)) for number in range(5)]
    whole = (await server.request("GET", f"{tenant}/calls?sort={sort}")).json["data"]
    assert [it["call_id"] for it in whole] == found


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("state=answered", [1, 3]),
        ("state[in]=ringing,held", [0, 2, 4]),
        ("started_at[gte]=2026-11-24T05:00:03Z", [3, 4]),
        ("answered_at[lt]=2026-11-24T05:01:02Z", [1]),
        ("node[prefix]=fs&direction=internal&state=ringing", [0, 2, 4]),
        ("node=fs2", []),
    ],
)
async def test_calls_are_filtered(server: Server, query: str, numbers: list[int]) -> None:
    tenant = await _show_calls(server)
    page = (await server.request("GET", f"{tenant}/calls?{query}")).json
    assert [UUID(it["call_id"]).int for it in page["data"]] == numbers


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "cursor=x", "colour=red", "sort=legs"])
async def test_a_wrong_parameter_is_refused(server: Server, query: str) -> None:
    tenant = await server.make_tenant()
    for path in ("calls", "registrations"):
        answer = await server.request("GET", f"{tenant}/{path}?{query}")
        assert answer.status == 422


async def test_registrations_have_every_field_whatever_told_of_them(server: Server) -> None:
    tenant = await server.make_tenant()
    own = {"tenant_id": str(server.tenant_id(tenant)), "node": "fs1", "domain": "acme.example.test"}
    seen = {"user": "1002", "call_id": "b", "contact": "sip:1002@192.0.2.7", **own}
    told = {
        "user": "1001",
        "call_id": "a",
        "expires_seconds": 60,
        "registered_at": "2026-11-24T05:00:00.000000Z",
        **own,
    }
    for it in (seen, told):
        server.api.live.put("registrations", "fs1", str(it["user"]), it)
    page = (await server.request("GET", f"{tenant}/registrations?limit=1")).json
    assert [it["user"] for it in page["data"]] == ["1001"]
    rest = await server.request(
        "GET", f"{tenant}/registrations?limit=1&cursor={page['next_cursor']}"
    )
    assert [it["contact"] for it in rest.json["data"]] == ["sip:1002@192.0.2.7"]
    assert page["data"][0].keys() == rest.json["data"][0].keys()
    assert rest.json["has_more"] is False


async def test_the_history_of_phones_is_listed_with_why_they_were_lost(server: Server) -> None:
    tenant, other = await server.make_tenant(), await server.make_tenant("other")
    events = [
        Event(
            type=f"registration.{kind}",
            occurred_at=datetime(2026, 11, 24, 5, number, tzinfo=UTC),
            core_id="core",
            sequence=number,
            node="fs1",
            tenant_id=server.tenant_id(whose),
            data={"user": user, "reason": reason},
        )
        for number, (whose, kind, user, reason) in enumerate(
            [
                (tenant, "registered", "1001", None),
                (tenant, "expired", "1001", "expired"),
                (tenant, "registered", "1002", None),
                (other, "registered", "1001", None),
                (tenant, "unregistered", "1002", "node_lost"),
            ]
        )
    ]
    await write_events(server.pool, events)

    async def history(query: str) -> list[tuple[str, str | None]]:
        found = (await server.request("GET", f"{tenant}/registrations/history?{query}")).json
        return [(it["data"]["user"], it["data"]["reason"]) for it in found["data"]]

    assert await history("") == [
        ("1002", "node_lost"),
        ("1002", None),
        ("1001", "expired"),
        ("1001", None),
    ]
    assert await history("reason[in]=expired,node_lost&user=1001") == [("1001", "expired")]
    assert await history("type=registration.registered&node=fs1&limit=1") == [("1002", None)]
