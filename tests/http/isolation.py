"""Everything by which a tenant could see or touch what is another's, tried through the API."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import attrs
import psycopg2

from nizam.http.route import TENANT, Route
from nizam.model.identifiers import new_id
from nizam.model.resource import Resource
from tests.http.conftest import Server
from tests.http.objects import ALL, collection, example_of, item


@attrs.frozen
class Tenants:
    """Two tenants, of which the other has one of everything; `key` is of the first, for all."""

    own: str
    other: str
    key: str
    others_ids: dict[str, str]
    """Of each resource, the id of the other tenant's object."""
    history: dict[str, str]
    """What happened to the other tenant, by the segment of its path: an event, a call."""


async def furnish(server: Server, database: str) -> Tenants:
    """Make them."""
    own, other = await server.make_tenant("own"), await server.make_tenant("other")
    others_ids = {}
    for resource in _of_tenants():
        body = await example_of(server, resource, other)
        made = await server.make(collection(resource, other), body)
        others_ids[resource.name] = made["id"]
    tested = await server.request("POST", f"{other}/webhooks/{others_ids['webhook']}/test")
    assert tested.status == 202, tested.body
    call_id = write_cdr(database, server.tenant_id(other), others_ids["webhook"])
    events = await server.request("GET", f"{other}/call-events?limit=1")
    history = {"call-events": events.json["data"][0]["id"], "cdrs": call_id, "calls": call_id}
    return Tenants(own, other, await server.make_key("*", tenant=own), others_ids, history)


def _of_tenants() -> list[Resource]:
    return [it for it in ALL if it.scope == "tenant"]


def write_cdr(database: str, tenant_id: UUID, webhook_id: str) -> str:
    """A call of the tenant, and an attempt to deliver, as the intake and the worker write them."""
    call_id = str(new_id())
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(
            "insert into cdrs (call_id, started_at, tenant_id, direction, duration_ms, billable_ms,"
            " result, hangup_by, source) values (%s, now(), %s, 'internal', 1, 1, 'answered',"
            " 'caller', 'events')",
            (call_id, str(tenant_id)),
        )
        cursor.execute(
            "insert into webhook_attempts (delivery_id, webhook_id, tenant_id, number, started_at,"
            " duration_ms) select id, webhook_id, tenant_id, 1, now(), 1 from webhook_deliveries"
            " where webhook_id = %s limit 1",
            (webhook_id,),
        )
    connection.close()
    return call_id


async def leaks(server: Server, tenants: Tenants) -> list[str]:
    """What the first tenant's key could see or do of the other tenant's; empty if all is well."""
    before = {it.name: await _shown(server, tenants, it) for it in _of_tenants()}
    found = await _references(server, tenants)
    found += await _own_changes(server, tenants)
    found += await _lists(server, tenants)
    for route in sorted(server.api.routes(), key=lambda it: it.method == "DELETE"):
        path = _theirs_under_our_path(route, tenants)
        if path is None:
            continue
        answer = await server.request(route.method, path, _body(route), key=tenants.key)
        refused = {404, 422} if route.method == "POST" and route.request else {404}
        if answer.status not in refused:
            found.append(f"{route.method} {route.path}: {answer.status}")
    for it in _of_tenants():
        if await _shown(server, tenants, it) != before[it.name]:
            found.append(f"the other's {it.name} was changed")
    return found


def _theirs_under_our_path(route: Route, tenants: Tenants) -> str | None:
    """The route's path with our tenant and the other's object; None if it is about no object."""
    start, _, rest = route.path.partition(f"{TENANT}/")
    if start or "{" not in rest:
        return None
    by_segment = {it.path: tenants.others_ids[it.name] for it in _of_tenants()}
    values = {**by_segment, **tenants.history}
    segment = rest.partition("/")[0]
    assert segment in values, f"no object of the other tenant is made for {route.path}"
    return f"{tenants.own}/{re.sub(r'{(id|call_id)}', values[segment], rest)}"


def _body(route: Route) -> Any:
    if route.method == "PATCH":
        return {"enabled": False}
    if route.method not in ("POST", "PUT"):
        return None
    return route.request_example or {}


async def _shown(server: Server, tenants: Tenants, resource: Resource) -> Any:
    path = item(resource, tenants.other, tenants.others_ids[resource.name])
    return (await server.request("GET", path)).json


async def _lists(server: Server, tenants: Tenants) -> list[str]:
    """Lists that show what is not ours."""
    found = []
    theirs = {*tenants.others_ids.values(), *tenants.history.values()}
    theirs.add(str(server.tenant_id(tenants.other)))
    for route in server.api.routes():
        start, _, rest = route.path.partition(f"{TENANT}/")
        if route.method != "GET" or start or "{" in rest:
            continue
        answer = await server.request("GET", f"{tenants.own}/{rest}", key=tenants.key)
        if any(it in answer.body.decode() for it in theirs):
            found.append(f"{rest} shows what is the other's")
    return found


async def _own_changes(server: Server, tenants: Tenants) -> list[str]:
    """Changes to what is ours that would reach what is the other's: the same number is in both."""
    extensions = f"{tenants.other}/extensions"
    theirs = f"{extensions}/{tenants.others_ids['extension']}"
    body = {"number": (await server.request("GET", theirs)).json["number"], "display_name": "Ours"}
    made = await server.request("POST", f"{tenants.own}/extensions", body, key=tenants.key)
    if made.status != 201:
        return [f"the other's number is taken for us: {made.status}"]
    ours = f"{tenants.own}/extensions/{made.json['id']}"
    for method, sent, status in (("PATCH", {"number": "7999"}, 200), ("DELETE", None, 204)):
        answer = await server.request(method, ours, sent, key=tenants.key)
        if answer.status != status:
            return [f"{method} of our own extension: {answer.status}"]
    again = await server.request("POST", extensions, body)
    return [] if again.status == 409 else ["the other's number was freed by our change"]


async def _references(server: Server, tenants: Tenants) -> list[str]:
    """An object of the one tenant that points to one of the other's."""
    target = {"type": "extension", "id": tenants.others_ids["extension"]}
    did = {"number": "+12025550177", "destination": target}
    answer = await server.request("POST", f"{tenants.own}/dids", did, key=tenants.key)
    return [] if answer.status == 422 else [f"a did to the other's extension: {answer.status}"]
