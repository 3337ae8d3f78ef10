"""What a document makes of a tenant: objects matched by key, and every fault at once."""

from __future__ import annotations

from typing import Any

import pytest

from nizam.document.plan import MOST_ERRORS
from tests.document.tenants import Tenant

ADA = {"number": "1001", "display_name": "Ada"}
ALAN = {"number": "1002", "display_name": "Alan"}


def fates(plan: Any) -> list[tuple[str, str]]:
    return [(it.operation, it.key) for it in plan.changes]


@pytest.mark.parametrize(
    ("document", "options", "expected"),
    [
        ({}, {}, []),
        ({"extensions": [ADA]}, {}, []),
        ({"extensions": [{**ADA, "display_name": "A"}]}, {}, [("update", "1001")]),
        ({"extensions": [{"number": "1003", "display_name": "G"}]}, {}, [("create", "1003")]),
        ({"extensions": [ADA]}, {"prune": True}, [("delete", "1002")]),
        ({"extensions": []}, {"prune": True}, [("delete", "1001"), ("delete", "1002")]),
        ({"dids": []}, {"prune": True}, []),
        ({"extensions": [{**ADA, "display_name": "A"}]}, {"treatment": "skip"}, []),
        ({"extensions": [{"number": "1001", "display_name": "Ada", "ring_seconds": 9}]},
         {"treatment": "merge"}, [("update", "1001")]),
    ],
)  # fmt: skip
def test_objects_are_matched_by_their_keys(
    document: Any, options: Any, expected: list[tuple[str, str]]
) -> None:
    tenant = Tenant()
    tenant.apply({"extensions": [ADA, ALAN]})
    assert fates(tenant.plan(document, **options)) == expected


@pytest.mark.parametrize(("treatment", "location"), [("replace", None), ("merge", "Lab")])
def test_what_a_document_leaves_out_is_the_default_or_stays(
    treatment: Any, location: str | None
) -> None:
    tenant = Tenant()
    tenant.apply({"extensions": [{**ADA, "emergency_location": "Lab"}]})
    tenant.apply({"extensions": [{**ADA, "display_name": "A"}]}, treatment=treatment)
    assert tenant.objects["extension"][0].body["emergency_location"] == location


FLOW = {"name": "Hello", "start": "bye", "nodes": [{"id": "bye", "type": "hangup"}]}
PUBLISHED = {
    "version": 1,
    "published_at": "2026-01-02T03:04:05Z",
    "start": "bye",
    "nodes": [{"id": "bye", "type": "hangup"}],
}


def test_a_call_flow_stays_published_when_the_document_does_not_say_it() -> None:
    tenant = Tenant()
    tenant.apply({"call_flows": [{**FLOW, "published": PUBLISHED}]})
    assert fates(tenant.plan({"call_flows": [FLOW]})) == []
    tenant.apply({"call_flows": [{**FLOW, "number": "7000"}]})
    [flow] = tenant.objects["call_flow"]
    assert (flow.body["number"], flow.body["published"]["version"]) == ("7000", 1)


def test_a_call_flow_is_taken_off_by_a_document_that_says_so() -> None:
    tenant = Tenant()
    tenant.apply({"call_flows": [{**FLOW, "published": PUBLISHED}]})
    tenant.apply({"call_flows": [{**FLOW, "published": None}]})
    [flow] = tenant.objects["call_flow"]
    assert (flow.body["published"], flow.body["status"]) == (None, "draft")


def test_objects_may_name_each_other_in_any_order() -> None:
    tenant = Tenant()
    document = {
        "extensions": [{**ADA, "forward": {"busy": {"type": "ring_group", "id": "2000"}}}],
        "ring_groups": [{"number": "2000", "name": "R", "members": [{"extension_id": "1001"}]}],
    }
    tenant.apply(document)
    [ada], [group] = tenant.objects["extension"], tenant.objects["ring_group"]
    assert group.body["members"][0]["extension_id"] == str(ada.id)
    assert ada.body["forward"]["busy"]["id"] == str(group.id)
    assert fates(tenant.plan(document)) == []


def test_namesakes_are_told_apart_by_their_order() -> None:
    tenant = Tenant()
    closed = {"name": "Night", "match_destination": {"type": "hangup"}}
    other = {"otherwise_destination": {"type": "hangup"}}
    forward = {"otherwise_destination": {"type": "time_condition", "id": "Night#2"}}
    tenant.apply({"time_conditions": [{**closed, **forward}, {**closed, **other}]})
    first, second = tenant.objects["time_condition"]
    assert first.body["otherwise_destination"]["id"] == str(second.id)


