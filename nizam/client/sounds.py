"""Sounds of prompts and music on hold: uploading and downloading files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import attrs

from nizam.client.collection import Collection, etag_of
from nizam.client.objects import Object
from nizam.client.transport import Answer, Transport
from nizam.model.music_on_hold import MusicFile, MusicOnHold
from nizam.model.prompt import Prompt

Id = UUID | str
Source = str | PathLike[str] | bytes | BinaryIO
"""A file by its path, its content, or an open file, which is read from where it stands."""

_MP3_STARTS = (b"ID3", b"\xff")


@attrs.frozen(eq=False)
class Prompts(Collection[Prompt]):
    """Prompts, and their sounds."""

    def upload(
        self, it: Object[Prompt] | Id, source: Source, *, if_match: str | None = None
    ) -> Object[Prompt]:
        """Put a WAV or MP3 file in the place of the prompt's sound."""
        with opened(source) as file:
            answer = self.transport.upload(
                "PUT",
                self._path(it, "audio"),
                file,
                if_match=if_match or etag_of(it),
                kind=kind(file),
            )
        return self._read(answer)

    def download(self, it: Object[Prompt] | Id, target: BinaryIO) -> int:
        """Write the sound, which is WAV, to an open file; its length in bytes."""
        return _download(self.transport, self._path(it, "audio"), target)

    def delete_audio(self, it: Object[Prompt] | Id, *, if_match: str | None = None) -> None:
        """Leave the prompt without a sound."""
        self.transport.request("DELETE", self._path(it, "audio"), if_match=if_match or etag_of(it))


@attrs.frozen(eq=False)
class Music(Collection[MusicOnHold]):
    """Music on hold, and its files."""

    def upload(
        self,
        it: Object[MusicOnHold] | Id,
        source: Source,
        *,
        name: str | None = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
    ) -> MusicFile:
        """Add a WAV or MP3 file; it is called `name`, or as the file that `source` names."""
        name = name or (Path(source).stem if isinstance(source, str | PathLike) else None)
        with opened(source) as file:
            answer = self.transport.upload(
                "POST",
                self._path(it, "files"),
                file,
                query=() if name is None else (("name", name),),
                if_match=if_match or etag_of(it),
                idempotency_key=idempotency_key,
                kind=kind(file),
            )
        return _file(answer)

    def download(self, it: Object[MusicOnHold] | Id, file_id: Id, target: BinaryIO) -> int:
        """Write one file, which is WAV, to an open file; its length in bytes."""
        return _download(self.transport, self._path(it, "files", str(file_id)), target)

    def change_file(
        self,
        it: Object[MusicOnHold] | Id,
        file_id: Id,
        *,
        name: str | None = None,
        position: int | None = None,
    ) -> Object[MusicOnHold]:
        """Rename one file, or play it earlier or later; 1 is the first."""
        wanted = {"name": name, "position": position}
        body = {field: value for field, value in wanted.items() if value is not None}
        path = self._path(it, "files", str(file_id))
        return self._read(self.transport.request("PATCH", path, body=body, if_match=etag_of(it)))

    def delete_file(self, it: Object[MusicOnHold] | Id, file_id: Id) -> None:
        """Remove one file."""
        path = self._path(it, "files", str(file_id))
        self.transport.request("DELETE", path, if_match=etag_of(it))


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """The source as a file that can be read again from its present place."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, str | PathLike):
        with Path(source).open("rb") as file:
            yield file
    elif source.seekable():
        yield source
    else:
        yield io.BytesIO(source.read())


def kind(file: BinaryIO) -> str:
    """The media type of a sound, by how it begins; whether it is one the server says."""
    start = file.tell()
    beginning = file.read(3)
    file.seek(start)
    return "audio/mpeg" if beginning.startswith(_MP3_STARTS) else "audio/wav"


def _download(transport: Transport, path: str, target: BinaryIO) -> int:
    with transport.stream(path, accept="audio/wav") as pieces:
        return sum(target.write(piece) for piece in pieces)


def _file(answer: Answer) -> MusicFile:
    return MusicFile.model_validate(answer.json(), extra="ignore")
