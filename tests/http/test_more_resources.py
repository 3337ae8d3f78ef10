"""What holds for conference rooms, parking lots, plans, policies and feature codes beyond CRUD."""

from __future__ import annotations

from typing import Any

import pytest

from nizam.model.feature_code import DEFAULTS
from tests.http.conftest import Server

LOT = {"number": "700", "name": "Desk", "slot_from": "701", "slot_to": "709"}
NOBODY = "01937a5e-0000-7000-8000-00000000000f"
REJECT = {"action": {"type": "reject"}}


def hangup() -> dict[str, str]:
    return {"type": "hangup"}


def condition(value: Any) -> dict[str, Any]:
    return {"name": "P", "condition": value, **REJECT}


@pytest.mark.parametrize(
    ("path", "body", "wrong"),
    [
        ("parking-lots", LOT | {"slot_to": "699"}, {""}),
        ("parking-lots", LOT | {"slot_to": "1000"}, {""}),
        ("parking-lots", LOT | {"slot_from": "100000", "slot_to": "199999"}, {""}),
        ("parking-lots", LOT | {"number": "705"}, {""}),
        ("parking-lots", LOT | {"slot_from": "001"}, {"/slot_from"}),
        ("conference-rooms", {"number": "3000", "name": "x", "member_pin": "ab"}, {"/member_pin"}),
        (
            "conference-rooms",
            {"number": "3000", "name": "x", "member_pin": "4711", "moderator_pin": "4711"},
            {""},
        ),
        ("calendars", {"name": "x", "days": [{"month": 2, "day": 30}]}, {"/days/0"}),
        ("calendars", {"name": "x", "days": [{"month": 2}]}, {"/days/0"}),
        ("calendars", {"name": "x", "days": [{"date": "2026-02-30"}]}, {"/days/0/date"}),
        ("feature-codes", {"code": "97", "feature": "echo"}, {"/code"}),
        ("feature-codes", {"code": "*0", "feature": "speed_dial"}, {""}),
        ("feature-codes", {"code": "*0", "feature": "echo", "destination": hangup()}, {""}),
        ("feature-codes", {"code": "*0", "feature": "coffee"}, {"/feature"}),
        ("blocked-numbers", {"pattern": "1.2"}, {"/pattern"}),
        (
            "blocked-numbers",
            {"pattern": "1.", "expires_at": "2026-01-01T00:00:00"},
            {"/expires_at"},
        ),
        (
            "emergency-plans",
            {"name": "x", "numbers": ["911"], "gateways": [{"gateway_id": NOBODY}]},
            {"/gateways/0/gateway_id"},
        ),
        ("routing-policies", condition({"type": "moon"}), {"/condition"}),
        ("routing-policies", condition({"all": [{"type": "did"}]}), {"/condition/all/0/did_id"}),
        (
            "routing-policies",
            condition({"type": "did", "did_id": NOBODY}),
            {"/condition/did_id"},
        ),
        ("routing-policies", condition({"all": [], "any": []}), {"/condition"}),
        (
            "routing-policies",
            {"name": "P", "condition": {"type": "anonymous"}, "action": {"type": "redirect"}},
            {"/action/destination"},
        ),
        (
            "time-conditions",
            {
                "name": "x",
                "holidays_destination": hangup(),
                "match_destination": hangup(),
                "otherwise_destination": hangup(),
            },
            {""},
        ),
    ],
)
async def test_every_wrong_field_is_named(
    server: Server, path: str, body: dict[str, Any], wrong: set[str]
) -> None:
    tenant = await server.make_tenant()
    answer = await server.request("POST", f"{tenant}/{path}", body)
    assert answer.status == 422, answer.body
    found = {it["path"] for it in answer.json["errors"] if it["code"] != "too_short"}
    assert found == wrong


async def test_slots_and_emergency_numbers_are_numbers_that_nothing_else_may_have(
    server: Server,
) -> None:
    tenant = await server.make_tenant()
    lot = await server.make(f"{tenant}/parking-lots", LOT)
    inside = {"number": "705", "display_name": "Ada"}
    taken = await server.request("POST", f"{tenant}/extensions", inside)
    assert (taken.status, taken.json["holder"]["id"]) == (409, lot["id"])
    await server.make(f"{tenant}/extensions", inside | {"number": "710"})
    wider = await server.request("PATCH", f"{tenant}/parking-lots/{lot['id']}", {"slot_to": "711"})
    assert (wider.status, wider.json["errors"][0]["path"]) == (409, "/slot_from")
    gateway = await server.make(f"{tenant}/gateways", {"name": "g", "host": "192.0.2.1"})
    plan = {"name": "x", "numbers": ["911", "700"], "gateways": [{"gateway_id": gateway["id"]}]}
    refused = await server.request("POST", f"{tenant}/emergency-plans", plan)
    assert (refused.status, refused.json["errors"][0]["path"]) == (409, "/numbers/1")
    await server.request("DELETE", f"{tenant}/parking-lots/{lot['id']}")
    await server.make(f"{tenant}/extensions", inside)


