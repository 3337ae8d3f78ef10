"""The greetings of mailboxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO
from uuid import UUID

import attrs

from nizam.client.actions import Document, document
from nizam.client.sounds import Source, kind, opened
from nizam.client.transport import Transport

Id = UUID | str


@attrs.frozen(eq=False)
class VoicemailGreetings:
    """What callers hear before they leave a message, by number, 1 to 9."""

    transport: Transport
    parent: Callable[[], str]

    def list(self, extension_id: Id) -> list[Document]:
        """Those that the mailbox of an extension has."""
        answer: Any = self.transport.request("GET", self._path(extension_id)).json()
        return [document(it) for it in answer["data"]]

    def upload(self, extension_id: Id, greeting: int, source: Source) -> Document:
        """Put a WAV or MP3 file in the place of one."""
        path = self._path(extension_id, greeting)
        with opened(source) as file:
            return document(self.transport.upload("PUT", path, file, kind=kind(file)).json())

    def download(self, extension_id: Id, greeting: int, target: BinaryIO) -> int:
        """Write the sound, which is WAV, to an open file; its length in bytes."""
        path = self._path(extension_id, greeting, "audio")
        with self.transport.stream(path, accept="audio/wav") as pieces:
            return sum(target.write(piece) for piece in pieces)

    def choose(self, extension_id: Id, greeting: int) -> Document:
        """Have callers hear this one."""
        path = self._path(extension_id, greeting, "choose")
        return document(self.transport.request("POST", path).json())

    def delete(self, extension_id: Id, greeting: int) -> None:
        """Remove one that is not chosen."""
        self.transport.request("DELETE", self._path(extension_id, greeting))

    def _path(self, extension_id: Id, *steps: object) -> str:
        own = f"extensions/{extension_id}/voicemail-greetings"
        return "/".join([self.parent(), own, *map(str, steps)])
