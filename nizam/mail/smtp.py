"""Handing an email to a mail server by SMTP (RFC 5321), submission with STARTTLS or TLS."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.ssl import CertificateOptions, optionsForClientTLS

from nizam.mail.interface import MailNotSentError
from nizam.settings import MailSettings

if TYPE_CHECKING:
    from twisted.mail.smtp import SMTPClientError

DEADLINE_SECONDS = 20.0
"""How long one attempt may take in all."""


class SmtpMailer:
    """Sends through the mail server of the settings, one connection for each email.

    With `starttls` and `tls` the server's certificate is checked against its name, and nothing is
    sent to a server that does not encrypt.
    """

    def __init__(
        self, reactor: Any, settings: MailSettings, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._deadline = deadline_seconds
        self.sender = settings.sender or ""

    async def send(self, recipient: str, message: bytes) -> None:
        """Hand the message over. MailNotSentError when it is not taken within the deadline."""
        if self._settings.host is None or not self.sender:
            raise MailNotSentError("no mail server is set: MAIL_HOST and MAIL_FROM_ADDRESS")
        # It installs the reactor, which must wait until the command line is read.
        from twisted.mail.smtp import SMTPClientError

        sent = self._send(self._settings.host, recipient, message)
        sent.addTimeout(self._deadline, self._reactor)
        try:
            await sent
        except (DeferredTimeoutError, CancelledError):
            raise MailNotSentError(f"no answer within {self._deadline:g} s") from None
        except SMTPClientError as error:
            raise MailNotSentError(_words(error)) from None

    def _send(self, host: str, recipient: str, message: bytes) -> Deferred[Any]:
        from twisted.mail.smtp import ESMTPSenderFactory

        settings = self._settings
        password = settings.password.reveal() if settings.password else ""

        def cancel(_: Deferred[Any]) -> None:
            factory.sendFinished = True
            if factory.currentProtocol is not None:
                factory.currentProtocol.transport.abortConnection()
            else:
                connector.disconnect()

        result: Deferred[Any] = Deferred(cancel)
        factory = ESMTPSenderFactory(  # type: ignore[no-untyped-call]
            (settings.username or "").encode(),
            password.encode(),
            self.sender,
            recipient,
            BytesIO(message),
            result,
            retries=0,
            timeout=self._deadline,
            # What a server without encryption offers is taken, whoever it is.
            contextFactory=(
                CertificateOptions() if settings.security == "none" else optionsForClientTLS(host)
            ),
            heloFallback=settings.username is None,
            requireAuthentication=settings.username is not None,
            requireTransportSecurity=settings.security != "none",
            hostname=host,
        )
        if settings.security == "tls":
            connector = self._reactor.connectSSL(
                host, settings.port, factory, optionsForClientTLS(host)
            )
        else:
            connector = self._reactor.connectTCP(host, settings.port, factory)
        return result


def _words(error: SMTPClientError) -> str:
    said = error.resp.decode("utf-8", "replace") if isinstance(error.resp, bytes) else error.resp
    return f"{said} ({error.code})" if error.code and error.code > 0 else str(said)