async def test_a_new_tenant_has_its_feature_codes(server: Server) -> None:
    tenant = await server.make_tenant()
    listed = await server.request("GET", f"{tenant}/feature-codes?limit=200")
    assert {(it["code"], it["feature"]) for it in listed.json["data"]} == set(DEFAULTS)
    again = await server.request(
        "POST", f"{tenant}/feature-codes", {"code": "*97", "feature": "echo"}
    )
    assert (again.status, again.json["errors"][0]["path"]) == (409, "/code")
    voicemail = next(it for it in listed.json["data"] if it["code"] == "*97")
    path = f"{tenant}/feature-codes/{voicemail['id']}"
    changed = await server.request("PATCH", path, {"code": "*96"})
    assert changed.json["code"] == "*96"
    assert (await server.request("DELETE", path)).status == 204


@pytest.mark.parametrize(
    ("path", "body", "pins"),
    [
        (
            "conference-rooms",
            {"number": "3000", "name": "x", "member_pin": "471199", "moderator_pin": "081566"},
            ("471199", "081566"),
        ),
        (
            "extensions",
            {"number": "1001", "display_name": "Ada", "voicemail": {"pin": "471199"}},
            ("471199",),
        ),
    ],
)
async def test_pins_are_revealed_and_shown_nowhere_else(
    server: Server, path: str, body: dict[str, Any], pins: tuple[str, ...]
) -> None:
    tenant = await server.make_tenant()
    made = await server.request("POST", f"{tenant}/{path}", body)
    one = f"{tenant}/{path}/{made.json['id']}"
    changed = await server.request("PATCH", one, {"voicemail": {"email": "a@example.com"}})
    if path == "conference-rooms":
        changed = await server.request("PATCH", one, {"record": True})
    answers = [made, changed, await server.request("GET", one)]
    answers.append(await server.request("GET", f"{tenant}/{path}"))
    kept = await server.pool.query(
        "select (select string_agg(data::text, '') from call_events), "
        "(select string_agg(before::text || after::text, '') from audit_logs)"
    )
    shown = "".join([repr(kept), *(it.body.decode() for it in answers)])
    assert [pin for pin in pins if pin in shown] == []
    revealed = await server.request("POST", f"{one}/reveal")
    assert [pin for pin in pins if pin in revealed.body.decode()] == list(pins)


async def test_a_pin_set_to_null_is_gone(server: Server) -> None:
    tenant = await server.make_tenant()
    body = {"number": "1001", "display_name": "Ada", "voicemail": {"pin": "4711"}}
    made = await server.make(f"{tenant}/extensions", body)
    one = f"{tenant}/extensions/{made['id']}"
    await server.request("PATCH", one, {"voicemail": {"pin": None}})
    revealed = await server.request("POST", f"{one}/reveal")
    assert revealed.json["voicemail"]["pin"] is None


async def test_a_circle_without_a_person_in_it_is_refused(server: Server) -> None:
    tenant = await server.make_tenant()
    policy = await server.make(f"{tenant}/routing-policies", condition({"type": "anonymous"}))
    bridge = {
        "id": "on",
        "type": "bridge",
        "destination": {"type": "routing_policy", "id": policy["id"]},
    }
    flow = await server.make(
        f"{tenant}/call-flows", {"name": "F", "start": "on", "nodes": [bridge]}
    )
    there = {"otherwise": {"type": "call_flow", "id": flow["id"]}}
    path = f"{tenant}/routing-policies/{policy['id']}"
    refused = await server.request("PATCH", path, there)
    assert (refused.status, refused.json["errors"][0]["code"]) == (422, "loop")
    heard = [{"id": "hear", "type": "play", "sound": "a.wav", "next": "on"}, bridge]
    await server.request(
        "PATCH", f"{tenant}/call-flows/{flow['id']}", {"start": "hear", "nodes": heard}
    )
    allowed = await server.request("PATCH", path, there)
    assert allowed.status == 200, allowed.body


@pytest.mark.parametrize(
    ("kind", "path", "body"),
    [
        ("conference", "conference-rooms", {"number": "3000", "name": "x"}),
        ("parking", "parking-lots", LOT),
        ("routing_policy", "routing-policies", condition({"type": "anonymous"})),
    ],
)
async def test_what_calls_are_sent_to_cannot_be_deleted(
    server: Server, kind: str, path: str, body: dict[str, Any]
) -> None:
    tenant = await server.make_tenant()
    made = await server.make(f"{tenant}/{path}", body)
    did = {"number": "+12025550101", "destination": {"type": kind, "id": made["id"]}}
    await server.make(f"{tenant}/dids", did)
    used = await server.request("DELETE", f"{tenant}/{path}/{made['id']}")
    assert (used.status, used.json["code"]) == (409, "in_use")
    assert used.json["referrers"][0]["type"] == "did"


async def test_a_list_that_a_sip_profile_uses_cannot_be_deleted(server: Server) -> None:
    acl = await server.make("/api/v1/acls", {"name": "offices"})
    body = {"name": "internal", "sip_port": 5060, "inbound_acl_id": acl["id"]}
    await server.make("/api/v1/sip-profiles", body)
    used = await server.request("DELETE", f"/api/v1/acls/{acl['id']}")
    assert (used.status, used.json["code"]) == (409, "in_use")
    missing = await server.request(
        "POST", "/api/v1/sip-profiles", {**body, "name": "external", "inbound_acl_id": NOBODY}
    )
    assert (missing.status, missing.json["errors"][0]["path"]) == (422, "/inbound_acl_id")
