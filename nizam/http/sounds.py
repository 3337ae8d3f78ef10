"""Uploading and downloading the sound files of objects; prompts and music on hold share it.

A file is stored before the transaction that makes it an object's, and removed after the one that
takes it away. What a crash leaves in between belongs to nobody, and `nizam.media.sweep` removes it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote
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
from nizam.http.etag import if_none_match
from nizam.http.ranges import requested_range
from nizam.http.reply import Reply
from nizam.http.route import Call, Parameter, Route
from nizam.http.stream import Stream
from nizam.media.library import LIMITS, MediaLibrary
from nizam.media.upload import FORM_BYTES, FORM_TYPE, MP3_TYPES, WAV_TYPES, Upload, own
from nizam.model.audio import AudioFile, Folder, media_path

T = TypeVar("T")
_PIECE = 64 * 1024
AUDIO = WAV_TYPES[0]
_BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
_UPLOAD_COST = 10
"""How many requests an upload counts for: it takes a process of its own for a while."""

IF_MATCH = Parameter(
    name="If-Match", about="Only if the object still has this ETag.", where="header"
)
_RANGES = (
    Parameter(name="Range", about="One range of bytes, such as bytes=0-1023.", where="header"),
    Parameter(name="If-Range", about="The range only if the file has this ETag.", where="header"),
    Parameter(name="If-None-Match", about="304 if the file has this ETag.", where="header"),
)


def upload_route(
    folder: Folder,
    *,
    fields: Mapping[str, Any],
    parameters: tuple[Parameter, ...] = (),
    errors: tuple[type[NizamError], ...] = (),
    **more: Any,
) -> Route:
    """A route that takes a sound, as it is or in a form, which has `fields` beside its file."""
    file = {**_BINARY, "description": "The WAV or MP3 file."}
    form = {"type": "object", "required": ["file"], "properties": {"file": file, **fields}}
    return Route(
        request=_BINARY,
        request_media_type=AUDIO,
        also_takes={MP3_TYPES[0]: _BINARY, FORM_TYPE: form},
        takes_file=True,
        body_limit=body_limit(folder),
        parameters=(IF_MATCH, *parameters),
        errors=(UnsupportedMediaType, MediaUnavailable, StorageFull, VersionMismatch, *errors),
        cost=_UPLOAD_COST,
        **more,
    )


def download_route(**more: Any) -> Route:
    """A route that gives a sound, or a range of it."""
    return Route(
        method="GET",
        response=_BINARY,
        media_type=AUDIO,
        headers=("ETag", "Accept-Ranges", "Content-Disposition"),
        parameters=_RANGES,
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
        """The file, or the range of it that is asked for (RFC 9110, sections 13 and 14)."""
        tag, size = f'"{audio["sha256"]}"', int(audio["bytes"])
        headers = [
            ("ETag", tag),
            ("Accept-Ranges", "bytes"),
            ("Cache-Control", "private, no-cache"),
            ("Content-Disposition", disposition(f"{name}.wav")),
        ]
        if if_none_match(call.header("if-none-match"), audio["sha256"]):
            return Reply(None, 304, tuple(headers))
        # A range is defined for GET alone.
        wanted = None if call.is_head else call.header("range")
        span = requested_range(wanted, call.header("if-range"), tag, size)
        first, last = span or (0, size - 1)
        file = await self.library.open(
            media_path(call.tenant, self.folder, identifier, UUID(audio["id"]))
        )
        if await self.library.size(file) != size:
            file.close()
            raise MediaUnavailable("the file is not as it was stored")
        if span is not None:
            headers.append(("Content-Range", f"bytes {first}-{last}/{size}"))
        length = last - first + 1
        stream = Stream(self._pieces(file, first, length), length, file.close)
        return Reply(stream, 200 if span is None else 206, tuple(headers), AUDIO)

    async def _pieces(self, file: BinaryIO, first: int, length: int) -> AsyncIterator[bytes]:
        file.seek(first)
        while length > 0:
            piece = await self.library.read(file, min(length, _PIECE))
            if not piece:
                raise MediaUnavailable("the file has become shorter")
            length -= len(piece)
            yield piece


def disposition(filename: str) -> str:
    """Content-Disposition that saves the answer under this name (RFC 6266, appendix D)."""
    plain = "".join(
        it if it.isascii() and (it.isalnum() or it in " ._-") else "_" for it in filename
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
