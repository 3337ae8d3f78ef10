"""Sends the emails of the outbox, again and again until each was taken or a day is over."""

from __future__ import annotations

from datetime import UTC, datetime
from email.errors import MessageError
from typing import Any

import psycopg2
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from nizam import metrics
from nizam.errors import NizamError
from nizam.mail.interface import Mailer, MailNotSentError
from nizam.mail.message import emergency_message
from nizam.mail.smtp import DEADLINE_SECONDS
from nizam.ops.looking import Looking
from nizam.store.pool import Pool
from nizam.store.system.mails import Mail, note_failed, note_sent, take_mails

LOOK_SECONDS = 2.0
AT_ONCE = 10
LEASE_SECONDS = 2 * DEADLINE_SECONDS
"""When another instance takes what this one has not settled."""

FIRST_WAIT_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 900.0


class MailOutbox(Looking):
    """Looks every two seconds for emails that are due. Any number of instances may do so."""

    _log = Logger(namespace="nizam.mail")

    def __init__(self, reactor: Any, pool: Pool, mailer: Mailer) -> None:
        super().__init__(reactor, LOOK_SECONDS)
        self._reactor = reactor
        self._pool = pool
        self._mailer = mailer

    async def look(self) -> None:
        """Send what is due, once."""
        try:
            while mails := await take_mails(self._pool, AT_ONCE, LEASE_SECONDS):
                attempts = [Deferred.fromCoroutine(self._attempt(it)) for it in mails]
                await DeferredList(attempts, consumeErrors=True)
                if not self.running:
                    return
        except (NizamError, psycopg2.Error) as error:
            self._log.warn("the outbox of emails cannot be read: {error}", error=str(error))
        except Exception:
            # Whoever waits for help must not wait for a restart of the process, too.
            self._log.failure("the outbox of emails cannot be read")

    async def _attempt(self, mail: Mail) -> None:
        try:
            await self._send(mail)
        except (NizamError, psycopg2.Error) as error:
            # It is due again when the lease is over.
            self._log.warn("email {id} cannot be settled: {error}", id=mail.id, error=str(error))
        except Exception:
            self._log.failure("email {id} could not be made", id=mail.id)

    async def _send(self, mail: Mail) -> None:
        now = datetime.fromtimestamp(self._reactor.seconds(), UTC)
        try:
            try:
                message = emergency_message(mail, self._mailer.sender, now)
            except (ValueError, MessageError) as error:
                raise MailNotSentError(f"it cannot be written: {error}") from None
            await self._mailer.send(mail.recipient, message)
        except MailNotSentError as error:
            wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(mail.attempt - 1, 10))
            dead = await note_failed(self._pool, mail.id, str(error), wait)
            metrics.MAILS_TOTAL.labels("dead" if dead else "failed").inc()
            self._log.error(
                "{to} was not told of an emergency call of tenant {tenant}, attempt {attempt}: "
                "{error}{end}",
                to=mail.recipient,
                tenant=mail.tenant_id,
                attempt=mail.attempt,
                error=str(error),
                end="; given up" if dead else "",
            )
            return
        await note_sent(self._pool, mail.id)
        metrics.MAILS_TOTAL.labels("sent").inc()
        self._log.info(
            "{to} was told of an emergency call of tenant {tenant}",
            to=mail.recipient,
            tenant=mail.tenant_id,
        )
