"""Recorded calls: listing, listening, links for others, legal hold, deleting."""

from __future__ import annotations

from typing import Any, BinaryIO
from uuid import UUID

import attrs

from nizam.client.actions import Document, document
from nizam.client.listening import Listening

Id = UUID | str


@attrs.frozen(eq=False)
class Recordings(Listening):
    """Recordings."""

    def get(self, recording_id: Id) -> Document:
        """One recording."""
        return self._get(recording_id)

    def download(self, recording_id: Id, target: BinaryIO) -> int:
        """Write the sound, which is WAV, to an open file; its length in bytes."""
        return self._download(recording_id, target)

    def link(
        self, recording_id: Id, *, expires_in_seconds: int = 3600, inline: bool = False
    ) -> Document:
        """A link that anybody can download the sound with, until it expires: `url` and
        `expires_at`."""
        return self._link(recording_id, expires_in_seconds, inline=inline)

    def download_link(self, link: str, target: BinaryIO) -> int:
        """Write what a link of this server is for to an open file; its length in bytes."""
        return self._download_link(link, target)

    def hold(self, recording_id: Id, reason: str) -> Document:
        """Put it under legal hold: nothing deletes it until the hold is released."""
        return self._post(recording_id, "hold", body={"reason": reason})

    def release(self, recording_id: Id) -> Document:
        """End its legal hold."""
        return self._post(recording_id, "release")

    def delete(self, recording_id: Id) -> Document:
        """Delete it; the receipt."""
        return document(self.transport.request("DELETE", self._path(recording_id)).json())

    def prune(self, *, older_than_days: int | None = None, dry_run: bool = False) -> Document:
        """Have those deleted that are older than the tenant keeps them, or than this; how many
        they are, or with `dry_run` would be."""
        body: dict[str, Any] = {"dry_run": dry_run}
        if older_than_days is not None:
            body["older_than_days"] = older_than_days
        return self._post("prune", body=body)
