"""Call flows: a draft that is checked, versions that calls follow, and going back to one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from nizam.http.reply import to_json
from nizam.model.registry import resource
from nizam.routing.rows import Row
from tests.http.conftest import Server

PLAY = {"id": "hello", "type": "play", "sound": "ivr/hello.wav", "next": "end"}
END = {"id": "end", "type": "hangup"}


def flow(*nodes: dict[str, Any], start: str = "hello") -> dict[str, Any]:
    return {"name": "Flow", "start": start, "nodes": list(nodes)}


async def serve(server: Server, kind: str, path: str, tenant_id: UUID) -> None:
    """Let an object be in the snapshot that calls are routed by."""
    shown = (await server.request("GET", path)).json
    fields = resource(kind).body.model_fields
    body = to_json({name: it for name, it in shown.items() if name in fields})
    owner = None if kind == "tenant" else tenant_id
    server.api.snapshot.put(Row(kind, UUID(shown["id"]), owner, 1, body))


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        (flow(PLAY), "/nodes/0/next", "dead_end"),
        (flow(PLAY, END, start="nowhere"), "/start", "dead_end"),
        (flow(PLAY, END, {"id": "x", "type": "hangup"}), "/nodes/2", "unreachable_node"),
        (flow(PLAY, END, END), "/nodes/2/id", "duplicate_node"),
        (
            flow({"id": "hello", "type": "set", "variable": "a", "value": "1", "next": "hello"}),
            "/nodes/0",
            "loop",
        ),
        (flow({"id": "hello", "type": "dance"}), "/nodes/0", "node_type"),
        (flow({**PLAY, "volume": 3}, END), "/nodes/0/volume", "unknown_field"),
        (
            flow({**PLAY, "sound": {"prompt_id": "01937a5e-0000-7000-8000-00000000000f"}}, END),
            "/nodes/0/sound/prompt_id",
            "not_found",
        ),
        (
            flow(
                {
                    "id": "hello",
                    "type": "bridge",
                    "destination": {
                        "type": "extension",
                        "id": "01937a5e-0000-7000-8000-00000000000f",
                    },
                }
            ),
            "/nodes/0/destination/id",
            "not_found",
        ),
    ],
)
async def test_a_draft_with_a_fault_is_refused(
    server: Server, body: dict[str, Any], path: str, code: str
) -> None:
    tenant = await server.make_tenant()
    answer = await server.request("POST", f"{tenant}/call-flows", body)
    assert answer.status == 422, answer.body
    assert (path, code) in {(it["path"], it["code"]) for it in answer.json["errors"]}


async def test_calls_follow_what_was_published_until_it_is_published_again(server: Server) -> None:
    tenant = await server.make_tenant()
    made = await server.make(f"{tenant}/call-flows", flow(PLAY, END))
    assert (made["status"], made["published"]) == ("draft", None)
    path = f"{tenant}/call-flows/{made['id']}"
    first = await server.request("POST", f"{path}/publish")
    assert (first.json["status"], first.json["published"]["version"]) == ("published", 1)
    again = await server.request("POST", f"{path}/publish")
    assert again.json["published"]["version"] == 1
    changed = await server.request("PATCH", path, {"nodes": [{**END, "id": "hello"}]})
    assert (changed.json["status"], len(changed.json["published"]["nodes"])) == ("draft", 2)
    second = await server.request("POST", f"{path}/publish")
    assert (second.json["status"], second.json["published"]["version"]) == ("published", 2)
    back = await server.request("POST", f"{path}/rollback", {"version": 1})
    assert (back.json["status"], back.json["published"]["version"]) == ("published", 3)
    assert len(back.json["nodes"]) == 2
    listed = await server.request("GET", f"{path}/versions?limit=2")
    assert [it["number"] for it in listed.json["data"]] == [3, 2]
    rest = await server.request("GET", f"{path}/versions?cursor={listed.json['next_cursor']}")
    assert [it["number"] for it in rest.json["data"]] == [1]
    unknown = await server.request("POST", f"{path}/rollback", {"version": 9})
    assert (unknown.status, unknown.json["errors"][0]["path"]) == (422, "/version")
    assert (await server.request("DELETE", path)).status == 204
    assert (await server.request("GET", f"{path}/versions")).status == 404


@pytest.mark.parametrize(
    ("text", "status"), [("Welcome {caller_number}", 422), ("{caller_number}", 200), ("123", 200)]
)
async def test_a_text_that_nothing_here_can_speak_is_not_published(
    server: Server, text: str, status: int
) -> None:
    tenant = await server.make_tenant()
    say = {"id": "hello", "type": "say", "text": text, "next": "end"}
    made = await server.make(f"{tenant}/call-flows", flow(say, END))
    answer = await server.request("POST", f"{tenant}/call-flows/{made['id']}/publish")
    assert answer.status == status
    if status == 422:
        (error,) = answer.json["errors"]
        assert (error["path"], error["code"]) == ("/nodes/0/text", "no_speech")
        kept = await server.request("GET", f"{tenant}/call-flows/{made['id']}")
        assert kept.json["published"] is None


async def test_a_flow_is_walked_without_a_call(server: Server) -> None:
    tenant = await server.make_tenant()
    choice = {"id": "hello", "type": "collect", "next": "end", "timeout_next": "ask"}
    ask = {"id": "ask", "type": "http", "url": "https://example.com/", "next": "end"}
    made = await server.make(f"{tenant}/call-flows", {**flow(choice, ask, END), "number": "5100"})
    await server.request("POST", f"{tenant}/call-flows/{made['id']}/publish")
    for kind, path in (("tenant", tenant), ("call_flow", f"{tenant}/call-flows/{made['id']}")):
        await serve(server, kind, path, UUID(tenant.rpartition("/")[2]))
    question = {"from": "1001", "to": "5100", "digits": [""], "answers": {"ask": {"vip": True}}}
    answer = await server.request("POST", f"{tenant}/routing/explain", question)
    assert answer.status == 200, answer.body
    (then,) = answer.json["then"]
    assert then["summary"] == "set response_vip to true; hang up NORMAL_CLEARING"
    wrong = await server.request(
        "POST", f"{tenant}/routing/explain", question | {"digits": ["1 2"]}
    )
    assert [it["path"] for it in wrong.json["errors"]] == ["/digits/0"]


async def test_a_request_can_be_signed_only_as_a_webhook_of_the_tenant(server: Server) -> None:
    tenant = await server.make_tenant()
    ask = {"id": "hello", "type": "http", "url": "https://example.com/", "next": "end"}
    other = await server.make(
        f"{await server.make_tenant('globex')}/webhooks", {"url": "https://example.com/"}
    )
    for identifier, status in ((other["id"], 422), (None, 201)):
        body = flow(ask | ({"webhook_id": identifier} if identifier else {}), END)
        assert (await server.request("POST", f"{tenant}/call-flows", body)).status == status


async def test_what_a_published_version_leads_to_stays_although_the_draft_does_not(
    server: Server,
) -> None:
    tenant = await server.make_tenant()
    phone = await server.make(f"{tenant}/extensions", {"number": "1001", "display_name": "Ada"})
    bridge = {
        "id": "hello",
        "type": "bridge",
        "destination": {"type": "extension", "id": phone["id"]},
    }
    made = await server.make(f"{tenant}/call-flows", flow(bridge))
    path = f"{tenant}/call-flows/{made['id']}"
    await server.request("POST", f"{path}/publish")
    await server.request("PATCH", path, {"nodes": [{**END, "id": "hello"}]})
    used = await server.request("DELETE", f"{tenant}/extensions/{phone['id']}")
    assert (used.status, used.json["code"]) == (409, "in_use")
    assert used.json["referrers"][0]["path"] == "/published/nodes/0/destination/id"
    await server.request("POST", f"{path}/publish")
    assert (await server.request("DELETE", f"{tenant}/extensions/{phone['id']}")).status == 204
