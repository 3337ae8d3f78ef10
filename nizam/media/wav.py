"""What a recorded WAV file holds, and whether it is whole; blocking, on an open file.

FreeSWITCH (libsndfile) writes the lengths into the header when it closes the file: one whose
process died in the middle has all of its sound, and a header that says there is none.
"""

from __future__ import annotations

import hashlib
import os
import struct
from typing import BinaryIO

import attrs

_PIECE = 1024 * 1024
_MOST_CHUNKS = 64


@attrs.frozen
class WavFacts:
    """A recorded file: how long it plays in ms, and what is wrong with it, None if nothing is.

    `unfinished` says that its header does not count sound that is there.
    """

    bytes: int
    sha256: str
    duration_ms: int | None
    sample_rate: int | None
    channels: int | None
    problem: str | None = None
    unfinished: bool = False


@attrs.frozen
class _Header:
    rate: int
    channels: int
    bytes_per_second: int
    riff_length: int
    data_start: int
    data_length: int


def look(file: BinaryIO) -> WavFacts:
    """Read the whole file and say what it holds. One that grows meanwhile has a problem."""
    size = os.fstat(file.fileno()).st_size
    header = _header(file, size)
    file.seek(0)
    digest, read = hashlib.sha256(), 0
    while piece := file.read(_PIECE):
        digest.update(piece)
        read += len(piece)
    if header is None:
        return WavFacts(read, digest.hexdigest(), None, None, None, "it is no WAV file")
    there = read - header.data_start
    # A chunk of odd length has a byte behind it that does not count.
    short = header.data_length < there - 1 and header.riff_length + 8 < read - 1
    counted = min(header.data_length, there)
    problem = None
    if read != size:
        problem = "it is still being written"
    elif header.data_length > there:
        missing = header.data_length - there
        problem = f"it breaks off: {missing} of {header.data_length} bytes of sound are missing"
    elif short:
        problem = "its header does not count all of its sound: the recording broke off"
    return WavFacts(
        read,
        digest.hexdigest(),
        round(counted * 1000 / header.bytes_per_second) if header.bytes_per_second else None,
        header.rate,
        header.channels,
        problem,
        short,
    )


def repair(file: BinaryIO) -> bool:
    """Write the true lengths into the header of a file that is open for reading and writing and
    whose recording broke off; whether that could be done."""
    size = os.fstat(file.fileno()).st_size
    header = _header(file, size)
    if header is None or size >= 2**32:
        return False
    length = size - header.data_start
    os.pwrite(file.fileno(), struct.pack("<I", length), header.data_start - 4)
    os.pwrite(file.fileno(), struct.pack("<I", size - 8), 4)
    os.fsync(file.fileno())
    return True


def _header(file: BinaryIO, size: int) -> _Header | None:
    """The header up to the chunk with the sound; None if there is none such."""
    file.seek(0)
    start = file.read(12)
    if len(start) < 12 or start[:4] != b"RIFF" or start[8:] != b"WAVE":
        return None
    riff_length = struct.unpack("<I", start[4:8])[0]
    sound: tuple[int, int, int] | None = None
    position = 12
    for _ in range(_MOST_CHUNKS):
        file.seek(position)
        chunk = file.read(8)
        if len(chunk) < 8 or position > size:
            return None
        length = struct.unpack("<I", chunk[4:])[0]
        if chunk[:4] == b"fmt ":
            fields = file.read(16)
            if len(fields) < 16:
                return None
            _, channels, rate, per_second = struct.unpack("<HHII", fields[:12])
            sound = (rate, channels, per_second)
        elif chunk[:4] == b"data":
            if sound is None:
                return None
            rate, channels, per_second = sound
            return _Header(rate, channels, per_second, riff_length, position + 8, length)
        position += 8 + length + length % 2
    return None
