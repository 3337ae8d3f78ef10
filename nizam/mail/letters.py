"""What an outbox sends: how the emails of one kind are written, and what follows from them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from nizam.mail.message import emergency_message
from nizam.store.system.mails import Mail, MailKind


class Letters(Protocol):
    """The emails of one kind."""

    @property
    def kind(self) -> MailKind:
        """Which."""

    @property
    def about(self) -> str:
        """What they tell of, in words."""

    async def write(self, mail: Mail, sender: str, sent_at: datetime) -> bytes | None:
        """The message (RFC 5322); None when there is nothing to tell any more.

        Raises MailNotSentError, ValueError and MessageError when it cannot be written now.
        """

    async def sent(self, transaction: Any, mail: Mail) -> None:
        """The mail server has taken it: what follows, in the transaction that notes it."""


class EmergencyLetters:
    """Those that tell of emergency calls."""

    kind: MailKind = "emergency"
    about = "an emergency call"

    async def write(self, mail: Mail, sender: str, sent_at: datetime) -> bytes | None:
        """See Letters."""
        return emergency_message(mail, sender, sent_at)

    async def sent(self, transaction: Any, mail: Mail) -> None:
        """Nothing follows."""
