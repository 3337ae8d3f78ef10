"""A real mail server on loopback, Twisted's, which keeps what it is given."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.protocol import Factory
from twisted.mail.imap4 import LOGINCredentials
from twisted.mail.interfaces import IMessageDelivery, IMessageSMTP
from twisted.mail.smtp import ESMTP, SMTPBadRcpt
from zope.interface import implementer

USER, PASSWORD = b"nizam", b"mail-secret"


@implementer(IMessageSMTP)
class _Message:
    def __init__(self, server: MailServer, recipient: str) -> None:
        self._server, self._recipient = server, recipient
        self._lines: list[bytes] = []

    def lineReceived(self, line: bytes) -> None:  # noqa: N802 - Twisted's name
        self._lines.append(line)

    def eomReceived(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        if self._server.says_no:
            return fail(OSError("the disk is full"))
        raw = b"\r\n".join(self._lines)
        message = message_from_bytes(raw, policy=default)
        assert isinstance(message, EmailMessage)
        self._server.taken.append((self._recipient, message))
        return succeed(None)

    def connectionLost(self) -> None:  # noqa: N802 - Twisted's name
        pass


@implementer(IMessageDelivery)
class _Delivery:
    def __init__(self, server: MailServer) -> None:
        self._server = server

    def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> bytes:  # noqa: N802
        return b"Received: by the test"

    def validateFrom(self, helo: Any, origin: Any) -> Any:  # noqa: N802 - Twisted's name
        self._server.senders.append(str(origin))
        return origin

    def validateTo(self, user: Any) -> Any:  # noqa: N802 - Twisted's name
        if str(user.dest).startswith("nobody@"):
            raise SMTPBadRcpt(user)  # type: ignore[no-untyped-call]
        return lambda: _Message(self._server, str(user.dest))


@implementer(IRealm)
class _Realm:
    def __init__(self, server: MailServer) -> None:
        self._server = server

    def requestAvatar(self, avatar_id: Any, mind: Any, *interfaces: Any) -> Any:  # noqa: N802
        return IMessageDelivery, _Delivery(self._server), lambda: None


class MailServer:
    """Listens on a port of loopback while it is up; with `login` it asks who is there."""

    def __init__(self, reactor: Any, *, login: bool = False, silent: bool = False) -> None:
        self.taken: list[tuple[str, EmailMessage]] = []
        self.senders: list[str] = []
        self.says_no = False
        self._reactor, self._login, self._silent = reactor, login, silent
        self._listening: Any = None
        self.port = 0

    def start(self) -> None:
        """Listen, on the port of before if there was one."""
        factory: Any = Factory()
        factory.protocol = self._protocol
        self._listening = self._reactor.listenTCP(self.port, factory, interface="127.0.0.1")
        self.port = self._listening.getHost().port

    async def stop(self) -> None:
        """Listen no more."""
        if self._listening is not None:
            await self._listening.stopListening()
            self._listening = None

    def _protocol(self) -> Any:
        challengers = {b"LOGIN": LOGINCredentials} if self._login else {}
        protocol: Any = ESMTP(challengers)  # type: ignore[no-untyped-call]
        protocol.noisy = False
        checker = InMemoryUsernamePasswordDatabaseDontUse(**{USER.decode(): PASSWORD})
        protocol.portal = Portal(_Realm(self), [checker]) if self._login else None
        if not self._login:
            protocol.delivery = _Delivery(self)
        if self._silent:
            protocol.connectionMade = lambda: None
        return protocol