SECRET = {"secret": True}
GATEWAY = {"name": "G", "host": "sip.example.test"}


@pytest.mark.parametrize(
    ("given", "expected", "fate"),
    [
        ({}, "s3cret", []),
        ({"password": SECRET}, "s3cret", []),
        ({"password": "s3cret"}, "s3cret", []),
        ({"password": "other"}, "other", [("update", "G")]),
        ({"password": None}, None, [("update", "G")]),
    ],
)
def test_a_secret_stays_unless_the_document_says_another(
    given: Any, expected: str | None, fate: list[tuple[str, str]]
) -> None:
    tenant = Tenant()
    tenant.apply({"gateways": [{**GATEWAY, "password": "s3cret"}]})
    assert fates(tenant.apply({"gateways": [{**GATEWAY, **given}]})) == fate
    kept = tenant.objects["gateway"][0].secrets.get("password")
    assert (kept and kept[::-1]) == expected


def test_a_secret_that_there_must_be_is_not_made_anew_by_null() -> None:
    tenant = Tenant()
    tenant.apply({"extensions": [{**ADA, "sip_password": "correct-horse-1"}]})
    assert fates(tenant.plan({"extensions": [{**ADA, "sip_password": None}]})) == []


@pytest.mark.parametrize(
    ("gateway", "missing"),
    [({"password": SECRET}, ("password",)), ({}, ()), ({"password": "x"}, ())],
)
def test_a_marked_secret_of_a_new_object_is_missing(gateway: Any, missing: tuple[str, ...]) -> None:
    [change] = Tenant().plan({"gateways": [{**GATEWAY, **gateway}]}).changes
    assert change.missing == missing


@pytest.mark.parametrize(
    ("document", "faults"),
    [
        ({"format": 2}, {("/format", "format")}),
        ({"colours": []}, {("/colours", "unknown_field")}),
        ({"extensions": {}}, {("/extensions", "list_type")}),
        ({"extensions": None}, {("/extensions", "list_type")}),
        ({"extensions": [1, ADA]}, {("/extensions/0", "dict_type")}),
        ({"tenant": []}, {("/tenant", "dict_type")}),
        ({"tenant": {"slug": "x"}}, {("/tenant/slug", "unknown_field")}),
        ({"tenant": {"status": "trial"}}, {("/tenant/status", "unknown_field")}),
        ({"extensions": [{"number": "1"}]},
         {("/extensions/0/number", "string_pattern_mismatch"),
          ("/extensions/0/display_name", "missing")}),
        ({"extensions": [{**ADA, "number": 1001}]}, {("/extensions/0/number", "string_type")}),
        ({"webhooks": [{"url": "https://example.com", "status": "active"}]},
         {("/webhooks/0/status", "read_only")}),
        ({"dids": [{"number": "+12025550101",
                    "destination": {"type": "extension", "id": "1001"}}]},
         {("/dids/0/destination/id", "not_found")}),
        ({"gateways": [{**GATEWAY, "password": {"secret": False}}]},
         {("/gateways/0/password", "string_type")}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_place(document: Any, faults: set[tuple[str, str]]) -> None:
    plan = Tenant().plan(document)
    assert {(it.path, it.code) for it in plan.errors} == faults


def test_what_is_pruned_cannot_be_named() -> None:
    tenant = Tenant()
    tenant.apply({"extensions": [ADA, ALAN]})
    document = {
        "extensions": [ADA],
        "dids": [{"number": "+12025550101", "destination": {"type": "extension", "id": "1002"}}],
    }
    [error] = tenant.plan(document, prune=True).errors
    assert (error.path, error.code) == ("/dids/0/destination/id", "not_found")


def test_a_plan_is_given_up_after_many_faults() -> None:
    plan = Tenant().plan({"extensions": [{"number": str(it)} for it in range(MOST_ERRORS)]})
    assert MOST_ERRORS <= len(plan.errors) < MOST_ERRORS + 3


def test_the_tenants_own_settings_are_what_the_document_says() -> None:
    tenant = Tenant()
    plan = tenant.apply({"tenant": {"time_zone": "Europe/Berlin"}})
    assert fates(plan) == [("update", "acme")]
    assert (tenant.body["time_zone"], tenant.body["slug"]) == ("Europe/Berlin", "acme")
    assert fates(tenant.apply({"tenant": {}})) == [("update", "acme")]
    assert tenant.body["time_zone"] == "UTC"
