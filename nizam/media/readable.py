"""Something stored that can be read piece by piece, wherever it lies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import BinaryIO, Final, Protocol

import attrs

from nizam.errors import MediaUnavailable
from nizam.media.library import MediaLibrary

PIECE_BYTES: Final = 64 * 1024


class Readable(Protocol):
    """An open file of `size` bytes, to be closed once."""

    @property
    def size(self) -> int:
        """How many bytes it has."""

    def pieces(self, first: int, length: int) -> AsyncIterator[bytes]:
        """The bytes from `first` on, so many; MediaUnavailable if they are not there any more."""

    def close(self) -> None:
        """Let it go."""


@attrs.frozen
class LocalFile:
    """A file of the media root."""

    library: MediaLibrary
    file: BinaryIO
    size: int

    @classmethod
    async def open(cls, library: MediaLibrary, path: str) -> LocalFile:
        """The file at `path` below the media root. Raises MediaUnavailable."""
        file = await library.open(path)
        return cls(library, file, await library.size(file))

    async def pieces(self, first: int, length: int) -> AsyncIterator[bytes]:
        """See Readable."""
        self.file.seek(first)
        while length > 0:
            piece = await self.library.read(self.file, min(length, PIECE_BYTES))
            if not piece:
                raise MediaUnavailable("the file has become shorter")
            length -= len(piece)
            yield piece

    def close(self) -> None:
        """See Readable."""
        self.file.close()
