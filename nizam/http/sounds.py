"""Uploading and downloading the sound files of objects; prompts and music on hold share it.

A file is stored before the transaction that makes it an object's, and removed after the one that
takes it away. What a crash leaves in between belongs to nobody, and `nizam.media.sweep` removes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, BinaryIO, TypeVar
from uuid import UUID

import attrs
from twisted.logger import Logger

from nizam.errors import (
    DatabaseUnavailable,
    MediaUnavailable,
    NizamError,
    PayloadTooLarge,
    RangeNotSatisfiable,
    StorageFull,
    UnsupportedMediaType,
    VersionMismatch,
)
from nizam.http.files import BINARY, RANGE_HEADERS, RANGES, StoredFile, file_reply
from nizam.http.reply import Reply
from nizam.http.route import Call, Parameter, Route
from nizam.media.library import LIMITS, MediaLibrary
from nizam.media.readable import LocalFile
from nizam.media.upload import FORM_BYTES, FORM_TYPE, MP3_TYPES, WAV_TYPES, Upload, own
from nizam.model.audio import AudioFile, Folder, media_path

T = TypeVar("T")
AUDIO = WAV_TYPES[0]
_UPLOAD_COST = 10
"""How many requests an upload counts for: it takes a process of its own for a while."""

IF_MATCH = Parameter(
    name="If-Match", about="Only if the object still has this ETag.", where="header"
)


def upload_route(
    folder: Folder,
    *,
    fields: Mapping[str, Any],
    parameters: tuple[Parameter, ...] = (),
    errors: tuple[type[NizamError], ...] = (),
    versioned: bool = True,
    **more: Any,
) -> Route:
    """A route that takes a sound, as it is or in a form, which has `fields` beside its file. What
    it belongs to has a version, or not."""
    file = {**BINARY, "description": "The WAV or MP3 file."}
    stale: tuple[type[NizamError], ...] = (VersionMismatch,) if versioned else ()
    form = {"type": "object", "required": ["file"], "properties": {"file": file, **fields}}
    return Route(
        request=BINARY,
        request_media_type=AUDIO,
        also_takes={MP3_TYPES[0]: BINARY, FORM_TYPE: form},
        takes_file=True,
        body_limit=body_limit(folder),
        parameters=(*((IF_MATCH,) if versioned else ()), *parameters),
        errors=(UnsupportedMediaType, MediaUnavailable, StorageFull, *errors, *stale),
        cost=_UPLOAD_COST,
        **more,
    )


def download_route(**more: Any) -> Route:
    """A route that gives a sound, or a range of it."""
    return Route(
        method="GET",
        response=BINARY,
        media_type=AUDIO,
        headers=RANGE_HEADERS,
        parameters=RANGES,
        errors=(MediaUnavailable, RangeNotSatisfiable),
        **more,
    )


def body_limit(folder: Folder) -> int:
    """The largest body in bytes that an upload may have."""
    return LIMITS[folder].max_bytes + FORM_BYTES


@attrs.frozen
class Sounds:
    """The files of one kind of object."""

    library: MediaLibrary
    folder: Folder

    def body(self, call: Call) -> BinaryIO:
        """The body of an upload, to be called before anything is waited for; see `own`."""
        assert call.upload is not None  # noqa: S101 - the route takes a file
        return own(call.upload)

    async def receive(self, call: Call, body: BinaryIO) -> Upload:
        """The sound in the body. Raises what `received` raises, and PayloadTooLarge."""
        upload = await self.library.receive(body, call.header("content-type"))
        if upload.size > LIMITS[self.folder].max_bytes:
            upload.file.close()
            raise PayloadTooLarge(f"at most {LIMITS[self.folder].max_bytes} bytes are taken")
        return upload

    async def store(self, call: Call, identifier: UUID, upload: Upload) -> AudioFile:
        """Convert and keep the sound; see MediaLibrary.store."""
        with upload.file:
            return await self.library.store(call.tenant, self.folder, identifier, upload.file)

    async def committed(
        self, call: Call, identifier: UUID, audio: AudioFile, work: Awaitable[T]
    ) -> T:
        """The result of the transaction `work` that makes a stored file the object's; when it
        certainly does not, the file goes away."""
        try:
            return await work
        except DatabaseUnavailable:
            raise  # it may have been committed
        except NizamError:
            await self.drop(call.tenant, identifier, audio.id)
            raise

    async def drop(self, tenant_id: UUID, identifier: UUID, file_id: UUID | str) -> None:
        """Remove a file that the object does not have any more."""
        path = media_path(tenant_id, self.folder, identifier, UUID(str(file_id)))
        try:
            await self.library.remove(path)
        except MediaUnavailable as error:
            Logger().warn("{path} is left to the sweep: {error}", path=path, error=error.detail)

    async def release(self, tenant_id: UUID, identifier: UUID, file_id: UUID | str) -> None:
        """Leave a file that was replaced to the sweep, so that calls under way can end with it."""
        path = media_path(tenant_id, self.folder, identifier, UUID(str(file_id)))
        try:
            await self.library.touch(path)
        except MediaUnavailable as error:
            Logger().warn("{path} was replaced: {error}", path=path, error=error.detail)

    async def answer(
        self, call: Call, identifier: UUID, audio: Mapping[str, Any], name: str
    ) -> Reply:
        """The file, or the range of it that is asked for."""
        file = StoredFile(
            sha256=audio["sha256"],
            size=int(audio["bytes"]),
            name=f"{name}.wav",
            media_type=AUDIO,
        )
        path = media_path(call.tenant, self.folder, identifier, UUID(audio["id"]))
        return await file_reply(call, file, lambda: LocalFile.open(self.library, path))
