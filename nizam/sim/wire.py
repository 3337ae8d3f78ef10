"""The event socket's bytes as FreeSWITCH writes and reads them (mod_event_socket, switch_event).

Event frames have Content-Length before Content-Type, replies the other way round; a
`command/reply` has no Content-Length. Plain values are percent-encoded except comma, slash and a
few harmless characters; JSON values are not.
"""

from __future__ import annotations

import re
from functools import lru_cache

import attrs
import orjson

Value = str | list[str]
Headers = list[tuple[str, Value]]

AUTH_REQUEST = b"Content-Type: auth/request\n\n"
DISCONNECT_NOTICE = (
    b"Content-Type: text/disconnect-notice\nContent-Length: 67\n\n"
    b"Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
)
RUDE_REJECTION = (
    b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n"
)

MAX_COMMAND = 1 << 20

_END_OF_COMMAND = re.compile(rb"\r?\n\r?\n")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.~!$'()*,/\-]")  # what switch_url_encode replaces


@attrs.frozen
class Event:
    """One event: headers in order, names may repeat; a list value is an array."""

    name: str
    subclass: str | None
    headers: Headers
    body: str | None = None

    def get(self, header: str) -> str | None:
        """The first value of `header`; an array is joined as FreeSWITCH shows it."""
        for name, value in self.headers:
            if name == header:
                return value if isinstance(value, str) else _array(value)
        return None


@attrs.frozen
class Command:
    """One command of a client: its line, and the header lines and body that came with it."""

    line: str
    headers: dict[str, str]
    body: str = ""


def command_reply(text: str, **headers: str) -> bytes:
    """A `command/reply` frame saying `text`, with further headers such as Job-UUID."""
    more = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in headers.items())
    return f"Content-Type: command/reply\nReply-Text: {text}\n{more}\n".encode()


def api_response(text: str) -> bytes:
    """An `api/response` frame; FreeSWITCH answers an empty result with `-ERR no reply`."""
    body = (text or "-ERR no reply\n").encode()
    return b"Content-Type: api/response\nContent-Length: %d\n\n%b" % (len(body), body)


def event_json(event: Event) -> bytes:
    """The event as a `text/event-json` frame; repeated names stay repeated."""
    body = _json_object(event)
    return b"Content-Length: %d\nContent-Type: text/event-json\n\n%b" % (len(body), body)


def event_plain(event: Event) -> bytes:
    """The event as a `text/event-plain` frame."""
    body = plain_headers(event)
    return b"Content-Length: %d\nContent-Type: text/event-plain\n\n%b" % (len(body), body)


def plain_headers(event: Event) -> bytes:
    """The event's headers as percent-encoded lines, a blank line and the body, if any."""
    lines = [f"{name}: {plain_value(value)}\n" for name, value in event.headers]
    body = b""
    if event.body is not None:
        body = event.body.encode()
        lines.append(f"Content-Length: {len(body)}\n")
    lines.append("\n")
    return "".join(lines).encode() + body


def _json_object(event: Event) -> bytes:
    chunks: list[dict[str, Value]] = [{}]
    for name, value in event.headers:
        if name in chunks[-1]:  # a dict cannot repeat a key: go on in another one
            chunks.append({})
        chunks[-1][name] = value
    if event.body is not None:
        chunks[-1]["Content-Length"] = str(len(event.body.encode()))
        chunks[-1]["_body"] = event.body
    if len(chunks) == 1:
        return orjson.dumps(chunks[0])
    return b"{" + b",".join(orjson.dumps(chunk)[1:-1] for chunk in chunks) + b"}"


def _array(values: list[str]) -> str:
    return "ARRAY::" + "|:".join(values)


def plain_value(value: Value) -> str:
    """A header's value as plain frames and forms have it."""
    return quote(value if isinstance(value, str) else _array(value))


@lru_cache(maxsize=8192)  # most values repeat from event to event of a leg
def quote(value: str) -> str:
    """`value` percent-encoded as switch_url_encode does."""
    return _UNSAFE.sub(_percent, value)


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


class CommandReader:
    """Cuts a client's bytes into commands: lines, a blank line, and a body where one is named."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Command]:
        """The commands that `data` completes.

        Raises ValueError when a command grows beyond MAX_COMMAND bytes.
        """
        self._buffer += data
        commands = []
        while (command := self._next()) is not None:
            if command.line:
                commands.append(command)
        if len(self._buffer) > MAX_COMMAND:
            raise ValueError("command too long")
        return commands

    def _next(self) -> Command | None:
        stripped = self._buffer.lstrip(b"\r\n")
        match = _END_OF_COMMAND.search(stripped)
        if match is None:
            return None
        lines = stripped[: match.start()].decode(errors="replace").splitlines()
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if colon:
                headers[name.strip().lower()] = value.strip()
        length = headers.get("content-length", "0")
        end = match.end() + (int(length) if length.isdigit() else 0)
        if len(stripped) < end:
            return None
        self._buffer = stripped[end:]
        return Command(lines[0], headers, stripped[match.end() : end].decode(errors="replace"))
