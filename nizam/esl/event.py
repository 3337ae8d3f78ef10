"""What a switch event says: from an event frame's body to names and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote

import orjson

from nizam.esl.errors import EslPeerError
from nizam.esl.frames import EVENT_JSON, EVENT_PLAIN, Frame, content_length

HeaderValue = str | list[str]

_ARRAY: Final = "ARRAY::"
_ARRAY_SEPARATOR: Final = "|:"
# What SwitchEvent(...) does at the end, without its layers; it is made for every event.
_new_tuple: Final = tuple.__new__


class SwitchEvent(NamedTuple):
    """One event as FreeSWITCH fired it.

    `name` is its Event-Name; `headers` are its headers and channel variables (`variable_...`),
    decoded, a list where FreeSWITCH has an array; `body` is what came after the headers, such as
    the output of a background job. Where FreeSWITCH repeats a header the last value counts: it
    copies whole header blocks into some events, and the last one is the event's own.
    """

    name: str
    headers: Mapping[str, HeaderValue]
    body: str | None = None

    def get(self, header: str) -> str | None:
        """The value of `header`, the first one of an array; None when there is none."""
        value: object = self.headers.get(header)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, list):
            return str(value[0]) if value else None
        return str(value)

    @property
    def subclass(self) -> str | None:
        """Of a CUSTOM event, which one it is, such as `sofia::register`."""
        return self.get("Event-Subclass")


def decode_event(frame: Frame) -> SwitchEvent:
    """The event in a `text/event-json` or `text/event-plain` frame.

    Raises EslPeerError when the body is not one, as after a truncated frame.
    """
    if frame.content_type == EVENT_JSON:
        return decode_json(frame.body)
    if frame.content_type == EVENT_PLAIN:
        return decode_plain(frame.body)
    raise EslPeerError(f"a {frame.content_type} frame where an event was expected")


def decode_json(payload: bytes | memoryview) -> SwitchEvent:
    """The event in the body of a `text/event-json` frame. Raises EslPeerError."""
    try:
        headers = orjson.loads(payload)
    except orjson.JSONDecodeError:
        headers = _decode_damaged_json(payload)
    if headers.__class__ is not dict:
        raise EslPeerError("a JSON event that is not an object")
    name = headers.get("Event-Name")
    if name.__class__ is not str:
        raise EslPeerError("a JSON event without Event-Name")
    body = headers.pop("_body", None)
    if body is not None and body.__class__ is not str:
        raise EslPeerError("a JSON event whose body is not text")
    return _new_tuple(SwitchEvent, (name, headers, body))


def _decode_damaged_json(payload: bytes | memoryview) -> object:
    # FreeSWITCH copies bytes from the network into its JSON without asking whether they are UTF-8.
    try:
        return orjson.loads(bytes(payload).decode("utf-8", "replace"))
    except orjson.JSONDecodeError as error:
        raise EslPeerError(f"a JSON event that does not parse: {error}") from error


def decode_plain(payload: bytes) -> SwitchEvent:
    """The event in the body of a `text/event-plain` frame. Raises EslPeerError."""
    header_block, separator, body = payload.partition(b"\n\n")
    if not separator:
        raise EslPeerError("a plain event without the empty line after its headers")
    headers = PlainHeaders(header_block.decode("utf-8", "replace"))
    name = headers.get("Event-Name")
    if not isinstance(name, str):
        raise EslPeerError("a plain event without Event-Name")
    length = headers.get("Content-Length")
    if content_length(length if isinstance(length, str) else "0") != len(body):
        raise EslPeerError(f"a plain event whose body of {len(body)} bytes is not of its length")
    return SwitchEvent(name, headers, body.decode("utf-8", "replace") if length else None)


class PlainHeaders(Mapping[str, HeaderValue]):
    """The percent-encoded header lines of a plain event, each decoded when it is asked for.

    Undoing the encoding of a hundred headers costs ten times as much as the rest of the decoding,
    and few of them are ever read. The reply to an outbound `connect` has the same form.

    Unlike JSON it is ambiguous: FreeSWITCH does not encode a percent sign that is followed by two
    hexadecimal digits (switch_url_encode), so such text comes back decoded once too often.
    """

    __slots__ = ("_encoded", "_text")

    def __init__(self, header_block: str) -> None:
        self._text = f"\n{header_block}\n"
        self._encoded: dict[str, str] | None = None

    def __getitem__(self, name: str) -> HeaderValue:
        if self._encoded is not None:
            return _plain_value(self._encoded[name])
        # A value cannot hold a raw line feed, so a line feed and a name start a header.
        line_start = f"\n{name}: "
        start = self._text.rfind(line_start)
        if start < 0:
            raise KeyError(name)
        start += len(line_start)
        return _plain_value(self._text[start : self._text.index("\n", start)])

    def __iter__(self) -> Iterator[str]:
        return iter(self._split())

    def __len__(self) -> int:
        return len(self._split())

    def __repr__(self) -> str:
        return f"PlainHeaders({dict(self)!r})"

    def _split(self) -> dict[str, str]:
        if self._encoded is None:
            self._encoded = dict(
                line.split(": ", 1) for line in self._text.split("\n") if ": " in line
            )
        return self._encoded


def _plain_value(encoded: str) -> HeaderValue:
    value = unquote(encoded) if "%" in encoded else encoded
    if value.startswith(_ARRAY):
        return value.removeprefix(_ARRAY).split(_ARRAY_SEPARATOR)
    return value
