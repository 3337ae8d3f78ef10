"""What is dialled is changed as the API changes it: once, checked, audited."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import attrs
import pytest

from nizam.http.commanding import StoreCommander
from nizam.http.deciding import Ran
from nizam.model.extension import Extension
from nizam.routing.decision import Decision
from nizam.routing.facts import Command
from nizam.routing.request import CallRequest
from nizam.routing.rows import Entry
from tests.http.conftest import Server

CALL = CallRequest(
    "acme.example.test",
    "*78",
    "6ea0bf15-77d6-42ac-8f51-8e7252f1e616",
    question_id="b4b9a9f2-0000-4000-8000-000000000001 42",
)


@attrs.frozen
class Phone:
    """An extension of a tenant, and what it dials."""

    server: Server
    tenant: str
    id: UUID

    async def dial(self, changes: Any, call: CallRequest = CALL) -> Ran:
        """Dial something that makes these changes."""
        command = Command("extension", self.id, changes)
        body = Extension(number="1001", display_name="Ada")
        caller = Entry("extension", self.id, 1, body, {})
        tenant_id = self.server.tenant_id(self.tenant)
        decision = Decision((), (), "routed", "", tenant_id, caller=caller, commands=(command,))
        return await StoreCommander(self.server.store).run(tenant_id, call, decision)

    async def now(self) -> Any:
        """The extension as the API shows it."""
        answer = await self.server.request("GET", f"{self.tenant}/extensions/{self.id}")
        return answer.json

    async def audited(self) -> list[Any]:
        """Its changes in the audit log, the newest first."""
        path = f"{self.tenant}/audit-logs?action=updated&resource_type=extension"
        return list((await self.server.request("GET", path)).json["data"])


async def _phone(server: Server) -> Phone:
    tenant = await server.make_tenant()
    made = await server.make(f"{tenant}/extensions", {"number": "1001", "display_name": "Ada"})
    return Phone(server, tenant, UUID(made["id"]))


async def test_a_change_is_made_and_the_audit_log_names_the_phone(server: Server) -> None:
    phone = await _phone(server)
    ran = await phone.dial({"do_not_disturb": True})
    assert (ran.failed, ran.done[0].changes) == (None, {"do_not_disturb": True})
    assert (await phone.now())["do_not_disturb"] is True
    (entry,) = await phone.audited()
    assert (entry["actor_type"], entry["actor_name"]) == ("extension", "extension 1001")
    assert (entry["actor_id"], entry["request_id"]) == (str(phone.id), CALL.unique_id)


async def test_only_the_named_fields_change(server: Server) -> None:
    phone = await _phone(server)
    mobile = {"type": "external", "number": "12025550177"}
    await phone.dial({"forward": {"busy": mobile}})
    again = attrs.evolve(CALL, question_id="core 43")
    await phone.dial({"forward": {"always": mobile}}, again)
    forward = (await phone.now())["forward"]
    numbers = {why: it and it["number"] for why, it in forward.items()}
    assert numbers == {
        "always": "12025550177",
        "busy": "12025550177",
        "no_answer": None,
        "not_registered": None,
    }


async def test_the_same_question_changes_nothing_again_and_is_told_what_was_done(
    server: Server,
) -> None:
    phone = await _phone(server)
    await phone.dial({"do_not_disturb": True})
    ran = await phone.dial({"do_not_disturb": False})
    assert ran == Ran((Command("extension", phone.id, {"do_not_disturb": True}),))
    assert (await phone.now())["do_not_disturb"] is True
    assert len(await phone.audited()) == 1


async def test_the_next_question_of_the_same_switch_is_another_one(server: Server) -> None:
    phone = await _phone(server)
    await phone.dial({"do_not_disturb": True})
    await phone.dial({"do_not_disturb": False}, attrs.evolve(CALL, question_id="core 43"))
    assert (await phone.now())["do_not_disturb"] is False


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"forward": {"always": {"type": "extension", "id": str(UUID(int=1))}}}, "not exist"),
        ({"ring_seconds": 1}, "ring_seconds"),
    ],
)
async def test_what_the_api_would_refuse_is_not_done(
    server: Server, changes: Any, words: str
) -> None:
    phone = await _phone(server)
    before = await phone.now()
    ran = await phone.dial(changes)
    assert words in str(ran.failed)
    assert await phone.now() == before


async def test_without_the_database_it_is_not_done_within_the_time_of_a_question(
    server: Server,
) -> None:
    phone = await _phone(server)
    await server.pool.stop()
    assert (await phone.dial({"do_not_disturb": True})).failed
