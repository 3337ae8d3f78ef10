"""Mailboxes here and at the switch agree, whoever changes them, and each change is told once."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import attrs
import pytest

from nizam.esl import voicemail_commands as commands
from nizam.esl.errors import EslUsageError
from nizam.model.identifiers import new_id
from nizam.sim import voicemail_box
from nizam.store.store import Store
from nizam.store.system import voicemail_comparing
from nizam.store.system.event_log import read_log
from nizam.store.system.voicemail_changes import mark_deleted
from tests.event_types import check_event
from tests.store.conftest import BOX, make_tenant
from tests.voicemail.conftest import DOMAIN, Post

CHANGES = ["voicemail.read", "voicemail.unread", "voicemail.deleted"]
LEG = UUID("5f0f3b8e-6c1f-4d0b-9d7a-2f4f1d0c9b12")


async def told(post: Post) -> list[tuple[str, str, str]]:
    """The type, the message and by whom, of what was told of messages after they came."""
    rows = await post.pool.query(
        "select type, data ->> 'message_id', data ->> 'by' from call_events where type = any(%s)"
        " order by position",
        (CHANGES,),
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def test_what_is_listened_to_at_the_phone_is_read_here(post: Post) -> None:
    identifier, _ = await post.left_at_both()
    voicemail_box.hear(post.switch.core, "1001", DOMAIN, delete=False)
    await post.compare()
    await post.compare()
    assert await post.rows("is_read", "read_at is not null") == [(True, True)]
    assert await told(post) == [("voicemail.read", str(identifier), "phone")]
    assert await post.left_to_compare() == 0


async def test_what_is_deleted_at_the_phone_is_gone_here_with_a_receipt(post: Post) -> None:
    kept, _ = await post.left_at_both()
    voicemail_box.hear(post.switch.core, "1001", DOMAIN, delete=False)
    gone, _ = await post.left_at_both()
    voicemail_box.hear(post.switch.core, "1001", DOMAIN, delete=True)
    await post.compare()
    assert await post.rows("id") == [(kept,)]
    receipts = await post.pool.query(
        "select message_id, reason, deleted_by from voicemail_receipts"
    )
    assert receipts == [(gone, "at the phone", "phone")]
    assert ("voicemail.deleted", str(gone), "phone") in await told(post)


async def test_a_message_that_came_a_moment_ago_is_not_taken_for_gone(post: Post) -> None:
    # The switch tells of a message before its own database has it.
    await post.hear(post.received(new_id()))
    await post.compare(minutes_later=False)
    assert len(await post.rows("id")) == 1
    assert await post.left_to_compare() == 1


async def test_a_message_that_moves_between_the_lists_while_they_are_asked_for_stays(
    post: Post,
) -> None:
    await post.left_at_both()
    [message] = post.switch.core.messages
    message.read = 1

    def marked_as_new(line: str) -> None:
        if line.endswith(" read"):
            message.read = 0

    post.switch.before = marked_as_new
    await post.compare()
    assert len(await post.rows("id")) == 1


async def test_a_message_that_nobody_told_of_is_found_and_told_of_once(post: Post) -> None:
    identifier = new_id()
    post.switch.keep(post.path(identifier), LEG, read=1_700_000_050)
    await post.compare()
    await post.compare()
    rows = await post.rows("id", "extension_id", "is_read", "from_name", "switch_id")
    assert rows == [(identifier, post.extension_id, True, "Zoë: <b>", str(LEG))]
    [data] = await post.events("voicemail.received")
    assert (data["reconciled"], data["message_id"]) == (True, str(identifier))


async def test_a_message_whose_event_may_be_on_its_way_is_waited_for(post: Post) -> None:
    from time import time

    post.switch.keep(post.path(new_id()), LEG, created=int(time()))
    await post.compare()
    assert await post.rows("id") == []
    assert await post.left_to_compare() == 1


async def test_what_is_told_is_as_published(post: Post) -> None:
    identifier, _ = await post.left_at_both()
    found = new_id()
    post.switch.keep(post.path(found), new_id())
    [message, _] = post.switch.core.messages
    for epoch in (1, 0):
        message.read = epoch
        await post.compare()
    post.switch.core.messages.remove(message)
    await post.compare()
    events = [it.event for it in (await read_log(post.pool, 0)).events]
    of_these = {check_event(it) for it in events if it.data.get("message_id") == str(identifier)}
    changed = {"voicemail.read", "voicemail.unread", "voicemail.deleted"}
    assert of_these == changed | {"voicemail.received"}
    assert {check_event(it) for it in events} == of_these | {"voicemail.waiting"}


async def test_nothing_changes_while_the_switch_is_away(post: Post) -> None:
    await post.left_at_both()
    post.switch.core.messages.clear()
    post.switch.connected = False
    await post.compare()
    assert len(await post.rows("id")) == 1
    post.switch.connected = True
    await post.compare()
    assert await post.rows("id") == []


@pytest.mark.parametrize("kind", ["node.gap", "node.up"])
async def test_after_a_gap_every_mailbox_of_the_node_is_compared(post: Post, kind: str) -> None:
    tenant = await make_tenant(Store(post.pool, BOX, environment="test"), "acme")
    post.tenant_id = tenant.tenant_id
    numbers = [str(it) for it in range(1001, 1006)]
    for number in numbers:
        await tenant.create("extension", number=number, display_name=number)
    found = new_id()
    post.switch.keep(post.path(found), LEG, mailbox="1004", domain="acme.example.test")
    await post.hear(attrs.evolve(post.event(kind), tenant_id=None))
    await post.mailboxes.look()
    assert await post.rows("id", "mailbox") == [(found, "1004")]
    asked = {it.split()[4] for it in post.switch.sent if it.startswith("vm_fsdb_msg_list")}
    assert asked == set(numbers)
    assert await post.left_to_compare() == 0
    assert await post.pool.query("select node from voicemail_sweeps") == []


async def test_many_mailboxes_are_compared_by_and_by(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voicemail_comparing, "SWEPT_AT_ONCE", 2)
    tenant = await make_tenant(Store(post.pool, BOX, environment="test"), "acme")
    for number in range(1001, 1006):
        await tenant.create("extension", number=str(number), display_name="x")
    await post.hear(attrs.evolve(post.event("node.gap"), tenant_id=None))
    post.switch.connected = False
    await post.mailboxes.look()
    # As long as the switch is away no more wait than these.
    assert await post.left_to_compare() == 2
    post.switch.connected = True
    await post.pool.query("update voicemail_comparisons set next_attempt_at = now() returning 1")
    await post.mailboxes.look()
    assert await post.left_to_compare() == 0
    assert len({it.split()[4] for it in post.switch.sent}) == 5


async def test_mailboxes_of_others_are_left_alone(post: Post) -> None:
    mine, _ = await post.left_at_both()
    others, _ = await post.left_at_both(mailbox="1002")
    post.switch.core.messages.clear()
    await post.compare("1001")
    assert await post.rows("id") == [(others,)]
    assert mine != others


async def test_what_could_not_be_deleted_is_deleted_when_the_switch_is_back(post: Post) -> None:
    identifier, _ = await post.left_at_both()
    post.switch.connected = False
    assert await mark_deleted(post.pool, identifier, by="ada", reason="asked for", wait_seconds=0.0)
    await post.mailboxes.look()
    assert await post.rows("state", "problem") == [("deleting", "fs1 is not connected")]
    post.switch.connected = True
    await post.pool.query("update voicemail_messages set next_attempt_at = now() returning 1")
    await post.mailboxes.look()
    assert (await post.rows("id"), post.switch.held) == ([], [])
    assert await told(post) == [("voicemail.deleted", str(identifier), "ada")]


async def test_deleting_one_of_two_messages_of_one_call_keeps_the_other(post: Post) -> None:
    # mod_voicemail has the id of the leg for both, and vm_delete would remove both.
    first, _ = await post.left_at_both(mailbox="1001", switch_id=LEG)
    second, _ = await post.left_at_both(mailbox="1002", switch_id=LEG)
    await mark_deleted(post.pool, first, by="ada", reason="asked for", wait_seconds=0.0)
    await post.mailboxes.look()
    assert await post.rows("id") == [(second,)]
    assert [it.user for it in post.switch.core.messages] == ["1002"]


@pytest.mark.parametrize(
    ("mailbox", "domain", "message"),
    [
        ("1001@evil", DOMAIN, LEG),
        ("1001 x", DOMAIN, LEG),
        ("1001\n", DOMAIN, LEG),
        ("1001", "acme.test/other", LEG),
        ("1001", "acme test", LEG),
        ("1001'", DOMAIN, LEG),
        ("", DOMAIN, LEG),
        ("1001", DOMAIN, "x y"),
    ],
)
@pytest.mark.parametrize("make", [commands.delete, commands.condemn, commands.facts])
def test_nothing_but_mailboxes_and_messages_reaches_a_command(
    make: Any, mailbox: str, domain: str, message: Any
) -> None:
    with pytest.raises(EslUsageError):
        make(mailbox, domain, message)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (
            commands.mark("1001", DOMAIN, LEG, read=True),
            f"vm_read 1001@{DOMAIN}/default read {LEG}",
        ),
        (
            commands.mark("1001", DOMAIN, LEG, read=False),
            f"vm_read 1001@{DOMAIN}/default unread {LEG}",
        ),
        (commands.delete("1001", DOMAIN, LEG), f"vm_delete 1001@{DOMAIN}/default {LEG}"),
        (
            commands.listing("1001", DOMAIN, read=False),
            f"vm_fsdb_msg_list json default {DOMAIN} 1001 inbox not-read",
        ),
        (commands.facts("1001", DOMAIN, LEG), f"vm_fsdb_msg_get json default {DOMAIN} 1001 {LEG}"),
    ],
)
def test_commands_are_as_the_module_reads_them(line: str, command: str) -> None:
    assert line == command
