"""Emails about emergency calls: stored with the event, sent to a real server, never forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import attrs
import pytest
import pytest_twisted
from twisted.internet.task import Clock

from nizam.mail.message import emergency_message
from nizam.mail.outbox import LOOK_SECONDS, MailOutbox
from nizam.mail.smtp import SmtpMailer
from nizam.model.events import Event
from nizam.model.identifiers import new_id
from nizam.settings import MailSettings, Secret
from nizam.store.pool import Pool
from nizam.store.store import Store
from nizam.store.system.events import write_events
from nizam.store.system.mails import Mail, prune_mails, take_mails
from tests.mail.server import PASSWORD, USER, MailServer
from tests.store.conftest import BOX, make_tenant

NOW = datetime(2026, 11, 24, 12, 0, 7, tzinfo=UTC)
DEADLINE = 0.5


@attrs.define
class Office:
    """A database, a mail server, and the outbox between them."""

    reactor: Any
    pool: Pool
    server: MailServer
    tenant_id: UUID
    _sequence: int = 0

    def outbox(self, **changes: Any) -> MailOutbox:
        settings = MailSettings(
            host="127.0.0.1",
            port=self.server.port,
            security="none",
            username=None,
            password=None,
            sender="nizam@example.test",
        )
        mailer = SmtpMailer(self.reactor, attrs.evolve(settings, **changes), DEADLINE)
        return MailOutbox(self.reactor, self.pool, mailer)

    async def dialled(self, *notify: str, **changes: Any) -> Event:
        """Somebody has called for help; `notify` are to be told."""
        self._sequence += 1
        data = {
            "number": "911",
            "extension": "1001",
            "extension_name": "Zoë",
            "location": "Room 7",
            "caller_id_number": "+12025550101",
            "emergency_plan": "Head office",
            "notify": list(notify),
        }
        event = Event(
            type="emergency.dialled",
            occurred_at=NOW,
            core_id="core",
            sequence=self._sequence,
            tenant_id=self.tenant_id,
            call_id=new_id(),
            data=data | changes,
        )
        await write_events(self.pool, [event])
        return event

    async def rows(self) -> list[tuple[str, str, int, str | None]]:
        found = await self.pool.query(
            "select recipient, status, attempt_count, last_error from mails"
            " where tenant_id = %s order by recipient",
            (self.tenant_id,),
        )
        return [(row[0], row[1], row[2], row[3]) for row in found]

    async def age(self, **ago: float) -> None:
        """Let time pass for the emails that wait."""
        await self.pool.query(
            "update mails set next_attempt_at = now(), created_at = created_at - %s"
            " where tenant_id = %s returning 1",
            (timedelta(**ago), self.tenant_id),
        )


@pytest_twisted.async_yield_fixture
async def office(database: str) -> AsyncIterator[Office]:
    from twisted.internet import reactor

    pool = Pool(reactor, database, 2, "test")
    await pool.start()
    server = MailServer(reactor)
    server.start()
    acme = await make_tenant(Store(pool, BOX, environment="test"), "acme")
    yield Office(reactor, pool, server, acme.tenant_id)
    await server.stop()
    await pool.stop()


@pytest_twisted.ensureDeferred
async def test_everybody_who_is_to_know_gets_an_email_that_says_who_where_and_when(
    office: Office,
) -> None:
    event = await office.dialled("guard@example.test", "desk@example.test")
    await office.outbox().look()
    assert {it[:2] for it in await office.rows()} == {
        ("guard@example.test", "sent"),
        ("desk@example.test", "sent"),
    }
    assert {recipient for recipient, _ in office.server.taken} == {
        "guard@example.test",
        "desk@example.test",
    }
    assert set(office.server.senders) == {"nizam@example.test"}
    message = office.server.taken[0][1]
    assert message["Subject"] == "Emergency call to 911 by 1001 Zoë (Acme)"
    assert message.get_content().splitlines() == [
        "Called: 911",
        "By: 1001 Zoë",
        "Tenant: Acme",
        "At: 2026-11-24 12:00:07 UTC",
        "Location: Room 7",
        "Number shown: +12025550101",
        "Emergency plan: Head office",
        f"Call: {event.call_id}",
    ]


@pytest_twisted.ensureDeferred
async def test_an_event_that_is_stored_again_sends_nothing_again(office: Office) -> None:
    event = await office.dialled("guard@example.test", "guard@example.test")
    await write_events(office.pool, [event])
    await office.outbox().look()
    await office.outbox().look()
    assert len(office.server.taken) == 1


@pytest_twisted.ensureDeferred
async def test_other_events_send_no_email(office: Office) -> None:
    event = await office.dialled("guard@example.test")
    other = attrs.evolve(event, type="limit.reached", sequence=100)
    await write_events(office.pool, [other])
    assert len(await office.rows()) == 1


@pytest.mark.parametrize("notify", [[], None, "guard@example.test"])
@pytest_twisted.ensureDeferred
async def test_a_call_about_which_nobody_is_to_be_told_is_stored_all_the_same(
    office: Office, notify: Any
) -> None:
    event = await office.dialled(notify=notify)
    assert await office.rows() == []
    found = await office.pool.query("select 1 from call_events where id = %s", (event.id,))
    assert len(found) == 1


@pytest_twisted.ensureDeferred
async def test_what_the_server_does_not_take_is_sent_when_it_does(office: Office) -> None:
    await office.dialled("guard@example.test")
    await office.server.stop()
    await office.outbox().look()
    ((_, status, attempts, error),) = await office.rows()
    assert (status, attempts) == ("pending", 1)
    assert "onnect" in str(error)
    # Not at once: the next attempt is put off.
    office.server.start()
    await office.outbox().look()
    assert office.server.taken == []
    office.server.says_no = True
    await office.age()
    await office.outbox().look()
    assert (await office.rows())[0][1:] == ("pending", 2, "Could not send e-mail (550)")
    office.server.says_no = False
    await office.age()
    await office.outbox().look()
    assert (await office.rows())[0][1:] == ("sent", 3, None)
    assert len(office.server.taken) == 1


@pytest_twisted.ensureDeferred
async def test_one_who_cannot_be_told_does_not_keep_the_others_waiting(office: Office) -> None:
    await office.dialled("nobody@example.test", "guard@example.test", "a..b@example.test")
    await office.outbox().look()
    assert [it[:2] for it in await office.rows()] == [
        ("a..b@example.test", "pending"),
        ("guard@example.test", "sent"),
        ("nobody@example.test", "pending"),
    ]


@pytest_twisted.ensureDeferred
async def test_a_server_that_says_nothing_is_given_up_at_the_deadline(office: Office) -> None:
    await office.server.stop()
    office.server = MailServer(office.reactor, silent=True)
    office.server.start()
    await office.dialled("guard@example.test")
    await office.outbox().look()
    assert (await office.rows())[0][1:] == ("pending", 1, f"no answer within {DEADLINE:g} s")
    await office.server.stop()


@pytest_twisted.ensureDeferred
async def test_what_a_dead_instance_had_taken_is_sent_by_another(office: Office) -> None:
    await office.dialled("guard@example.test")
    assert len(await take_mails(office.pool, 10, 40.0)) == 1
    assert await take_mails(office.pool, 10, 40.0) == []
    await office.age()  # the 40 s are over
    await office.outbox().look()
    assert len(office.server.taken) == 1


@pytest_twisted.ensureDeferred
async def test_it_is_given_up_after_a_day_and_kept_for_a_while(office: Office) -> None:
    await office.dialled("nobody@example.test")
    await office.age(hours=25)
    await office.outbox().look()
    assert (await office.rows())[0][1] == "dead"
    await office.age()
    await office.outbox().look()
    assert (await office.rows())[0][2] == 1
    assert await prune_mails(office.pool, 1, 100) == 0
    await office.pool.query("update mails set updated_at = now() - interval '2 days' returning 1")
    assert await prune_mails(office.pool, 1, 100) == 1


@pytest_twisted.ensureDeferred
async def test_without_a_mail_server_it_waits_and_says_why(office: Office) -> None:
    await office.dialled("guard@example.test")
    await office.outbox(host=None).look()
    ((_, status, _, error),) = await office.rows()
    assert status == "pending"
    assert "MAIL_HOST" in str(error)


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest_twisted.ensureDeferred
async def test_a_server_that_does_not_encrypt_is_told_nothing(
    office: Office, security: str
) -> None:
    await office.dialled("guard@example.test")
    await office.outbox(security=security).look()
    assert (await office.rows())[0][1] == "pending"
    assert office.server.senders == []


@pytest.mark.parametrize(("password", "taken"), [(PASSWORD.decode(), 1), ("wrong", 0)])
@pytest_twisted.ensureDeferred
async def test_it_signs_in_where_it_is_told_to(office: Office, password: str, taken: int) -> None:
    await office.server.stop()
    office.server = MailServer(office.reactor, login=True)
    office.server.start()
    await office.dialled("guard@example.test")
    await office.outbox(username=USER.decode(), password=Secret(password)).look()
    assert len(office.server.taken) == taken
    await office.server.stop()


def test_names_cannot_write_headers_of_their_own() -> None:
    data = {"number": "911", "extension": "1001", "extension_name": "A\r\nBcc: x@example.test"}
    tenant = "Acme\nTo: y@example.test"
    mail = Mail(new_id(), new_id(), "guard@example.test", NOW, None, data, 1, tenant)
    raw = emergency_message(mail, "nizam@example.test", NOW)
    head, _, body = raw.partition(b"\n\n")
    names = [line.partition(b":")[0] for line in head.split(b"\n") if line[:1] not in b" \t"]
    assert b"Bcc" not in names
    assert names.count(b"To") == 1
    assert body.count(b"\n") == 6


async def test_the_outbox_is_looked_at_again_whatever_went_wrong() -> None:
    class Broken:
        asked = 0

        async def query(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
            self.asked += 1
            raise RuntimeError("nobody has thought of this")

    clock, broken = Clock(), Broken()
    settings = MailSettings("127.0.0.1", 25, "none", None, None, "nizam@example.test")
    outbox = MailOutbox(clock, cast(Any, broken), SmtpMailer(clock, settings))
    outbox.startService()
    assert broken.asked == 1
    clock.advance(LOOK_SECONDS)
    assert broken.asked == 2
    await cast(Any, outbox.stopService())
