"""Sends the emails of the outbox, again and again until each was taken or a day is over."""

from __future__ import annotations

from datetime import UTC, datetime
from email.errors import MessageError
from typing import Any

from twisted.logger import Logger

from nizam import metrics
from nizam.mail.interface import Mailer, MailNotSentError
from nizam.mail.letters import EmergencyLetters, Letters
from nizam.mail.smtp import DEADLINE_SECONDS
from nizam.ops.looking import Looking
from nizam.store.pool import Pool, Transaction
from nizam.store.system.mails import Mail, note_failed, note_pointless, note_sent, take_mails

LOOK_SECONDS = 2.0
AT_ONCE = 10
LEASE_SECONDS = 2 * DEADLINE_SECONDS
"""When another instance takes what this one has not settled."""

FIRST_WAIT_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 900.0


class MailOutbox(Looking):
    """Looks every two seconds for emails of one kind that are due. Any number of instances may do
    so."""

    _log = Logger(namespace="nizam.mail")

    def __init__(
        self, reactor: Any, pool: Pool, mailer: Mailer, letters: Letters | None = None
    ) -> None:
        super().__init__(reactor, LOOK_SECONDS, "emails")
        self._letters = EmergencyLetters() if letters is None else letters
        self._reactor = reactor
        self._pool = pool
        self._mailer = mailer

    async def do_due(self) -> None:
        """Send what is due, once."""
        await self.settle(
            lambda: take_mails(self._pool, AT_ONCE, LEASE_SECONDS, self._letters.kind), self._send
        )

    async def _send(self, mail: Mail) -> None:
        now, letters = datetime.fromtimestamp(self._reactor.seconds(), UTC), self._letters
        try:
            try:
                message = await letters.write(mail, self._mailer.sender, now)
            except (ValueError, LookupError, MessageError) as error:
                raise MailNotSentError(f"it cannot be written: {error}") from None
            if message is None:
                await note_pointless(self._pool, mail.id)
                return
            await self._mailer.send(mail.recipient, message)
        except MailNotSentError as error:
            await self._failed(mail, str(error))
            return

        async def settle(transaction: Transaction) -> None:
            await note_sent(transaction, mail.id)
            await letters.sent(transaction, mail)

        await self._pool.transaction(settle)
        metrics.MAILS_TOTAL.labels("sent").inc()
        self._log.info(
            "{to} was told of {about} of tenant {tenant}",
            to=mail.recipient,
            about=letters.about,
            tenant=mail.tenant_id,
        )

    async def _failed(self, mail: Mail, error: str) -> None:
        wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(mail.attempt - 1, 10))
        dead = await note_failed(self._pool, mail.id, error, wait)
        metrics.MAILS_TOTAL.labels("dead" if dead else "failed").inc()
        self._log.error(
            "{to} was not told of {about} of tenant {tenant}, attempt {attempt}: {error}{end}",
            to=mail.recipient,
            about=self._letters.about,
            tenant=mail.tenant_id,
            attempt=mail.attempt,
            error=error,
            end="; given up" if dead else "",
        )
