"""The program that reads an upload: a process of its own, because its input is hostile.

It runs by its path, knows nothing of NIZAM, and is given no path: the upload is descriptor 0, the
file to write descriptor 3, and the answer is one line of JSON on descriptor 1. Limits on memory,
processor time and output hold from before the first byte is read, so that a small file that claims
to be a long one ends here and nowhere else.

The output is 16-bit linear WAV with one channel, which every FreeSWITCH plays without further
modules: at 16 kHz, or at 8 kHz if the upload has no more than that.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import struct
import sys
import wave
from collections.abc import Iterator
from typing import Any

import miniaudio

SOURCE, TARGET = 0, 3
_CHUNK_FRAMES = 16_384
_LEAST_SECONDS = 0.05
_MEMORY_BYTES = 1024 * 1024 * 1024
_RATES = range(4_000, 192_001)
_CHANNELS = range(1, 9)
# The first frame of an MP3 may announce how long it is; an MP3 without that announcement cannot be
# told from one that was cut off.
_COMPLETE = 0.95
# Linear, Microsoft ADPCM, float, A-law, mu-law, IMA ADPCM, and what says it further on.
_WAV_FORMATS = frozenset({0x0001, 0x0002, 0x0003, 0x0006, 0x0007, 0x0011, 0xFFFE})
_UNKNOWN_LENGTH = 0xFFFFFFFF


class Refused(Exception):
    """The upload is not taken; `code` is stable, the text is for people."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


def convert(data: bytes, target: int, max_seconds: float) -> dict[str, Any]:
    """Write the sound in `data` to the descriptor `target`, open for reading and writing; the
    facts of the written file. Raises Refused."""
    kind = sniff(data)
    try:
        if kind == "wav":
            check_wav(data)
            info = miniaudio.wav_get_info(data)
        else:
            info = miniaudio.mp3_get_info(data)
    except (miniaudio.DecodeError, ZeroDivisionError) as error:
        raise Refused("not_audio", f"the {kind} file cannot be decoded") from error
    if info.sample_rate not in _RATES or info.nchannels not in _CHANNELS:
        raise Refused(
            "not_supported",
            f"{info.nchannels} channels at {info.sample_rate} Hz; "
            "taken are 1 to 8 channels at 4000 to 192000 Hz",
        )
    if info.duration > max_seconds:
        raise Refused("too_long", f"{info.duration:.0f} s; at most {max_seconds:.0f} s are taken")
    rate = 8_000 if info.sample_rate <= 8_000 else 16_000
    frames = 0
    with os.fdopen(os.dup(target), "wb") as file, wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        for samples in _decoded(data, rate):
            frames += len(samples) // 2
            if frames > max_seconds * rate:
                raise Refused("too_long", f"at most {max_seconds:.0f} s are taken")
            writer.writeframes(samples)
    if frames < _LEAST_SECONDS * rate:
        raise Refused("empty", "there is no sound in it")
    if frames < info.duration * rate * _COMPLETE:
        raise Refused(
            "truncated", f"{info.duration:.1f} s are announced, {frames / rate:.1f} s are there"
        )
    size, digest = _digest(target)
    return {
        "sample_rate": rate,
        "seconds": round(frames / rate, 3),
        "bytes": size,
        "sha256": digest,
        "source_format": kind,
        "source_sample_rate": info.sample_rate,
        "source_channels": info.nchannels,
    }


def sniff(data: bytes) -> str:
    """`wav` or `mp3`, by what the file begins with; its name and media type say nothing."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "wav"
    if data[:3] == b"ID3" or (len(data) > 2 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2):
        return "mp3"
    raise Refused("not_audio", "neither a WAV nor an MP3 file")


def check_wav(data: bytes) -> None:
    """Raise Refused unless the file has a `fmt ` chunk with a known format and a `data` chunk, and
    both are all there."""
    names = set()
    for name, length, position in _chunks(data):
        names.add(name)
        if position + length > len(data) and length != _UNKNOWN_LENGTH:
            raise Refused(
                "truncated", f"{length} bytes of sound are announced, {len(data) - position} there"
            )
        if name == b"fmt " and length >= 16:
            (format_tag,) = struct.unpack_from("<H", data, position)
            if format_tag not in _WAV_FORMATS:
                raise Refused("not_supported", f"WAV with format {format_tag:#06x}")
        if name == b"data":
            break
    if not {b"fmt ", b"data"} <= names:
        raise Refused("not_audio", "a WAV file without its format or its sound")


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    position = 12
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        yield name, length, position + 8
        position += 8 + length + length % 2


def _decoded(data: bytes, rate: int) -> Iterator[bytes]:
    try:
        stream = miniaudio.stream_memory(
            data, miniaudio.SampleFormat.SIGNED16, 1, rate, _CHUNK_FRAMES
        )
        for samples in stream:
            if not samples:
                return
            yield samples.tobytes()
    except miniaudio.DecodeError as error:
        raise Refused("not_audio", "the file cannot be decoded") from error


def _digest(target: int) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    os.lseek(target, 0, os.SEEK_SET)
    while piece := os.read(target, 1 << 20):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


def _read(limit: int) -> bytes:
    os.lseek(SOURCE, 0, os.SEEK_SET)
    pieces, size = [], 0
    while piece := os.read(SOURCE, 1 << 20):
        size += len(piece)
        if size > limit:
            raise Refused("too_large", f"at most {limit} bytes are taken")
        pieces.append(piece)
    return b"".join(pieces)


def main(max_bytes: int, max_seconds: float, cpu_seconds: int) -> None:
    """Read, check, convert, and say what came of it: facts, a refusal, or the errno of a write."""
    most = int(max_seconds * 32_000) + 65_536
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    try:
        answer = {"facts": convert(_read(max_bytes), TARGET, max_seconds)}
    except Refused as refused:
        answer = {"refused": {"code": refused.code, "message": str(refused)}}
    except OSError as error:
        answer = {"errno": {"errno": error.errno or 0, "message": error.strerror or ""}}
    os.write(1, json.dumps(answer).encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
