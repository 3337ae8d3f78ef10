"""Everything by which a tenant could see or touch what is another's, tried through the API."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import attrs
import orjson
import psycopg2

from nizam.http.route import BASE, TENANT, Route
from nizam.http.sounds import AUDIO
from nizam.model import registry
from nizam.model.identifiers import new_id
from nizam.model.resource import Resource
from nizam.routing.rows import Row
from tests.http.conftest import Server
from tests.http.objects import ALL, collection, example_of, item
from tests.http.people import membership
from tests.media.sounds import wav

_WAV: dict[str, Any] = {"Content_Type": "audio/wav"}
_MARK = "Of the other tenant"
_ENDLESS = {"stream_call_events"}
"""Answers that never end; the tests of nizam.realtime say whose events they show."""


@attrs.frozen
class Tenants:
    """Two tenants, of which the other has one of everything; `key` is of the first, for all."""

    own: str
    other: str
    key: str
    others_ids: dict[str, str]
    """Of each resource, the id of the other tenant's object."""
    others_shared: dict[str, str]
    """The other tenant's user and API key, by the segment of their paths."""
    file_id: str
    """A file of the other tenant's music on hold."""
    history: dict[str, str]
    """What happened to the other tenant, by the segment of its path: an event, a call."""
    revision: str
    """A revision that only the other tenant has."""

    @property
    def theirs(self) -> set[str]:
        """What in an answer would be the other tenant's."""
        ids = {*self.others_ids.values(), *self.others_shared.values(), *self.history.values()}
        return {*ids, self.other.rpartition("/")[2], _MARK}


async def furnish(server: Server, database: str) -> Tenants:
    """Make them."""
    own, other = await server.make_tenant("own"), await server.make_tenant("other")
    others_ids = {}
    for resource in _of_tenants():
        body = await example_of(server, resource, other)
        made = await server.make(collection(resource, other), body)
        others_ids[resource.name] = made["id"]
    await server.make(f"{other}/extensions", {"number": "8888", "display_name": _MARK})
    shared: dict[str, dict[str, Any]] = {
        "users": {"email": "theirs@example.test", "memberships": [membership(other, "agent")]},
        "api-keys": {"scopes": ["extensions:read"], "tenant_id": other.rpartition("/")[2]},
    }
    others_shared = {
        path: (await server.make(f"/api/v1/{path}", {"name": _MARK, **body}))["id"]
        for path, body in shared.items()
    }
    for done in (
        f"call-flows/{others_ids['call_flow']}/publish",
        f"webhooks/{others_ids['webhook']}/rotate-secret",
        f"webhooks/{others_ids['webhook']}/test",
    ):
        answer = await server.request("POST", f"{other}/{done}")
        assert answer.status in (200, 202), answer.body
    call_id = write_cdr(database, server.tenant_id(other), others_ids["webhook"])
    events = await server.request("GET", f"{other}/call-events?limit=1")
    prompt = f"{other}/prompts/{others_ids['prompt']}/audio"
    assert (await server.request("PUT", prompt, raw=wav(0.1), **_WAV)).status == 200
    music = f"{other}/music-on-hold/{others_ids['music_on_hold']}/files"
    file_id = (await server.request("POST", music, raw=wav(0.1), **_WAV)).json["id"]
    conference = _show_conference(server, other)
    history = {"call-events": events.json["data"][0]["id"], "cdrs": call_id, "calls": call_id}
    history["conferences"] = conference
    history["recordings"] = history["voicemail-messages"] = call_id
    newest = await server.request("GET", f"{other}/revisions?limit=1")
    revision = str(newest.json["data"][0]["revision"])
    shown = (await server.request("GET", own)).json
    fields = registry.resource("tenant").body.model_fields
    held = orjson.dumps({name: it for name, it in shown.items() if name in fields})
    # What is answered from memory has heard of our tenant.
    server.api.snapshot.put(Row("tenant", server.tenant_id(own), None, 1, held))
    key = await server.make_key("*", tenant=own)
    return Tenants(own, other, key, others_ids, others_shared, file_id, history, revision)


