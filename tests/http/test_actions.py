"""What can be done beside changing fields: webhooks, events, explain, live."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import attrs
import pytest

from nizam.http.reply import to_json
from nizam.model.events import Event
from nizam.model.registry import resource
from nizam.routing.rows import Row
from nizam.store.system.events import write_events
from tests.event_types import check_event
from tests.http.conftest import Server
from tests.http.described import sample_of

_CALL = UUID("6f0c8f2e-0000-4000-8000-000000000001")
_HOOK = {"url": "https://example.com/hooks", "event_types": ["call.*"]}


async def test_a_webhook_is_paused_resumed_and_given_a_new_secret(server: Server) -> None:
    tenant = await server.make_tenant()
    made = await server.make(f"{tenant}/webhooks", _HOOK)
    path = f"{tenant}/webhooks/{made['id']}"
    assert made["secret"].startswith("whsec_")
    paused = await server.request("POST", f"{path}/pause")
    assert (paused.status, paused.json["status"]) == (200, "paused")
    resumed = await server.request("POST", f"{path}/resume")
    assert (resumed.status, resumed.json["status"]) == (200, "active")
    rotated = await server.request("POST", f"{path}/rotate-secret")
    assert rotated.status == 200
    assert rotated.json["secret"] not in ("", made["secret"])
    assert "secret" not in (await server.request("GET", path)).json
    kept = await server.pool.query("select previous_secret_until > now() from webhook_states")
    assert kept == [(True,)]


async def test_a_test_event_makes_one_delivery(server: Server) -> None:
    tenant = await server.make_tenant()
    hook = await server.make(f"{tenant}/webhooks", _HOOK)
    await server.make(f"{tenant}/webhooks", {**_HOOK, "event_types": ["*"]})
    path = f"{tenant}/webhooks/{hook['id']}"
    sent = await server.request("POST", f"{path}/test")
    assert sent.status == 202, sent.body
    found = (await server.request("GET", f"{path}/deliveries?event_type=webhook.test")).json["data"]
    assert [it["id"] for it in found] == [sent.json["delivery_id"]]
    assert found[0]["status"] == "pending"
    event = await server.request("GET", f"{tenant}/call-events/{sent.json['event_id']}")
    assert check_event(event.json) == "webhook.test"
    rows = await server.pool.query(
        "select count(*) from webhook_deliveries where event_type = 'webhook.test'"
    )
    assert rows == [(1,)]
    assert (await server.request("GET", f"{path}/stats")).json["pending"] >= 1


async def test_ended_deliveries_are_replayed(server: Server) -> None:
    tenant = await server.make_tenant()
    hook = await server.make(f"{tenant}/webhooks", _HOOK)
    path = f"{tenant}/webhooks/{hook['id']}"
    await server.request("POST", f"{path}/test")
    await server.pool.execute("update webhook_deliveries set status = 'dead', attempt_count = 9")
    replayed = await server.request("POST", f"{path}/replay", {"statuses": ["dead"]})
    assert (replayed.status, replayed.json["deliveries"]) == (202, 1), replayed.body
    again = await server.request("POST", f"{path}/replay")
    assert again.json["deliveries"] == 0
    replays = (await server.request("GET", f"{path}/replays")).json["data"]
    assert [(it["status"], it["replayed"], it["total"]) for it in replays] == [
        ("done", 0, 0),
        ("done", 1, 1),
    ]
    attempts = await server.request("GET", f"{path}/attempts")
    assert (attempts.status, attempts.json["data"]) == (200, [])


async def test_a_webhook_has_one_replay_at_a_time_which_can_be_cancelled(server: Server) -> None:
    tenant = await server.make_tenant()
    path = f"{tenant}/webhooks/{(await server.make(f'{tenant}/webhooks', _HOOK))['id']}"
    for _ in range(3):
        await server.request("POST", f"{path}/test")
    await server.pool.execute("update webhook_deliveries set status = 'dead'")
    begun = await server.request("POST", f"{path}/replay", {"rate_per_second": 2})
    assert (begun.status, begun.json["deliveries"]) == (202, 3), begun.body
    assert (await server.request("POST", f"{path}/replay")).status == 409
    one = (await server.request("GET", f"{path}/deliveries?status=dead")).json["data"][0]["id"]
    named = await server.request("POST", f"{path}/replay", {"delivery_ids": [one]})
    assert named.json == {"deliveries": 1, "replay_id": None}
    for cancelled in (True, False):
        answer = await server.request("POST", f"{path}/cancel-replay")
        assert answer.json == {"cancelled": cancelled}
    assert (await server.request("GET", f"{path}/replays")).json["data"][0]["replayed"] == 2


async def test_what_waits_is_given_up_and_what_is_dead_removed(server: Server) -> None:
    tenant = await server.make_tenant()
    path = f"{tenant}/webhooks/{(await server.make(f'{tenant}/webhooks', _HOOK))['id']}"
    await server.request("POST", f"{path}/test")
    assert (await server.request("POST", f"{path}/purge")).status in (400, 422)
    for what, left in (("waiting", ["dead"]), ("dead", [])):
        purged = await server.request("POST", f"{path}/purge", {"what": what})
        assert purged.json == {"deliveries": 1, "more": False}, purged.body
        found = (await server.request("GET", f"{path}/deliveries")).json["data"]
        assert [it["status"] for it in found] == left
    log = (await server.request("GET", f"{tenant}/audit-logs?action=purged")).json["data"]
    assert [it["after"]["what"] for it in log] == ["dead", "waiting"]


async def test_the_depth_of_the_queue_is_told_to_the_platform(server: Server) -> None:
    tenant = await server.make_tenant()
    path = f"{tenant}/webhooks/{(await server.make(f'{tenant}/webhooks', _HOOK))['id']}"
    for _ in range(3):
        await server.request("POST", f"{path}/test")
    found = (await server.request("GET", "/api/v1/queue")).json
    assert (found["depth"], found["ready"], found["dead"]) == (3, 3, 0)
    assert found["oldest_seconds"] >= 0


def _event(tenant: str, sequence: int, kind: str = "call.dtmf") -> Event:
    return Event(
        type=kind,
        occurred_at=datetime.now(UTC),
        core_id="core",
        sequence=sequence,
        tenant_id=UUID(tenant.rpartition("/")[2]),
        node="fs1",
        call_id=_CALL,
        leg_id=_CALL,
        data={"to": "1001"},
    )


async def test_call_events_are_listed_traced_and_dispatched_again(server: Server) -> None:
    tenant = await server.make_tenant()
    hook = await server.make(f"{tenant}/webhooks", _HOOK)
    events = [_event(tenant, number) for number in range(3)]
    await write_events(server.pool, events)
    listed = await server.request("GET", f"{tenant}/call-events?call_id={_CALL}&limit=2")
    assert [it["id"] for it in listed.json["data"]] == [events[2].id, events[1].id]
    rest = await server.request(
        "GET", f"{tenant}/call-events?call_id={_CALL}&cursor={listed.json['next_cursor']}"
    )
    assert [it["id"] for it in rest.json["data"]] == [events[0].id]
    trace = await server.request("GET", f"{tenant}/calls/{_CALL}/trace")
    assert [it["sequence"] for it in trace.json["events"]] == [0, 1, 2]
    one = await server.request("GET", f"{tenant}/call-events/{events[0].id}")
    assert one.json["data"] == {"to": "1001"}
    await server.pool.execute("update webhook_deliveries set status = 'succeeded'")
    sent = await server.request("POST", f"{tenant}/call-events/{events[0].id}/redispatch")
    assert (sent.status, sent.json["deliveries"]) == (202, 1), sent.body
    waiting = await server.request(
        "GET", f"{tenant}/webhooks/{hook['id']}/deliveries?status=pending"
    )
    assert [it["event_id"] for it in waiting.json["data"]] == [events[0].id]
    other = await server.make_tenant("other")
    assert (await server.request("GET", f"{other}/call-events/{events[0].id}")).status == 404
    assert (await server.request("GET", f"{other}/calls/{_CALL}/trace")).status == 404
    for no_id in ("evt_", f"evt_{'f' * 32}", f"evt_e677d21fdbff{'0' * 20}", f"evt_{'0' * 31}%00"):
        for method, path in (("GET", no_id), ("POST", f"{no_id}/redispatch")):
            answer = await server.request(method, f"{tenant}/call-events/{path}")
            assert answer.status == 404, (path, answer.body)


async def test_call_events_are_followed_in_the_order_in_which_they_are_stored(
    server: Server,
) -> None:
    tenant = await server.make_tenant()
    path = f"{tenant}/call-events"

    async def after(cursor: str, more: str = "") -> tuple[list[int], str, bool]:
        answer = (await server.request("GET", f"{path}?after={cursor}{more}")).json
        return [it["sequence"] for it in answer["data"]], answer["next_cursor"], answer["has_more"]

    begun = await after("start", "&type=call.dtmf")
    end = (await after("end"))[1]
    assert begun == ([], end, False)
    late, third = _event(tenant, 1), _event(tenant, 3)
    await write_events(server.pool, [_event(tenant, 2), third, _event(tenant, 4)])
    first = await after(end, "&limit=2")
    assert (first[0], first[2]) == ([2, 3], True)
    await write_events(server.pool, [late])  # which happened before all of them
    assert (await after(first[1]))[0] == [4, 1]
    assert (await after(late.id))[0] == []
    assert (await after(third.id))[0] == [4, 1]
    assert (await after(end, f"&call_id={UUID(int=0)}"))[0] == []
    other = await server.make_tenant("other")
    assert (await server.request("GET", f"{other}/call-events?after={late.id}")).status == 404


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("after=4711", "after"),
        ("after=", "after"),
        ("after=start&after=end", "after"),
        ("after=start&sort=occurred_at", "sort"),
        ("after=start&cursor=x", "cursor"),
        ("after=start&colour=red", "colour"),
    ],
)
async def test_a_place_in_the_log_that_there_is_not_is_refused(
    server: Server, query: str, wrong: str
) -> None:
    tenant = await server.make_tenant()
    answer = await server.request("GET", f"{tenant}/call-events?{query}")
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, wrong)


async def test_a_gateway_shows_its_state_and_when_it_changed(server: Server) -> None:
    tenant, other = await server.make_tenant(), await server.make_tenant("other")
    made = await server.make(f"{tenant}/gateways", {"name": "One", "host": "192.0.2.1"})
    path = f"{tenant}/gateways/{made['id']}"
    assert (await server.request("GET", path)).json["state"] is None
    heard = {"tenant_id": tenant.rpartition("/")[2], "changed_at": "2026-01-01T00:00:00.000000Z"}
    for node, up in (("fs1", True), ("fs2", False)):
        document = heard | {"gateway": made["id"], "node": node, "up": up}
        server.api.live.put("gateways", node, made["id"], document)
    shown = (await server.request("GET", path)).json
    assert (shown["state"], shown["state_changed_at"]) == ("down", heard["changed_at"])

    told = [
        attrs.evolve(_event(tenant, number, kind), data={"gateway_id": gateway})
        for number, (kind, gateway) in enumerate(
            [
                ("gateway.up", made["id"]),
                ("gateway.down", made["id"]),
                ("gateway.down", str(_CALL)),
                ("call.dtmf", made["id"]),
            ]
        )
    ]
    await write_events(server.pool, told)
    states = await server.request("GET", f"{path}/states")
    assert [it["id"] for it in states.json["data"]] == [told[1].id, told[0].id]
    first = await server.request("GET", f"{path}/states?type=gateway.down&limit=1")
    assert [it["type"] for it in first.json["data"]] == ["gateway.down"]
    assert (await server.request("GET", f"{other}/gateways/{made['id']}/states")).status == 404


async def test_live_calls_and_registrations_are_those_of_the_tenant(server: Server) -> None:
    tenant, other = await server.make_tenant(), await server.make_tenant("other")
    call: dict[str, Any] = sample_of("LiveCall") | {
        "call_id": str(_CALL),
        "tenant_id": tenant.rpartition("/")[2],
        "started_at": "2026-01-01T00:00:00Z",
    }
    server.api.live.put("calls", "fs1", str(_CALL), call)
    assert (await server.request("GET", f"{tenant}/calls")).json["data"] == [call]
    assert (await server.request("GET", f"{tenant}/calls/{_CALL}")).json == call
    assert (await server.request("GET", f"{other}/calls")).json["data"] == []
    assert (await server.request("GET", f"{other}/calls/{_CALL}")).status == 404
    assert (await server.request("GET", f"{tenant}/registrations")).json["data"] == []


async def test_explain_knows_the_phones_of_now_and_no_other_time(server: Server) -> None:
    tenant = await server.make_tenant()
    made = await server.make(f"{tenant}/extensions", {"number": "1002", "display_name": "Grace"})
    shown = (await server.request("GET", tenant)).json
    for kind, it in (("tenant", shown), ("extension", made)):
        fields = resource(kind).body.model_fields
        body = to_json({name: it[name] for name in fields if name in it})
        owner = None if kind == "tenant" else UUID(shown["id"])
        server.api.snapshot.put(Row(kind, UUID(it["id"]), owner, 1, body))
    for number in (1, 2):
        phone = {
            "tenant_id": shown["id"],
            "user": "1002",
            "domain": shown["domain"],
            "contact": f"sip:1002@192.0.2.{number}:5060",
            "profile": "internal",
            "node": "fs1",
            "registered_at": f"2026-01-0{number}T00:00:00Z",
        }
        server.api.live.put("registrations", "fs1", str(number), phone)
    call = {"from": "1001", "to": "1002"}
    now = await server.request("POST", f"{tenant}/routing/explain", call)
    then = await server.request(
        "POST", f"{tenant}/routing/explain", call | {"at": "2026-01-03T00:00:00Z"}
    )
    assert now.json["xml"].count("sip:1002@192.0.2.") == 2, now.body
    assert "sip:" not in then.json["xml"]


async def test_explain_says_where_a_call_would_go(server: Server) -> None:
    tenant = await server.make_tenant()
    shown = (await server.request("GET", tenant)).json
    fields = resource("tenant").body.model_fields
    body = to_json({name: it for name, it in shown.items() if name in fields})
    identifier = UUID(shown["id"])
    server.api.snapshot.put(Row("tenant", identifier, None, 1, body))
    answer = await server.request(
        "POST", f"{tenant}/routing/explain", {"from": "1001", "to": "9999"}
    )
    assert answer.status == 200, answer.body
    assert answer.json["trace"]
    assert answer.json["xml"].startswith("<")
    wrong = await server.request("POST", f"{tenant}/routing/explain", {"from": "${x}", "at": "now"})
    assert {it["path"] for it in wrong.json["errors"]} == {"/from", "/to", "/at"}


async def test_cdrs_are_listed_and_shown_with_their_legs(server: Server) -> None:
    tenant = await server.make_tenant()
    await server.pool.execute(
        "insert into cdrs (call_id, started_at, tenant_id, direction, from_number, to_number,"
        " duration_ms, billable_ms, result, hangup_by, source) values (%s, now(), %s, 'inbound',"
        " '+12025550100', '1001', 5000, 3000, 'answered', 'caller', 'both')",
        (_CALL, server.tenant_id(tenant)),
    )
    listed = await server.request("GET", f"{tenant}/cdrs?result=answered&from[prefix]=%2B1202")
    assert [it["call_id"] for it in listed.json["data"]] == [str(_CALL)]
    one = await server.request("GET", f"{tenant}/cdrs/{_CALL}")
    assert (one.json["duration_ms"], one.json["legs"]) == (5000, [])
    assert (await server.request("GET", f"{tenant}/cdrs?result=busy")).json["data"] == []


async def test_a_switch_node_shows_its_link(server: Server) -> None:
    made = await server.make("/api/v1/switch-nodes", resource("switch_node").example)
    link = {"connected": True, "since": None, "last_event_at": None, "lag_seconds": None}
    server.api.live.put("links", "fs1", "link", link)
    for path in (f"/api/v1/switch-nodes/{made['id']}", "/api/v1/switch-nodes"):
        shown = (await server.request("GET", path)).json
        node = shown["data"][0] if "data" in shown else shown
        assert node["link"] == link


async def test_a_gateway_shows_its_state(server: Server) -> None:
    tenant = await server.make_tenant()
    made = await server.make(f"{tenant}/gateways", resource("gateway").example)
    path = f"{tenant}/gateways/{made['id']}"
    assert (await server.request("GET", path)).json["state"] is None
    heard = {"gateway": made["id"], "tenant_id": str(server.tenant_id(tenant)), "node": "fs1"}
    for node, up, state in (("fs1", True, "up"), ("fs2", False, "down"), ("fs2", True, "up")):
        document = heard | {"node": node, "up": up, "changed_at": f"2026-11-24T03:00:0{up:d}Z"}
        server.api.live.put("gateways", node, made["id"], document)
        assert (await server.request("GET", path)).json["state"] == state
    [listed] = (await server.request("GET", f"{tenant}/gateways")).json["data"]
    assert (listed["state"], listed["state_changed_at"]) == ("up", "2026-11-24T03:00:01Z")
