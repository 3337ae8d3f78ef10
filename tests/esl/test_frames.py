"""Frames: the same ones however the bytes arrive, and one error for everything else."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nizam.esl.errors import EslPeerError, EslUsageError
from nizam.esl.frames import Frame, FrameDecoder
from tests import recordings
from tests.esl.wire_cases import (
    CONVERSATIONS,
    EVENT_STREAMS,
    LOAD_STREAMS,
    at_random,
    byte_by_byte,
    decode,
    naive_frames,
)

FIRST_200_KB = 200_000


def feed(decoder: FrameDecoder, chunks: Iterable[bytes]) -> list[Frame]:
    frames: list[Frame] = []
    for chunk in chunks:
        decoder.receive_data(chunk)
        frames += decoder.frames()
    return frames


def one_frame(data: bytes) -> Frame:
    (frame,) = decode([data])
    return frame


# -- recorded streams ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVENT_STREAMS + LOAD_STREAMS + CONVERSATIONS)
def test_a_recorded_stream_decodes_to_its_last_byte(name: str) -> None:
    data = recordings.stream(name)
    count = 0
    for frame, (content_type, body) in zip(decode([data]), naive_frames(data), strict=True):
        assert frame.content_type == content_type
        assert frame.body == body
        count += 1
    assert count > 0


@pytest.mark.parametrize("name", EVENT_STREAMS + LOAD_STREAMS)
def test_a_recorded_stream_cut_at_random_points_gives_the_same_frames(name: str) -> None:
    data = recordings.stream(name)
    for whole, cut in zip(decode([data]), decode(at_random(data, seed=1)), strict=True):
        assert whole == cut


@pytest.mark.parametrize("seed", range(20))
def test_recorded_conversations_cut_at_random_points_give_the_same_frames(seed: int) -> None:
    for name in CONVERSATIONS:
        data = recordings.stream(name)
        assert list(decode(at_random(data, seed, longest=3000))) == list(decode([data]))


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_recorded_conversation_byte_by_byte_gives_the_same_frames(name: str) -> None:
    data = recordings.stream(name)
    assert list(decode(byte_by_byte(data))) == list(decode([data]))


@pytest.mark.parametrize("name", EVENT_STREAMS + LOAD_STREAMS)
def test_the_start_of_a_recorded_stream_byte_by_byte_gives_the_same_frames(name: str) -> None:
    data = recordings.stream(name)[:FIRST_200_KB]
    whole, dripping = FrameDecoder(), FrameDecoder()
    whole.receive_data(data)
    assert feed(dripping, byte_by_byte(data)) == list(whole.frames())
    assert len(dripping) == len(whole)


# -- the kinds of frames -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "frame"),
    [
        (b"Content-Type: auth/request\n\n", Frame("auth/request", {}, b"")),
        (
            b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n",
            Frame("command/reply", {"Reply-Text": "+OK accepted"}, b""),
        ),
        (
            b"Content-Type: api/response\nContent-Length: 3\n\none",
            Frame("api/response", {}, b"one"),
        ),
        (
            b"Content-Type: api/response\nContent-Length: 0\n\n",
            Frame("api/response", {}, b""),
        ),
        (
            b"Content-Length: 2\nContent-Type: text/event-json\n\n{}",
            Frame("text/event-json", {}, b"{}"),
        ),
        (
            b"Content-Length: 16\nContent-Type: text/event-plain\n\nEvent-Name: API\n",
            Frame("text/event-plain", {}, b"Event-Name: API\n"),
        ),
        (
            b"Content-Length: 7\nContent-Type: text/event-xml\n\n<event>",
            Frame("text/event-xml", {}, b"<event>"),
        ),
        (
            b"Content-Type: log/data\nContent-Length: 2\nLog-Level: 7\nUser-Data: \n\nhi",
            Frame("log/data", {"Log-Level": "7", "User-Data": ""}, b"hi"),
        ),
        (
            b"Content-Type: text/rude-rejection\nContent-Length: 4\n\naway",
            Frame("text/rude-rejection", {}, b"away"),
        ),
        (
            b"Content-Type: text/disconnect-notice\nContent-Disposition: linger\n"
            b"Content-Length: 4\n\nbye\n",
            Frame("text/disconnect-notice", {"Content-Disposition": "linger"}, b"bye\n"),
        ),
    ],
)
def test_each_kind_of_frame(wire: bytes, frame: Frame) -> None:
    assert one_frame(wire) == frame
    assert list(decode(byte_by_byte(wire))) == [frame]


def test_bytes_after_a_frame_are_kept_for_the_next_one() -> None:
    decoder = FrameDecoder()
    decoder.receive_data(b"Content-Type: auth/request\n\nContent-Type: auth")
    assert [frame.content_type for frame in decoder.frames()] == ["auth/request"]
    assert len(decoder) == len(b"Content-Type: auth")
    decoder.receive_data(b"/request\n\n")
    assert [frame.content_type for frame in decoder.frames()] == ["auth/request"]
    assert len(decoder) == 0


def test_a_body_may_contain_what_looks_like_frames() -> None:
    body = b"Content-Type: auth/request\n\nContent-Length: 9\n\n"
    wire = b"Content-Type: api/response\nContent-Length: %d\n\n" % len(body)
    assert list(decode(byte_by_byte(wire + body))) == [Frame("api/response", {}, body)]


def test_header_bytes_that_are_not_utf8_are_replaced() -> None:
    frame = one_frame(b"Content-Type: command/reply\nReply-Text: +OK \xff\n\n")
    assert frame.headers["Reply-Text"] == "+OK �"


def test_frames_taken_one_at_a_time_are_neither_lost_nor_repeated() -> None:
    wire = b"".join(b"Content-Type: api/response\nContent-Length: 1\n\n%d" % n for n in range(5))
    decoder = FrameDecoder()
    decoder.receive_data(wire)
    bodies = []
    for _ in range(5):
        for frame in decoder.frames():
            bodies.append(frame.body)
            break
    assert bodies == [b"0", b"1", b"2", b"3", b"4"]


# -- what no FreeSWITCH sends --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "complaint"),
    [
        (b"\n\n", "without a name"),
        (b"HTTP/1.1 400 Bad Request\n\n", "without a name"),
        (b": nameless\n\n", "without a name"),
        (b"Reply-Text: +OK\n\n", "unknown Content-Type"),
        (b"Content-Type: text/html\nContent-Length: 0\n\n", "unknown Content-Type"),
        (b"Content-Type: api/response\n\n", "without Content-Length"),
        (b"Content-Type: text/event-json\n\n", "without Content-Length"),
        (b"Content-Type: api/response\nContent-Length: \n\n", "a Content-Length of"),
        (b"Content-Type: api/response\nContent-Length: -1\n\n", "a Content-Length of"),
        (b"Content-Type: api/response\nContent-Length: 1_0\n\n", "a Content-Length of"),
        ("Content-Type: api/response\nContent-Length: ٣\n\n".encode(), "a Content-Length of"),
        (b"Content-Type: api/response\nContent-Length: 99999999999\n\n", "a Content-Length of"),
        (b"Content-Length: 99999999999\nContent-Type: text/event-json\n\n", "a Content-Length of"),
        (b"Content-Length: 9999999999\nContent-Type: text/event-json\n\n", "a body of"),
        (
            b"Content-Type: api/response\nContent-Length: 1\nContent-Length: 2\n\n",
            "two different Content-Length",
        ),
        (
            b"Content-Type: auth/request\nContent-Type: command/reply\n\n",
            "two different Content-Type",
        ),
    ],
)
def test_other_bytes_are_the_peers_error_and_end_the_stream(wire: bytes, complaint: str) -> None:
    for chunks in ([wire], byte_by_byte(wire)):
        decoder = FrameDecoder()
        with pytest.raises(EslPeerError, match=complaint):
            feed(decoder, chunks)
        decoder.receive_data(b"Content-Type: auth/request\n\n")
        assert len(decoder) == 0
        with pytest.raises(EslPeerError, match=complaint):
            list(decoder.frames())


def test_frames_before_a_broken_one_are_given_out_first() -> None:
    decoder = FrameDecoder()
    decoder.receive_data(b"Content-Type: auth/request\n\nnonsense\n\n")
    frames = decoder.frames()
    assert next(frames).content_type == "auth/request"
    with pytest.raises(EslPeerError):
        next(frames)


@pytest.mark.parametrize(
    "wire",
    [
        b"Content-Type: auth/requ",
        b"Content-Type: api/response\nContent-Length: 3\n\non",
        b"Content-Type: api/response\nContent-Length: 3\n\n",
    ],
)
def test_an_end_inside_a_frame_is_the_peers_error(wire: bytes) -> None:
    with pytest.raises(EslPeerError, match="ended inside a frame"):
        list(decode([wire]))


@pytest.mark.parametrize("cut", [False, True])
def test_a_header_block_over_the_limit_is_refused_before_it_ends(cut: bool) -> None:
    def decode_header_of(size: int) -> list[Frame]:
        line = b"Content-Type: command/reply\nX: "
        data = line + b"x" * (size - len(line)) + b"\n\n"
        decoder = FrameDecoder(max_header_bytes=200)
        return feed(decoder, byte_by_byte(data) if cut else [data])

    assert len(decode_header_of(200)) == 1
    with pytest.raises(EslPeerError, match="more than 200 bytes"):
        decode_header_of(201)


@pytest.mark.parametrize("content_type", ["text/event-json", "api/response"])
def test_a_body_over_the_limit_is_refused_before_it_comes(content_type: str) -> None:
    decoder = FrameDecoder(max_body_bytes=10)
    head = f"Content-Length: 10\nContent-Type: {content_type}\n\n".encode()
    decoder.receive_data(head + b"x" * 10 + head.replace(b"10", b"11"))
    frames = decoder.frames()
    assert len(next(frames).body) == 10
    with pytest.raises(EslPeerError, match="11 bytes, over 10"):
        next(frames)


def test_a_limit_without_room_for_an_event_header_is_our_own_error() -> None:
    with pytest.raises(EslUsageError):
        FrameDecoder(max_header_bytes=60)


# -- any bytes: frames or EslPeerError, bounded memory, linear work ------------------------------

_FRAGMENTS = st.sampled_from(
    [
        b"Content-Type: auth/request\n\n",
        b"Content-Type: command/reply\nReply-Text: +OK\n\n",
        b"Content-Type: api/response\nContent-Length: 5\n\nhello",
        b'Content-Length: 20\nContent-Type: text/event-json\n\n{"Event-Name":"API"}',
        b"Content-Length: 2\nContent-Type: text/event-json\n\n{}",
        b"Content-Length: 3",
        b"Content-Length: 30\n",
        b"Content-Type: ",
        b"Content-Type: text/event-plain\n",
        b": ",
        b"\n",
        b"\n\n",
        b"\r\n\r\n",
    ]
)
_ANY_BYTES = st.lists(st.one_of(_FRAGMENTS, st.binary(max_size=300)), max_size=12).map(b"".join)


def outcome(chunks: Iterable[bytes]) -> tuple[list[Frame], str | None]:
    """What comes of a stream, and what the peer is blamed for."""
    decoder = FrameDecoder(max_header_bytes=400, max_body_bytes=500)
    frames: list[Frame] = []
    for chunk in chunks:
        decoder.receive_data(chunk)
        try:
            # One at a time, to keep those that come before an error.
            for frame in decoder.frames():
                frames.append(frame)
        except EslPeerError as error:
            return frames, str(error)
        assert len(decoder) <= 400 + 2 + 500
    return frames, None


@settings(max_examples=500)
@given(data=_ANY_BYTES, cuts=st.lists(st.integers(0, 4000), max_size=8))
def test_any_bytes_give_the_same_frames_or_peer_error_however_cut(
    data: bytes, cuts: list[int]
) -> None:
    whole = outcome([data])
    points = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    assert outcome(data[a:b] for a, b in pairwise(points)) == whole
    assert outcome(byte_by_byte(data)) == whole


class CountingBuffer(bytearray):
    """A receive buffer that counts the bytes which searches look at."""

    searched = 0

    def find(self, sub: object, start: object = 0, end: object = None, /) -> int:
        assert isinstance(start, int)
        found = super().find(sub, start)  # type: ignore[arg-type]
        self.searched += (len(self) if found < 0 else found + 2) - start
        return found


HEADER_HEAVY = b"Content-Type: command/reply\n" + b"X: y\n" * 8000 + b"\n"
ONE_LARGE_BODY = b"Content-Type: api/response\nContent-Length: 40000\n\n" + b"\n" * 40000
SMALL_FRAMES = b"Content-Type: command/reply\nReply-Text: +OK\n\n" * 900
JSON_EVENTS = b'Content-Length: 20\nContent-Type: text/event-json\n\n{"Event-Name":"API"}' * 500
NEVER_ENDING_HEADER = b"X: " + b"x" * 40000


@pytest.mark.parametrize(
    "data", [HEADER_HEAVY, ONE_LARGE_BODY, SMALL_FRAMES, JSON_EVENTS, NEVER_ENDING_HEADER]
)
@pytest.mark.parametrize("size", [1, 7, 1000, 1_000_000])
def test_each_byte_is_searched_at_most_twice_however_it_arrives(data: bytes, size: int) -> None:
    decoder = FrameDecoder()
    buffer = decoder._buffer = CountingBuffer()
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    feed(decoder, chunks)
    assert buffer.searched <= len(data) + 2 * len(chunks)


def test_consumed_bytes_are_released() -> None:
    decoder = FrameDecoder()
    frame = b"Content-Type: api/response\nContent-Length: 1000000\n\n" + b"x" * 1_000_000
    assert len(feed(decoder, at_random(frame * 5, seed=3))) == 5
    assert len(decoder) == 0
    assert sys.getsizeof(decoder._buffer) < 200_000
