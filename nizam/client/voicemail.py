"""Mailboxes: listing messages, listening, links for others, marking, deleting."""

from __future__ import annotations

from typing import BinaryIO
from uuid import UUID

import attrs

from nizam.client.actions import Document, document
from nizam.client.listening import Listening

Id = UUID | str


@attrs.frozen(eq=False)
class VoicemailMessages(Listening):
    """Messages in mailboxes."""

    def get(self, message_id: Id) -> Document:
        """One message."""
        return self._get(message_id)

    def download(self, message_id: Id, target: BinaryIO) -> int:
        """Write the sound, which is WAV, to an open file; its length in bytes."""
        return self._download(message_id, target)

    def mark(self, message_id: Id, *, read: bool = True) -> Document:
        """Mark it as listened to, or as new, at the phone too; the message as it is then."""
        answer = self.transport.request("PATCH", self._path(message_id), body={"read": read})
        return document(answer.json())

    def delete(self, message_id: Id) -> Document:
        """Delete it, in the phone's mailbox too; the receipt."""
        return document(self.transport.request("DELETE", self._path(message_id)).json())

    def link(
        self, message_id: Id, *, expires_in_seconds: int = 3600, inline: bool = False
    ) -> Document:
        """A link that anybody can download the sound with, until it expires: `url` and
        `expires_at`."""
        return self._link(message_id, expires_in_seconds, inline=inline)

    def download_link(self, message_link: str, target: BinaryIO) -> int:
        """Write what a link of this server is for to an open file; its length in bytes."""
        return self._download_link(message_link, target)
