"""Commands to calls: whose calls, what is told of failures, and that nothing is sent twice."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import attrs
import pytest
from zope.interface import implementer

from nizam.errors import ConnectionGone, NizamError, SwitchError, SwitchUnavailable, TimeoutExceeded
from nizam.esl.interface import ISwitchLink
from nizam.http.reply import to_json
from nizam.model.identifiers import new_id
from nizam.model.registry import resource
from nizam.routing.rows import Row
from tests.http.conftest import Server

CALL = "5f0f3b8e-6c1f-4d0b-9d7a-2f4f1d0c9b11"
LEG = "5f0f3b8e-6c1f-4d0b-9d7a-2f4f1d0c9b12"
STRANGE = "5f0f3b8e-6c1f-4d0b-9d7a-2f4f1d0c9b99"
KEY = "once"


@implementer(ISwitchLink)
@attrs.define
class Link:
    """A link that says what the test wants said, and keeps what was sent."""

    outcome: str | NizamError = "+OK Success"
    sent: list[str] = attrs.field(factory=list)
    connected: bool = True

    async def api(self, command: str, timeout: float) -> str:
        return await self.bgapi(command, timeout)

    async def bgapi(self, command: str, timeout: float) -> str:
        self.sent.append(command)
        if isinstance(self.outcome, NizamError):
            raise self.outcome
        return self.outcome

    def command_link(self, name: str | None = None) -> Any:
        if name != "fs1":
            raise SwitchUnavailable(f"{name} is not connected")
        return self


@attrs.frozen
class Site:
    server: Server
    tenant: str
    link: Link


async def _site(server: Server) -> Site:
    """A tenant with a call of two legs, on a switch whose link the test speaks for."""
    tenant, link = await server.make_tenant(), Link()
    # The parts are frozen: the seam is where the switch would be.
    object.__setattr__(server.api.control, "links", link)
    shown = (await server.request("GET", tenant)).json
    body = {it: shown[it] for it in resource("tenant").body.model_fields if it in shown}
    identifier = server.tenant_id(tenant)
    server.api.snapshot.put(Row("tenant", identifier, None, 1, to_json(body)))
    show(server, identifier)
    return Site(server, tenant, link)


def show(server: Server, tenant_id: UUID, call_id: str = CALL, node: str = "fs1") -> None:
    extension = str(new_id())
    legs: list[dict[str, str | None]] = [
        {"leg_id": call_id, "extension_id": extension, "number": "1002", "state": "answered"},
        {"leg_id": LEG, "extension_id": None, "number": "+12025550199", "state": "answered"},
        {"leg_id": STRANGE, "extension_id": None, "number": "1003", "state": "ended"},
    ]
    document = {
        "call_id": call_id,
        "tenant_id": str(tenant_id),
        "state": "answered",
        "direction": "outbound",
        "from": "1001",
        "to": "1002",
        "started_at": "2026-11-28T09:30:00.000000Z",
        "answered_at": None,
        "node": node,
        "legs": [{"direction": None, "originator_id": None, "node": node, **it} for it in legs],
        "recording": None,
    }
    server.api.live.put("calls", node, call_id, document)


async def test_a_command_goes_to_the_leg_that_it_is_for(server: Server) -> None:
    site = await _site(server)
    for path, body, line in (
        ("hold", {}, f"uuid_hold {CALL}"),
        ("resume", {"leg_id": LEG}, f"uuid_hold off {LEG}"),
        ("mute", {}, f"uuid_audio {CALL} start read mute 1"),
        ("dtmf", {"digits": "12#"}, f"uuid_send_dtmf {LEG} 12#@100"),
        (
            "play",
            {"sound": "ivr/x.wav", "heard_by": "leg"},
            f"uuid_broadcast {CALL} 'playback::ivr/x.wav' aleg",
        ),
        ("hangup", {"leg_id": LEG, "cause": "USER_BUSY"}, f"uuid_kill {LEG} USER_BUSY"),
    ):
        answer = await server.request("POST", f"{site.tenant}/calls/{CALL}/{path}", body)
        assert (answer.status, answer.json["command"]) == (200, path)
        assert site.link.sent.pop() == line
    answer = await server.request("POST", f"{site.tenant}/calls/{CALL}/hangup")
    assert answer.status == 200
    assert site.link.sent == [f"uuid_kill {it} NORMAL_CLEARING" for it in (CALL, LEG)]


async def test_what_is_another_tenants_is_not_there(server: Server) -> None:
    site = await _site(server)
    other = await server.make_tenant("other")
    theirs = str(new_id())
    show(server, server.tenant_id(other), theirs)
    key = await server.make_key("calls:*", tenant=site.tenant)
    for path, body in (
        (f"calls/{theirs}/hangup", {}),
        (f"calls/{theirs}/eavesdrop", {"by": "1001"}),
        (f"calls/{CALL}/bridge", {"other_call_id": theirs}),
        (f"calls/{CALL}/transfer", {"type": "attended", "with_call_id": theirs}),
        (f"calls/{CALL}/hold", {"leg_id": theirs}),
        # A leg that has ended, and one that there never was.
        (f"calls/{CALL}/hold", {"leg_id": STRANGE}),
        (f"calls/{STRANGE}/hangup", {}),
    ):
        answer = await server.request("POST", f"{site.tenant}/{path}", body, key=key)
        assert (answer.status, answer.json["code"]) == (404, "not_found"), path
    assert site.link.sent == []


@pytest.mark.parametrize(
    ("outcome", "status", "code", "maybe"),
    [
        (SwitchError("Operation failed"), 502, "switch_error", None),
        (SwitchError("No such channel!"), 404, "not_found", None),
        (ConnectionGone(maybe_executed=True), 503, "switch_unavailable", True),
        (ConnectionGone(maybe_executed=False), 503, "switch_unavailable", False),
        (TimeoutExceeded("no answer"), 504, "timeout", True),
    ],
)
async def test_what_the_switch_refuses_is_told_in_its_words(
    server: Server, outcome: NizamError, status: int, code: str, maybe: bool | None
) -> None:
    site = await _site(server)
    site.link.outcome = outcome
    answer = await server.request("POST", f"{site.tenant}/calls/{CALL}/hold")
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.json.get("maybe_executed") is maybe
    assert outcome.detail in answer.json["detail"]
    logged = await server.request("GET", f"{site.tenant}/audit-logs?resource_type=call")
    assert [it["action"] for it in logged.json["data"]] == ["command_failed", "hold"]
    assert logged.json["data"][0]["after"]["code"] == code


async def test_a_command_with_a_key_is_sent_once(server: Server) -> None:
    site = await _site(server)
    path = f"{site.tenant}/calls/{CALL}/dtmf"
    first = await server.request("POST", path, {"digits": "1"}, idempotency_key=KEY)
    again = await server.request("POST", path, {"digits": "1"}, idempotency_key=KEY)
    assert (again.status, again.json) == (200, first.json)
    assert again.headers["idempotent-replayed"] == "true"
    other = await server.request("POST", path, {"digits": "2"}, idempotency_key=KEY)
    assert (other.status, other.json["code"]) == (422, "idempotency_mismatch")
    assert len(site.link.sent) == 1


async def test_a_command_whose_outcome_is_not_known_is_not_sent_again(server: Server) -> None:
    site = await _site(server)
    path = f"{site.tenant}/calls/{CALL}/dtmf"
    site.link.outcome = TimeoutExceeded("no answer")
    lost = await server.request("POST", path, {"digits": "1"}, idempotency_key=KEY)
    site.link.outcome = "+OK"
    again = await server.request("POST", path, {"digits": "1"}, idempotency_key=KEY)
    assert (lost.status, again.status, again.json["code"]) == (504, 409, "conflict")
    assert len(site.link.sent) == 1


async def test_a_command_that_was_refused_may_be_tried_again(server: Server) -> None:
    site = await _site(server)
    path = f"{site.tenant}/calls/{CALL}/hold"
    site.link.outcome = SwitchError("Operation failed")
    refused = await server.request("POST", path, idempotency_key=KEY)
    site.link.outcome = "+OK"
    again = await server.request("POST", path, idempotency_key=KEY)
    assert (refused.status, again.status) == (502, 200)


async def test_a_part_that_is_another_tenants_is_no_part_of_the_call(server: Server) -> None:
    site = await _site(server)
    other = await server.make_tenant("other")
    show(server, server.tenant_id(other), CALL, "fs2")
    answer = await server.request("POST", f"{site.tenant}/calls/{CALL}/hangup")
    assert answer.status == 200
    assert site.link.sent == [f"uuid_kill {it} NORMAL_CLEARING" for it in (CALL, LEG)]
    for tenant, node in ((site.tenant, "fs1"), (other, "fs2")):
        shown = await server.request("GET", f"{tenant}/calls/{CALL}")
        assert (shown.status, shown.json["node"], len(shown.json["legs"])) == (200, node, 3)


async def test_calls_on_two_switches_are_not_connected(server: Server) -> None:
    site = await _site(server)
    elsewhere = str(new_id())
    show(server, server.tenant_id(site.tenant), elsewhere, "fs2")
    body = {"other_call_id": elsewhere}
    answer = await server.request("POST", f"{site.tenant}/calls/{CALL}/bridge", body)
    assert (answer.status, answer.json["code"]) == (409, "conflict")
    gone = await server.request("POST", f"{site.tenant}/calls/{elsewhere}/hold")
    assert (gone.status, gone.json["code"]) == (503, "switch_unavailable")
