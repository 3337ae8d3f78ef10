"""From the event socket's bytes to frames, without I/O.

A frame is a block of header lines, an empty line, and as many body bytes as its Content-Length
says (mod_event_socket.c, FreeSWITCH 1.11). Line ends are a single LF. `FrameDecoder` promises:

- however the bytes are cut, the same frames come out, or the same EslPeerError;
- the work is linear in the bytes received, also when they arrive one at a time: it remembers how
  far it has searched;
- it holds at most one unfinished frame, `max_header_bytes` plus `max_body_bytes`, besides the
  bytes handed to it last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

from nizam.esl.errors import EslPeerError, EslUsageError

AUTH_REQUEST: Final = "auth/request"
COMMAND_REPLY: Final = "command/reply"
API_RESPONSE: Final = "api/response"
EVENT_PLAIN: Final = "text/event-plain"
EVENT_JSON: Final = "text/event-json"
EVENT_XML: Final = "text/event-xml"
DISCONNECT_NOTICE: Final = "text/disconnect-notice"
RUDE_REJECTION: Final = "text/rude-rejection"
LOG_DATA: Final = "log/data"

BODY_REQUIRED: Final = frozenset(
    {API_RESPONSE, EVENT_PLAIN, EVENT_JSON, EVENT_XML, RUDE_REJECTION, LOG_DATA}
)
CONTENT_TYPES: Final = BODY_REQUIRED | {AUTH_REQUEST, COMMAND_REPLY, DISCONNECT_NOTICE}

# The reply to `connect` on an outbound socket is one header block with every channel variable.
MAX_HEADER_BYTES: Final = 1024 * 1024
# `show channels as json` of some thousand calls; single events of 1.07 MB were recorded.
MAX_BODY_BYTES: Final = 32 * 1024 * 1024

# Nearly every frame is a JSON event, and FreeSWITCH always writes its header in this one way.
_EVENT_HEADER: Final = re.compile(
    rb"Content-Length: ([0-9]{1,10})\nContent-Type: text/event-json\n\n"
)
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


T = TypeVar("T")


class Frame(NamedTuple):
    """One frame. `headers` lacks Content-Type and Content-Length and holds the values as sent:
    only the reply to an outbound `connect` is percent-encoded. `body` is raw."""

    content_type: str
    headers: Mapping[str, str]
    body: bytes


class FrameDecoder:
    """The receive buffer of one connection and what it has understood so far.

    `max_header_bytes` (128 or more) and `max_body_bytes` bound a frame's two parts.
    """

    def __init__(
        self,
        *,
        max_header_bytes: int = MAX_HEADER_BYTES,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        if max_header_bytes < 128:
            raise EslUsageError("max_header_bytes has no room for the header of an event")
        self._max_header_bytes = max_header_bytes
        self._max_body_bytes = max_body_bytes
        self._buffer = bytearray()
        self._start = 0  # of the first byte not yet given out
        self._searched = 0  # up to here there is no end of the header block
        self._content_type = ""  # set while a body is awaited
        self._headers = _NO_HEADERS
        self._body_length = 0
        self._error: EslPeerError | None = None

    def __len__(self) -> int:
        """How many bytes are held back, waiting for the rest of their frame."""
        return len(self._buffer) - self._start

    def receive_data(self, data: bytes) -> None:
        """Add bytes from the connection; take what they complete with `frames`."""
        if self._error is None:
            self._discard_consumed()
            self._buffer += data

    def receive_eof(self) -> None:
        """The peer will send no more. Raises EslPeerError if that cuts a frame in two."""
        if self._content_type or len(self):
            raise EslPeerError(f"the connection ended inside a frame ({len(self)} bytes of it)")

    def frames(self) -> Iterator[Frame]:
        """Every frame that is complete by now, in order.

        Raises EslPeerError in place of the first frame that is none, and again ever after.
        """
        return self.read(_json_frame)

    def read(self, decode_json: Callable[[memoryview], T]) -> Iterator[Frame | T]:
        """Like `frames`, but JSON events come as what `decode_json` makes of their body.

        It gets the body in place, without a copy, and may not keep it. What it raises as
        EslPeerError counts as a broken frame.
        """
        if self._error is not None:
            raise self._error
        buffer = self._buffer
        # Names bound once: this loop is most of the cost of decoding beside the JSON itself.
        match_event_header, max_body_bytes = _EVENT_HEADER.match, self._max_body_bytes
        try:
            while True:
                start = self._start
                if self._searched == start and not self._content_type:
                    match = match_event_header(buffer, start)
                    if match is not None:
                        start = match.end()
                        end = start + int(match[1])
                        if end <= len(buffer) and end - start <= max_body_bytes:
                            self._start = self._searched = end
                            yield decode_json(memoryview(buffer)[start:end])
                            continue
                if not self._content_type and not self._take_header():
                    return
                start = self._start
                end = start + self._body_length
                if len(buffer) < end:
                    return
                content_type, self._content_type = self._content_type, ""
                self._start = self._searched = end
                if content_type == EVENT_JSON:
                    yield decode_json(memoryview(buffer)[start:end])
                else:
                    yield Frame(content_type, self._headers, bytes(buffer[start:end]))
        except EslPeerError as error:
            self._error = error
            # The traceback may hold on to a view of the old buffer, which could not be resized.
            self._buffer, self._start = bytearray(), 0
            raise
        finally:
            self._discard_consumed()

    def _discard_consumed(self) -> None:
        if self._start:
            # CPython moves only the start of the bytearray: this costs nothing per byte kept.
            del self._buffer[: self._start]
            self._searched -= self._start
            self._start = 0

    def _take_header(self) -> bool:
        """Understand the header block at `_start`; False if it is not all there yet."""
        buffer, start = self._buffer, self._start
        end = buffer.find(b"\n\n", self._searched)
        # The last byte may be the first half of the separator.
        header_bytes = end - start if end >= 0 else len(buffer) - start - 1
        if header_bytes > self._max_header_bytes:
            raise EslPeerError(f"a header block of more than {self._max_header_bytes} bytes")
        if end < 0:
            self._searched = max(start, len(buffer) - 1)
            return False
        headers = parse_header_block(bytes(memoryview(buffer)[start:end]))
        content_type = headers.pop("Content-Type", "")
        if content_type not in CONTENT_TYPES:
            raise EslPeerError(f"a frame of unknown Content-Type {content_type[:60]!r}")
        length_text = headers.pop("Content-Length", None)
        if length_text is None and content_type in BODY_REQUIRED:
            raise EslPeerError(f"a {content_type} frame without Content-Length")
        self._headers = MappingProxyType(headers)
        self._expect_body(content_type, 0 if length_text is None else content_length(length_text))
        self._start = end + 2
        return True

    def _expect_body(self, content_type: str, length: int) -> None:
        if length > self._max_body_bytes:
            raise EslPeerError(f"a body of {length} bytes, over {self._max_body_bytes}")
        self._content_type = content_type
        self._body_length = length


def _json_frame(body: memoryview) -> Frame:
    return Frame(EVENT_JSON, _NO_HEADERS, bytes(body))


def content_length(text: str) -> int:
    """The number of bytes that a Content-Length header announces. Raises EslPeerError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise EslPeerError(f"a Content-Length of {text[:60]!r}")
    return int(text)


def parse_header_block(block: bytes) -> dict[str, str]:
    """The lines `Name: value` of a header block, without its closing empty line.

    The last value of a repeated header counts, except that Content-Type and Content-Length may
    not contradict themselves. Bytes that are not UTF-8 become U+FFFD. Raises EslPeerError.
    """
    headers: dict[str, str] = {}
    for line in block.decode("utf-8", "replace").split("\n"):
        name, separator, value = line.partition(": ")
        if not separator or not name:
            raise EslPeerError(f"a header line without a name and a value: {line[:60]!r}")
        if name in ("Content-Type", "Content-Length") and headers.get(name, value) != value:
            raise EslPeerError(f"two different {name} headers in one frame")
        headers[name] = value
    return headers
