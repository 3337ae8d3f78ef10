"""What emails are sent by."""

from __future__ import annotations

from typing import Protocol

from nizam.errors import NizamError


class MailNotSentError(NizamError):
    """The mail server was not reached, or did not take the mail; the text says why."""


class Mailer(Protocol):
    """Sends emails."""

    sender: str

    async def send(self, recipient: str, message: bytes) -> None:
        """Hand the message to the mail server; MailNotSentError when it is not taken in time."""
