"""What holds for every declared resource, from its example."""

from __future__ import annotations

from typing import Any

import pytest

from nizam.model.registry import resources
from nizam.model.resource import Resource
from nizam.store.system.event_log import read_log
from tests.event_types import check_event
from tests.http.conftest import Server
from tests.http.objects import ALL, NAMES, collection, example_of, item

every_resource = pytest.mark.parametrize("resource", ALL, ids=NAMES)


async def _made(server: Server, resource: Resource, tenant: str) -> dict[str, Any]:
    body = await example_of(server, resource, tenant)
    return await server.make(collection(resource, tenant), body)


def _holds(whole: Any, part: Any) -> bool:
    """Whether `whole` has everything that `part` has; defaults come beside it."""
    if isinstance(part, dict):
        return all(name in whole and _holds(whole[name], it) for name, it in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(_holds, whole, part))
    return bool(whole == part)


@every_resource
async def test_it_is_made_listed_changed_replaced_and_deleted(
    server: Server, resource: Resource
) -> None:
    tenant = await server.make_tenant("other")
    body = await example_of(server, resource, tenant)
    answer = await server.request("POST", collection(resource, tenant), body)
    assert answer.status == 201, answer.body
    made = answer.json
    path = answer.headers["location"]
    assert path == item(resource, tenant, made["id"])
    assert made["version"] == 1
    secrets = {it.field for it in resource.secrets}
    given = {name: value for name, value in body.items() if name not in secrets}
    assert _holds(made, given)

    shown = await server.request("GET", path)
    assert shown.status == 200
    assert not secrets & shown.json.keys()
    assert "key" not in shown.json

    listed = await server.request("GET", f"{collection(resource, tenant)}?limit=200")
    assert made["id"] in {it["id"] for it in listed.json["data"]}
    assert not any(secrets & it.keys() for it in listed.json["data"])

    unchanged = await server.request("PATCH", path, {})
    assert (unchanged.status, unchanged.json["version"]) == (200, 1)
    changed = await server.request("PATCH", path, {"enabled": False})
    assert (changed.status, changed.json["enabled"]) == (200, False), changed.body
    assert changed.headers["etag"] == '"2"'
    replaced = await server.request("PUT", path, body)
    assert (replaced.status, replaced.json["enabled"]) == (200, True), replaced.body

    gone = await server.request("DELETE", path)
    assert gone.status == 204, gone.body
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        again = await server.request(method, path, body if method in ("PUT", "PATCH") else None)
        assert (again.status, again.json["code"]) == (404, "not_found")

    log = await read_log(server.pool, 0)
    told = [
        it.event for it in log.events if it.event.data.get("object", {}).get("id") == made["id"]
    ]
    assert [check_event(it) for it in told] == [
        f"{resource.name}.{how}" for how in ("created", "updated", "updated", "deleted")
    ]


@every_resource
async def test_what_was_read_can_be_put_back(server: Server, resource: Resource) -> None:
    tenant = await server.make_tenant("other")
    made = await _made(server, resource, tenant)
    path = item(resource, tenant, made["id"])
    shown = (await server.request("GET", path)).json
    answer = await server.request("PUT", path, shown)
    assert answer.status == 200, answer.body
    assert answer.json["version"] == 1


@every_resource
async def test_if_match_keeps_a_second_writer_out(server: Server, resource: Resource) -> None:
    tenant = await server.make_tenant("other")
    made = await _made(server, resource, tenant)
    path = item(resource, tenant, made["id"])
    first = await server.request("PATCH", path, {"enabled": False}, if_match='"1"')
    assert first.status == 200, first.body
    for method, body in (("PATCH", {"enabled": True}), ("DELETE", None)):
        late = await server.request(method, path, body, if_match='"1"')
        assert (late.status, late.json["code"]) == (412, "version_mismatch")
        assert late.json["current_version"] == 2
    weak = await server.request("PATCH", path, {"enabled": True}, if_match='W/"2"')
    assert weak.status == 412
    kept = await server.request("GET", path, if_none_match='"2"')
    # What is shown of these two beside the body has no version.
    assert kept.status == (200 if resource.name in ("switch_node", "gateway") else 304)


@pytest.mark.parametrize("by", ["the ETag", "the body"])
async def test_whoever_is_late_is_told_what_has_changed(server: Server, by: str) -> None:
    tenant = await server.make_tenant()
    made = await server.make(
        f"{tenant}/extensions",
        {"number": "1001", "display_name": "Ada", "sip_password": "correct-horse-1"},
    )
    path = f"{tenant}/extensions/{made['id']}"
    for meanwhile in (
        {"ring_seconds": 40, "voicemail": {"pin": "4711"}},
        {"sip_password": "correct-horse-2"},
        {"caller_id": {"external_name": "Acme"}},
    ):
        done = await server.request("PATCH", path, meanwhile)
        assert done.status == 200, done.body
    change = {"display_name": "Ada L."}
    if by == "the ETag":
        late = await server.request("PATCH", path, change, if_match='"1"')
    else:
        late = await server.request("PATCH", path, {**change, "version": 1})
    assert late.status == 412, late.body
    assert late.json["current_version"] == 4
    assert late.json["changes"] == [
        {"path": "/caller_id/external_name", "before": None, "after": "Acme"},
        {"path": "/ring_seconds", "before": 25, "after": 40},
        {"path": "/sip_password"},
        {"path": "/voicemail/pin"},
    ]
    assert "since version 1 this has changed: /caller_id/external_name" in late.json["detail"]
    assert b"correct-horse" not in late.body


@every_resource
async def test_fields_that_nizam_writes_are_refused(server: Server, resource: Resource) -> None:
    tenant = await server.make_tenant("other")
    body = await example_of(server, resource, tenant)
    foreign = {
        "id": "01937a5e-0000-7000-8000-000000000009",
        "version": 9,
        **dict.fromkeys(resource.read_only, "active"),
    }
    answer = await server.request("POST", collection(resource, tenant), {**body, **foreign})
    assert answer.status == 422
    assert {it["path"] for it in answer.json["errors"]} == {f"/{name}" for name in foreign}


@every_resource
async def test_no_wrong_value_in_any_field_is_our_fault(server: Server, resource: Resource) -> None:
    tenant = await server.make_tenant("other")
    path = collection(resource, tenant)
    body = await example_of(server, resource, tenant)
    wrong: list[Any] = [
        10**18,
        -1,
        1.5e308,
        "",
        "x" * 100_000,
        "nul \x00",
        "${system rm}",
        "\u2028",
        "\ud83d\ude00" * 50,
        [],
        {},
        [[[[]]]],
        {"type": "hangup", "cause": {"type": "play"}},
        None,
        True,
    ]
    names = [it.alias or name for name, it in resource.body.model_fields.items()]
    for index, name in enumerate(names):
        for offset in range(5):
            value = wrong[(index * 5 + offset) % len(wrong)]
            answer = await server.request("POST", path, {**body, name: value})
            assert answer.status in (201, 409, 422), (name, value, answer.body)


def test_every_resource_has_an_example() -> None:
    assert [name for name, it in resources().items() if not it.example] == []
