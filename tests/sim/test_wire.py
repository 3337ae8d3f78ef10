"""Frames are FreeSWITCH's, byte for byte; commands are cut as it cuts them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import unquote

import pytest

from nizam.sim import wire
from tests.recordings import stream


def _recorded(name: str, kind: str) -> Iterator[bytes]:
    data = stream(name)
    position = 0
    while (end := data.find(b"\n\n", position)) >= 0:
        head = data[position:end]
        found = re.search(rb"^Content-Length: (\d+)$", head, re.MULTILINE)
        begin, position = position, end + 2 + (int(found[1]) if found else 0)
        if f"text/event-{kind}".encode() in head:
            yield data[begin:position]


def _event(pairs: list[tuple[str, wire.Value]]) -> wire.Event:
    body = None
    if pairs[-1][0] == "_body":
        body = str(pairs[-1][1])
        pairs = pairs[:-2]
    return wire.Event("", None, pairs, body)


def test_every_recorded_json_event_encodes_to_the_recorded_bytes() -> None:
    count = 0
    for frame in _recorded("calls2/esl/events-json-all", "json"):
        body = frame.partition(b"\n\n")[2]
        event = _event(json.loads(body, object_pairs_hook=lambda pairs: pairs))
        assert wire.event_json(event) == frame
        count += 1
    assert count > 500


def test_every_recorded_plain_event_encodes_to_the_recorded_bytes() -> None:
    count = 0
    for frame in _recorded("calls2/esl/events-plain-all", "plain"):
        head, _, body = frame.partition(b"\n\n")[2].decode().partition("\n\n")
        lines = [line.split(": ", 1) for line in head.split("\n")]
        pairs: list[tuple[str, wire.Value]] = [(name, unquote(text)) for name, text in lines]
        if body:
            pairs.append(("_body", body))
        assert wire.event_plain(_event(pairs)) == frame
        count += 1
    assert count > 500


def test_an_array_is_a_list_in_json_and_marked_in_plain() -> None:
    event = wire.Event("X", None, [("variable_legs", ["a", "b"])])
    assert wire.event_json(event).endswith(b'{"variable_legs":["a","b"]}')
    assert b"variable_legs: ARRAY%3A%3Aa%7C%3Ab\n" in wire.event_plain(event)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"auth x\n\n", ["auth x"]),
        (b"auth x\r\n\r\napi status\n\n", ["auth x", "api status"]),
        (b"\n\n\n\nexit\n\n", ["exit"]),
        (b"bgapi status\nJob-UUID: 1\n\n", ["bgapi status"]),
        (b"sendevent X\nContent-Length: 3\n\na\n\nexit\n\n", ["sendevent X", "exit"]),
        (b"half a command\n", []),
    ],
)
def test_commands_are_cut_whole_and_byte_by_byte(data: bytes, lines: list[str]) -> None:
    dripping = wire.CommandReader()
    dripped = [c for i in range(len(data)) for c in dripping.feed(data[i : i + 1])]
    assert [c.line for c in wire.CommandReader().feed(data)] == lines
    assert [c.line for c in dripped] == lines


def test_an_endless_command_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        wire.CommandReader().feed(b"x" * (wire.MAX_COMMAND + 1))
