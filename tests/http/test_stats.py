"""The figures of a tenant: what it has against what it may have, and what it does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg2

from nizam.model.identifiers import new_id
from tests.http.conftest import Server

_CDR = """
insert into cdrs (call_id, started_at, tenant_id, direction, duration_ms, billable_ms, result,
    hangup_by, source)
values (%s, %s, %s, 'inbound', 1000, 0, %s, 'caller', 'events')
"""
_DELIVERY = """
insert into webhook_deliveries (event_id, event_occurred_at, event_type, webhook_id, tenant_id,
    status)
values (%s, now(), 'call.ended', %s, %s, %s)
"""


async def stats(server: Server, tenant: str, **more: Any) -> dict[str, Any]:
    answer = await server.request("GET", f"{tenant}/stats", **more)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


async def test_a_tenant_that_has_nothing(server: Server) -> None:
    tenant = await server.make_tenant()
    found = await stats(server, tenant)
    assert found["tenant_id"] == str(server.tenant_id(tenant))
    assert found["status"] == "trial"
    counts = {name: it["count"] for name, it in found["resources"].items() if it["count"]}
    assert counts.keys() == {"feature_codes"}
    assert found["resources"]["extensions"] == {"count": 0, "limit": None}
    assert found["live_calls"] == {"count": 0, "limit": None}
    assert found["registrations"] == 0
    assert found["calls_today"]["total"] == found["calls_last_hour"]["total"] == 0
    assert found["deliveries"] == {"pending": 0, "dead": 0}
    assert found["media"] == {"files": 0, "bytes": 0}
    assert (found["last_change"]["revision"], found["last_change"]["kind"]) == (1, "change")


async def test_objects_are_counted_against_the_quotas(server: Server) -> None:
    tenant, other = await server.make_tenant(), await server.make_tenant("other")
    quotas = {"max_extensions": 5, "max_dids": 2, "max_concurrent_calls": 30}
    await server.request("PATCH", tenant, {"quotas": quotas})
    for number in ("1001", "1002", "1003"):
        body = {"number": number, "display_name": number}
        await server.make(f"{tenant}/extensions", body)
    await server.make(f"{other}/extensions", {"number": "1001", "display_name": "Other"})
    found = await stats(server, tenant)
    assert found["resources"]["extensions"] == {"count": 3, "limit": 5}
    assert found["resources"]["dids"] == {"count": 0, "limit": 2}
    assert found["resources"]["ring_groups"] == {"count": 0, "limit": None}
    assert found["live_calls"]["limit"] == 30
    assert found["last_change"]["revision"] == 5
    assert found["last_change"]["by"] == "tests"


async def test_calls_are_counted_by_result_of_the_hour_and_of_the_tenants_own_day(
    server: Server, database: str
) -> None:
    # Wherever the test runs, it is after three in the morning in one of these places.
    now = datetime.now(UTC)
    zone = next(
        it
        for it in ("UTC", "Asia/Tokyo", "America/Los_Angeles")
        if 3 <= now.astimezone(ZoneInfo(it)).hour < 23
    )
    midnight = now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    tenant, other = await server.make_tenant(), await server.make_tenant("other")
    await server.request("PATCH", tenant, {"time_zone": zone})
    before = timedelta(seconds=1)
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        for place, started_at, result in (
            (tenant, now - timedelta(minutes=5), "answered"),
            (tenant, now - timedelta(minutes=59), "busy"),
            (tenant, now - timedelta(minutes=61), "answered"),
            (tenant, midnight + before, "voicemail"),
            (tenant, midnight - before, "failed"),
            (other, now - timedelta(minutes=5), "rejected"),
        ):
            values = (str(uuid4()), started_at, str(server.tenant_id(place)), result)
            cursor.execute(_CDR, values)
    found = await stats(server, tenant)
    today, hour = found["calls_today"], found["calls_last_hour"]
    assert datetime.fromisoformat(today.pop("since")) == midnight
    assert {name: it for name, it in today.items() if it} == {
        "total": 4,
        "answered": 2,
        "busy": 1,
        "voicemail": 1,
    }
    assert {name: it for name, it in hour.items() if it} == {"total": 2, "answered": 1, "busy": 1}
    assert today.keys() == hour.keys()


async def test_what_goes_on_is_counted_for_each_tenant_alone(server: Server, database: str) -> None:
    tenant, other = await server.make_tenant(), await server.make_tenant("other")
    live = server.api.live
    for number, place in enumerate((tenant, tenant, other)):
        of = {"tenant_id": str(server.tenant_id(place)), "legs": []}
        live.put("calls", "fs1", f"call{number}", of)
        live.put("registrations", f"fs{number}", f"phone{number}", of)
    live.put("registrations", "fs1", "nobody's", {"tenant_id": None})
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        for number, (place, status) in enumerate(
            [(tenant, it) for it in ("pending", "delivering", "dead", "succeeded")]
            + [(other, "dead")]
        ):
            of_whom = str(server.tenant_id(place))
            cursor.execute(_DELIVERY, (f"evt_{number}", str(new_id()), of_whom, status))
    found = await stats(server, tenant)
    assert found["live_calls"]["count"] == 2
    assert found["registrations"] == 2
    assert found["deliveries"] == {"pending": 2, "dead": 1}


async def test_sound_files_are_counted_with_their_bytes(server: Server, database: str) -> None:
    tenant = await server.make_tenant()
    await server.make(f"{tenant}/prompts", {"name": "Without a file"})
    prompt = await server.make(f"{tenant}/prompts", {"name": "Welcome"})
    music = await server.make(f"{tenant}/music-on-hold", {"name": "Piano"})
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(
            """update prompts set body = body || '{"audio": {"bytes": 3000000000}}'"""
            " where id = %s",
            (prompt["id"],),
        )
        cursor.execute(
            """update music_on_hold set body = body || '{"files": [{"bytes": 5}, {"bytes": 6}]}'"""
            " where id = %s",
            (music["id"],),
        )
    assert (await stats(server, tenant))["media"] == {"files": 3, "bytes": 3000000011}


async def test_the_tenants_own_key_sees_its_figures_and_no_others(server: Server) -> None:
    tenant, other = await server.make_tenant(), await server.make_tenant("other")
    key = await server.make_key("stats:read", tenant=tenant)
    await stats(server, tenant, key=key)
    assert (await server.request("GET", f"{other}/stats", key=key)).status == 404
    gone = tenant[:-4] + "0000"
    assert (await server.request("GET", f"{gone}/stats")).status == 404
