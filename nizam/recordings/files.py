"""The files of recordings, in the media root or in object storage."""

from __future__ import annotations

import attrs

from nizam.errors import MediaUnavailable, StorageUnavailable
from nizam.media.library import MediaLibrary
from nizam.media.objects import ObjectStore
from nizam.media.readable import LocalFile, Readable


@attrs.frozen(kw_only=True)
class Place:
    """Where the file of a recording is."""

    path: str
    storage: str
    is_local: bool
    object_key: str | None


@attrs.frozen
class RecordingFiles:
    """Opens and removes them; `objects` None is no object storage."""

    library: MediaLibrary
    objects: ObjectStore | None = None

    async def open(self, it: Place) -> Readable:
        """The file. Raises MediaUnavailable and StorageUnavailable."""
        if it.is_local:
            try:
                return await LocalFile.open(self.library, it.path)
            except MediaUnavailable:
                # It may have been moved on a moment ago.
                if it.object_key is None:
                    raise
        return await self._store().open(it.object_key or "")

    async def remove(self, it: Place) -> None:
        """Remove the file wherever it is; one that is not there is removed. Raises
        MediaUnavailable and StorageUnavailable."""
        if it.object_key is not None:
            await self._store().remove(it.object_key)
        if it.is_local:
            await self.library.remove(it.path)

    def _store(self) -> ObjectStore:
        if self.objects is None:
            raise StorageUnavailable("it lies in an object storage that the settings do not name")
        return self.objects
