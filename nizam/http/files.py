"""Stored files as answers: whole or a range of them (RFC 9110, sections 13 and 14), as fast as the
client reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import attrs

from nizam.errors import MediaUnavailable
from nizam.http.etag import if_none_match
from nizam.http.ranges import requested_range
from nizam.http.reply import Reply
from nizam.http.route import Call, Parameter
from nizam.http.stream import Stream
from nizam.media.readable import Readable

BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
RANGES = (
    Parameter(name="Range", about="One range of bytes, such as bytes=0-1023.", where="header"),
    Parameter(name="If-Range", about="The range only if the file has this ETag.", where="header"),
    Parameter(name="If-None-Match", about="304 if the file has this ETag.", where="header"),
)
RANGE_HEADERS = ("ETag", "Accept-Ranges", "Content-Disposition")


@attrs.frozen(kw_only=True)
class StoredFile:
    """What is known of a file: its SHA-256, its length in bytes, and what clients save it as.
    With `inline` a browser plays it instead."""

    sha256: str
    size: int
    name: str
    media_type: str
    inline: bool = False


async def file_reply(
    call: Call, it: StoredFile, opened: Callable[[], Awaitable[Readable]]
) -> Reply:
    """The file, or the range of it that is asked for.

    Raises RangeNotSatisfiable, and MediaUnavailable if it is not as it was stored.
    """
    tag, size = f'"{it.sha256}"', it.size
    headers = [
        ("ETag", tag),
        ("Accept-Ranges", "bytes"),
        ("Cache-Control", "private, no-cache"),
        ("Content-Disposition", disposition(it.name, inline=it.inline)),
    ]
    if if_none_match(call.header("if-none-match"), it.sha256):
        return Reply(None, 304, tuple(headers))
    # A range is defined for GET alone.
    wanted = None if call.is_head else call.header("range")
    span = requested_range(wanted, call.header("if-range"), tag, size)
    first, last = span or (0, size - 1)
    file = await opened()
    if file.size != size:
        file.close()
        raise MediaUnavailable("the file is not as it was stored")
    if span is not None:
        headers.append(("Content-Range", f"bytes {first}-{last}/{size}"))
    length = last - first + 1
    stream = Stream(file.pieces(first, length), length, file.close)
    return Reply(stream, 200 if span is None else 206, tuple(headers), it.media_type)


def disposition(filename: str, *, inline: bool = False) -> str:
    """Content-Disposition that saves the answer under this name (RFC 6266, appendix D)."""
    plain = "".join(
        it if it.isascii() and (it.isalnum() or it in " ._-") else "_" for it in filename
    )
    how = "inline" if inline else "attachment"
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
