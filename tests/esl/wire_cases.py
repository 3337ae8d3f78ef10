"""Recorded streams, ways to cut them, and a second, naive reading of them."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator

from nizam.esl.frames import Frame, FrameDecoder
from tests import recordings

EVENT_STREAMS = recordings.names("calls/esl") + recordings.names("calls2/esl")
LOAD_STREAMS = recordings.names("load")
CONVERSATIONS = (
    recordings.names("calls/transcripts")
    + recordings.names("calls/outbound")
    + recordings.names("live/transcripts")
)

_LENGTH = re.compile(rb"(?:^|\n)Content-Length: (\d+)")
_TYPE = re.compile(rb"(?:^|\n)Content-Type: (.*)")


def decode(chunks: Iterable[bytes]) -> Iterator[Frame]:
    """The frames of a stream that arrives in these chunks and then ends."""
    decoder = FrameDecoder()
    for chunk in chunks:
        decoder.receive_data(chunk)
        yield from decoder.frames()
    decoder.receive_eof()


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    for index in range(len(data)):
        yield data[index : index + 1]


def at_random(data: bytes, seed: int, longest: int = 70_000) -> Iterator[bytes]:
    """Chunks of 1 to `longest` bytes; short and long ones are equally likely."""
    chance = random.Random(seed)
    start = 0
    while start < len(data):
        size = min(longest, int(longest ** chance.random()))
        yield data[start : start + size]
        start += size


def naive_frames(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Content type and body of each frame, read from the whole stream in the plainest way."""
    start = 0
    while start < len(data):
        end = data.index(b"\n\n", start)
        header, start = data[start:end], end + 2
        length = _LENGTH.search(header)
        size = int(length[1]) if length else 0
        content_type = _TYPE.search(header)
        assert content_type is not None
        assert start + size <= len(data)
        yield content_type[1].decode(), data[start : start + size]
        start += size
