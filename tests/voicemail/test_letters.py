"""Emails about messages: once, with the sound or without, and the message goes if it is to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import attrs
import pytest
import pytest_twisted

from nizam.mail.outbox import MailOutbox
from nizam.mail.smtp import SmtpMailer
from nizam.model.events import Event
from nizam.model.identifiers import new_id
from nizam.settings import MailSettings
from nizam.store.store import Store
from nizam.voicemail.letters import VoicemailLetters
from tests.mail.server import MailServer
from tests.media.sounds import wav
from tests.store.conftest import BOX, Workshop, make_tenant
from tests.voicemail.conftest import DOMAIN, Post

SOUND = wav(4.0)
ADA = "ada@example.test"


@attrs.define
class Desk:
    """A tenant whose extension 1001 has an address, and the mail server that takes its mail."""

    post: Post
    tenant: Workshop
    server: MailServer
    outbox: MailOutbox

    async def mailbox(self, **voicemail: Any) -> None:
        """The extension."""
        await self.tenant.create(
            "extension",
            number="1001",
            display_name="Ada Lovelace",
            time_zone="Asia/Tokyo",
            voicemail={"enabled": True, "email": ADA} | voicemail,
        )
        [(self.post.extension_id,)] = await self.post.pool.query("select id from extensions")

    async def left(self, age: timedelta = timedelta(), sound: bytes | None = SOUND) -> UUID:
        """A message for it."""
        identifier, switch_id = new_id(), new_id()
        if sound is not None:
            file = self.post.put(identifier, sound)
            self.post.switch.keep(str(file), switch_id)
        event: Event = attrs.evolve(
            self.post.received(identifier, switch_id=str(switch_id)),
            occurred_at=datetime.now(UTC) - age,
        )
        await self.post.hear(event)
        await self.post.files.look()
        return identifier

    @property
    def taken(self) -> list[tuple[str, EmailMessage]]:
        """What the mail server has been given."""
        return self.server.taken


@pytest_twisted.async_yield_fixture
async def desk(post: Post) -> AsyncIterator[Desk]:
    from twisted.internet import reactor

    server = MailServer(reactor)
    server.start()
    tenant = await make_tenant(Store(post.pool, BOX, environment="test"), "acme")
    post.tenant_id = tenant.tenant_id
    settings = MailSettings(
        host="127.0.0.1",
        port=server.port,
        security="none",
        username=None,
        password=None,
        sender="nizam@example.test",
    )
    letters = VoicemailLetters(post.pool, post.library)
    outbox = MailOutbox(reactor, post.pool, SmtpMailer(reactor, settings, 2.0), letters)
    outbox.running = True
    yield Desk(post, tenant, server, outbox)
    await server.stop()


async def test_a_new_message_is_emailed_once_with_its_sound(desk: Desk) -> None:
    await desk.mailbox()
    identifier = await desk.left()
    for _ in range(2):
        await desk.outbox.look()
        await desk.post.later()
    [(recipient, message)] = desk.taken
    assert recipient == ADA
    assert message["Subject"] == "New voicemail from Zoë (+12025550101) for 1001"
    [attached] = message.iter_attachments()
    assert attached.get_content() == SOUND
    assert attached.get_content_type() == "audio/wav"
    body = message.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert "For: 1001 Ada Lovelace" in text
    assert "Length: 0:04" in text
    assert "Asia/Tokyo" in text
    # The message stays.
    assert await desk.post.rows("id", "state") == [(identifier, "available")]


async def test_without_attach_audio_there_is_no_sound(desk: Desk) -> None:
    await desk.mailbox(attach_audio=False)
    await desk.left()
    await desk.outbox.look()
    [(_, message)] = desk.taken
    assert list(message.iter_attachments()) == []


async def test_what_is_to_be_deleted_after_the_email_goes_once_it_was_taken(desk: Desk) -> None:
    await desk.mailbox(delete_after_email=True)
    identifier = await desk.left()
    desk.server.says_no = True
    await desk.outbox.look()
    await desk.post.mailboxes.look()
    assert await desk.post.rows("state") == [("available",)]
    desk.server.says_no = False
    await desk.post.pool.query("update mails set next_attempt_at = now() returning 1")
    await desk.outbox.look()
    await desk.post.mailboxes.look()
    assert (await desk.post.rows("id"), desk.post.switch.held) == ([], [])
    receipts = await desk.post.pool.query("select message_id, reason from voicemail_receipts")
    assert receipts == [(identifier, "emailed")]
    assert len(desk.taken) == 1


async def test_no_email_tells_of_a_message_that_is_gone(desk: Desk) -> None:
    await desk.mailbox()
    await desk.left()
    await desk.post.pool.query("delete from voicemail_messages returning 1")
    await desk.outbox.look()
    assert desk.taken == []
    assert await desk.post.pool.query("select status from mails") == [("dead",)]


@pytest.mark.parametrize(
    ("voicemail", "age", "read"),
    [
        ({"email": None}, timedelta(), False),
        ({}, timedelta(days=2), False),
        ({}, timedelta(), True),
    ],
)
async def test_nobody_is_told_without_an_address_or_of_what_is_no_news(
    desk: Desk, voicemail: dict[str, Any], age: timedelta, read: bool
) -> None:
    await desk.mailbox(**voicemail)
    event = attrs.evolve(desk.post.received(new_id()), occurred_at=datetime.now(UTC) - age)
    desk.post.put(UUID(event.data["message_id"]), SOUND)
    await desk.post.hear(event)
    if read:
        await desk.post.pool.query("update voicemail_messages set is_read = true returning 1")
    await desk.post.files.look()
    await desk.outbox.look()
    assert await desk.post.rows("state") == [("available",)]
    assert desk.taken == []


async def test_nothing_that_a_caller_is_called_writes_a_header(desk: Desk) -> None:
    await desk.mailbox()
    identifier = new_id()
    desk.post.put(identifier, SOUND)
    name = "Eve\r\nBcc: all@example.test\x00"
    facts = {"from": "../\r\nX: y", "from_name": name, "domain": DOMAIN}
    event = attrs.evolve(desk.post.received(identifier, **facts), occurred_at=datetime.now(UTC))
    await desk.post.hear(event)
    await desk.post.files.look()
    await desk.outbox.look()
    [(_, message)] = desk.taken
    assert message["Bcc"] is None
    assert message["X"] is None
    [attached] = message.iter_attachments()
    assert "/" not in (attached.get_filename() or "")
