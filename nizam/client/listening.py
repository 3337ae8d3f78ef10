"""What the switch has recorded, to be listened to."""

from __future__ import annotations

from typing import BinaryIO
from urllib.parse import urlsplit
from uuid import UUID

import attrs

from nizam.client.actions import Document
from nizam.client.history import Documents


@attrs.frozen(eq=False)
class Listening(Documents):
    """A list of what has sound."""

    def _download_link(self, link: str, target: BinaryIO) -> int:
        parts = urlsplit(link)
        return self._write(f"{parts.path}?{parts.query}", target)

    def _download(self, it: UUID | str, target: BinaryIO) -> int:
        return self._write(self._path(it, "audio"), target)

    def _link(self, it: UUID | str, expires_in_seconds: int, *, inline: bool) -> Document:
        how = "inline" if inline else "attachment"
        body = {"expires_in_seconds": expires_in_seconds, "disposition": how}
        return self._post(it, "link", body=body)

    def _write(self, path: str, target: BinaryIO) -> int:
        with self.transport.stream(path, accept="audio/wav") as pieces:
            return sum(target.write(piece) for piece in pieces)