def _show_conference(server: Server, tenant: str) -> str:
    """A conference and a parked call of the tenant are under way; the id of the conference."""
    own = {"tenant_id": str(server.tenant_id(tenant)), "node": "fs1"}
    identifier = str(new_id())
    conference: dict[str, Any] = {
        **own,
        "conference_id": identifier,
        "started_at": None,
        "members": [],
    }
    server.api.live.put("conferences", "fs1", identifier, conference)
    leg_id = str(new_id())
    parked: dict[str, Any] = {**own, "leg_id": leg_id, "parked_at": None, "name": _MARK}
    server.api.live.put("parked_calls", "fs1", leg_id, parked)
    return identifier


def _of_tenants() -> list[Resource]:
    return [it for it in ALL if it.scope == "tenant"]


_DECISION: Mapping[str, Any] = {
    "from": "1001",
    "to": "1002",
    "context": "acme.example.test",
    "disposition": None,
    "outcome": "routed",
    "route": "extension 1002",
    "trace": [],
    "plan": [],
    "summary": "",
    "commands": [],
    "xml": "<document/>",
}


def write_cdr(database: str, tenant_id: UUID, webhook_id: str) -> str:
    """A call of the tenant, how it was routed, an email, an attempt to deliver and a replay, as the
    intake and the worker write them."""
    call_id = str(new_id())
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(
            "insert into cdrs (call_id, started_at, tenant_id, direction, duration_ms, billable_ms,"
            " result, hangup_by, source) values (%s, now(), %s, 'internal', 1, 1, 'answered',"
            " 'caller', 'events')",
            (call_id, str(tenant_id)),
        )
        cursor.execute(
            "insert into cdr_legs (leg_id, started_at, call_id, call_known, tenant_id, from_events,"
            " from_cdr, reconciled) values (%s, now(), %s, true, %s, true, false, false)",
            (call_id, call_id, str(tenant_id)),
        )
        cursor.execute(
            "insert into usage_entries (at, tenant_id, kind, call_id, direction, calls)"
            " values (now(), %s, 'call', %s, 'internal', 1)",
            (str(tenant_id), call_id),
        )
        cursor.execute(
            "insert into call_decisions (decided_at, channel_id, question, tenant_id, call_id,"
            " node, document) values (now(), %s, 'core 1', %s, %s, 'fs1', %s)",
            (call_id, str(tenant_id), call_id, json.dumps(_DECISION)),
        )
        cursor.execute(
            "insert into webhook_attempts (delivery_id, webhook_id, tenant_id, number, started_at,"
            " duration_ms) select id, webhook_id, tenant_id, 1, now(), 1 from webhook_deliveries"
            " where webhook_id = %s limit 1",
            (webhook_id,),
        )
        cursor.execute(
            "insert into webhook_replays (tenant_id, webhook_id, status, statuses, until,"
            " rate_per_second, total) values (%s, %s, 'done', '{dead}', now(), 10, 1)",
            (str(tenant_id), webhook_id),
        )
        cursor.execute(
            "insert into mails (tenant_id, event_id, recipient, occurred_at, data)"
            " values (%s, %s, 'guard@example.test', now(), '{}')",
            (str(tenant_id), call_id),
        )
        cursor.execute(
            "insert into recordings (id, tenant_id, path, state, call_id, started_at, told_at,"
            " core_id, sequence) values (%s, %s, %s, 'available', %s, now(), now(), 'core', 1)",
            (call_id, str(tenant_id), f"{tenant_id}/recordings/{call_id}.wav", call_id),
        )
        cursor.execute(
            "insert into voicemail_messages (id, tenant_id, mailbox, domain, path, folder,"
            " received_at) values (%s, %s, '1001', 'other.example.test', %s, 'inbox', now())",
            (call_id, str(tenant_id), f"{tenant_id}/voicemail/{call_id}/msg_{call_id}.wav"),
        )
        cursor.execute(
            "insert into voicemail_receipts (tenant_id, message_id, mailbox, received_at, reason,"
            " deleted_by) values (%s, %s, '1001', now(), 'asked for', 'system')",
            (str(tenant_id), call_id),
        )
        cursor.execute(
            "insert into voicemail_comparisons (tenant_id, node, mailbox, domain)"
            " values (%s, 'fs1', '1001', 'other.example.test')",
            (str(tenant_id),),
        )
        cursor.execute(
            "insert into recording_receipts (tenant_id, recording_id, started_at, storage, reason,"
            " deleted_by) values (%s, %s, now(), 'local', 'retention', 'system')",
            (str(tenant_id), call_id),
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
        answer = await server.request(route.method, path, key=tenants.key, **_body(route))
        refused = {404, 422} if route.method == "POST" and route.request else {404}
        # A link needs its signature, whosever the recording is.
        refused |= {403} if route.access == "public" else set()
        if answer.status not in refused:
            found.append(f"{route.method} {route.path}: {answer.status}")
    for it in _of_tenants():
        if await _shown(server, tenants, it) != before[it.name]:
            found.append(f"the other's {it.name} was changed")
    return found


def _theirs_under_our_path(route: Route, tenants: Tenants) -> str | None:
    """The route's path with our tenant and the other's object; None if it is about no object of
    a tenant's."""
    start, _, rest = route.path.partition(f"{TENANT}/")
    if "{" not in rest:
        shared = start.removeprefix(f"{BASE}/").partition("/")[0]
        found = tenants.others_shared.get(shared)
        return start.replace("{id}", found) if found and "{id}" in start else None
    by_segment = {it.path: tenants.others_ids[it.name] for it in _of_tenants()}
    values = {**by_segment, **tenants.history, "revisions": tenants.revision}
    segment = rest.partition("/")[0]
    assert segment in values, f"no object of the other tenant is made for {route.path}"
    rest = rest.replace("{file_id}", tenants.file_id).replace("{greeting}", "1")
    return f"{tenants.own}/{re.sub(r'{(id|call_id|revision)}', values[segment], rest)}"


def _body(route: Route) -> dict[str, Any]:
    """What is sent to the route, as arguments of `Server.request`."""
    if route.request_media_type == AUDIO:
        return {"raw": wav(0.1), **_WAV}
    if isinstance(route.request_example, str):
        raw = route.request_example.encode()
        return {"raw": raw, "Content_Type": route.request_media_type}
    if route.method not in ("POST", "PUT", "PATCH"):
        return {}
    return {"body": route.request_example or {}}


async def _shown(server: Server, tenants: Tenants, resource: Resource) -> Any:
    path = item(resource, tenants.other, tenants.others_ids[resource.name])
    return (await server.request("GET", path)).json


async def _lists(server: Server, tenants: Tenants) -> list[str]:
    """Lists, and answers to what is asked of our tenant as a whole, that show what is not ours."""
    found = []
    for route in server.api.routes():
        start, _, rest = route.path.partition(f"{TENANT}/")
        shared = start.removeprefix(f"{BASE}/") in tenants.others_shared
        if (start and not shared) or "{" in rest or route.method not in ("GET", "POST"):
            continue
        if route.access == "platform" or route.operation in _ENDLESS:
            continue
        path = start if shared else f"{tenants.own}/{rest}"
        answer = await server.request(route.method, path, key=tenants.key, **_body(route))
        if answer.status != 200 if route.method == "GET" else answer.status >= 500:
            found.append(f"{route.method} {route.path} was answered {answer.status}")
        if any(it in answer.body.decode() for it in tenants.theirs):
            found.append(f"{route.path} shows what is the other's")
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
